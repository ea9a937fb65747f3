"""How each overlay of a round is shown: its layer's kind, colours and place in the order.

Colours that do not stand for classes are those of Okabe and Ito, which colour-blind people can
distinguish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_al.plugin.layers.layer_kinds import class_layer, score_layer
from napari_al.session.inspection.overlays import PICTURES, Shows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
MAGENTA = "#F0047F"
CELL_COLORS = (ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE)

CODE_COLORS = {
    "kept": BLUE,
    "removed": ORANGE,
    "kept earlier": SKY,
    "right": BLUE,
    "wrong": VERMILLION,
    "refused": GREY,
    "in both batches": YELLOW,
    "in this round's only": BLUE,
    "in the other's only": VERMILLION,
}
LINE_COLORS = {"merged_lines": YELLOW, "queried_lines": MAGENTA, "try_cut": SKY}
DEFAULT_LINE = "#FFFFFF"
OPACITY: dict[Shows, float] = {
    "classes": 0.7, "numbers": 0.65, "cells": 0.6, "codes": 0.8, "lines": 0.9,
}  # fmt: skip
COLORMAPS = {"merged_counts": "viridis"}


@dataclass(frozen=True, slots=True)
class OverlayKind:
    """What a layer is called and how its values are shown (``round_pictures.Picture``)."""

    name: str
    shows: Shows
    codes: tuple[str, ...] = ()


PREVIEW_KINDS: dict[str, OverlayKind] = {
    "try_heatmap": OverlayKind("Try: the other's scores", "numbers"),
    "try_batches": OverlayKind(
        "Try: batches",
        "codes",
        ("in both batches", "in this round's only", "in the other's only"),
    ),
    "try_merging": OverlayKind("Try: merged regions", "cells"),
    "try_cut": OverlayKind("Try: superpixels", "lines"),
}
"""Previews of other choices, above everything else."""

KINDS: dict[str, OverlayKind] = {
    **{key: OverlayKind(row.name, row.shows, row.codes) for key, row in PICTURES.items()},
    **PREVIEW_KINDS,
}
"""From the bottom up."""


def legend(key: str) -> tuple[tuple[str, str], ...]:
    """Return (name, ``#rrggbb``) of what a picture shows, where its colours are its own."""
    kind = KINDS[key]
    if kind.shows == "lines":
        return ((kind.name, LINE_COLORS.get(key, DEFAULT_LINE)),)
    return tuple((name, CODE_COLORS[name]) for name in kind.codes)


def make_overlay(
    key: str, picture: NDArray[Any], classes: Sequence[ClassInfo], common: dict[str, Any]
) -> Layer:
    """Return a new layer; ``common`` are arguments that every kind takes."""
    kind = KINDS[key]
    common = {**common, "opacity": OPACITY[kind.shows]}
    if kind.shows == "numbers":
        return score_layer(picture, common, COLORMAPS.get(key))
    if kind.shows == "classes":
        layer = class_layer(picture, classes, common)
    else:
        from napari.layers import Labels

        colors = _colors(dict(enumerate(_palette(key), start=1)))
        features = {"index": list(range(len(kind.codes) + 1)), kind.name: ["", *kind.codes]}
        layer = Labels(picture, colormap=colors, features=features, **common)
    layer.editable = False
    return layer


def _palette(key: str) -> tuple[str, ...]:
    kind = KINDS[key]
    return CELL_COLORS if kind.shows == "cells" else tuple(color for _, color in legend(key))


def _colors(by_value: dict[int, str]) -> Any:
    from napari.utils import DirectLabelColormap
    from napari.utils.colormaps.standardize_color import transform_color

    colors: dict[int | None, Any] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
    colors |= {value: transform_color(color)[0] for value, color in by_value.items()}
    return DirectLabelColormap(color_dict=colors)
