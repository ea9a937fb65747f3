"""Learning curves as figures, legible in grey and with red-green colour blindness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c7b00",
    "#777777",
)  # fmt: skip
"""Okabe and Ito's, the yellow darkened so that it shows on paper, and a grey."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
DPI = 150
LABEL_SIZE = 8
"""Of a curve's name, in points."""
LABEL_HEIGHT = 0.05
"""Of a curve's name, as a share of the axes' height."""


@dataclass(frozen=True)
class Curve:
    """A line with its spread.

    Attributes
    ----------
    label : str
    x, mean : sequence of float
    spread : sequence of float
        Standard deviation over seeds; 0 where there is one seed.
    style : int
        Colour and marker; curves that belong together share it.
    dashed : bool
    """

    label: str
    x: Sequence[float]
    mean: Sequence[float]
    spread: Sequence[float]
    style: int = 0
    dashed: bool = False


def draw_run(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw one run's mIoU against clicks; ``rows`` are those of ``rounds.csv``."""
    lines = {
        "model, validation images": "model_miou",
        "model of stage 2": "stage2_model_miou",
        "training labels": "data_miou",
        "training labels of stage 2": "stage2_data_miou",
    }
    curves = []
    for style, (label, column) in enumerate(lines.items()):
        points = [(float(r["clicks"]), float(r[column])) for r in rows if r.get(column)]
        if points:
            x, y = zip(*points, strict=True)
            curves.append(Curve(label, x, y, [0.0] * len(x), style, dashed=style > 1))
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    draw_curves(axes, curves, "mIoU")
    if rows:
        axes.set_title(f"{rows[-1]['method']}, seed {rows[-1]['seed']}")
    figure.savefig(path, dpi=DPI)


def draw_curves(
    axes: Axes,
    curves: Sequence[Curve],
    what: str,
    *,
    x_label: str = "clicks",
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draw curves with bands of one standard deviation, and their names where they end.

    ``levels`` are horizontal lines, by name.
    """
    for curve in curves:
        colour = COLOURS[curve.style % len(COLOURS)]
        axes.plot(
            curve.x,
            curve.mean,
            color=colour,
            marker=MARKERS[curve.style % len(MARKERS)],
            linestyle=_line(curve),
            markersize=5,
        )
        if any(curve.spread):
            low = [m - s for m, s in zip(curve.mean, curve.spread, strict=True)]
            high = [m + s for m, s in zip(curve.mean, curve.spread, strict=True)]
            axes.fill_between(curve.x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(what)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if not curves:
        axes.text(0.5, 0.5, "not known", ha="center", transform=axes.transAxes)
        return
    for level in (levels or {}).values():
        axes.axhline(level, color="#444444", linestyle=":", linewidth=1)
    _name_ends(axes, curves, levels or {})


def _line(curve: Curve) -> str:
    """Line style: dashed for companions of a curve, dash-dotted when colours repeat."""
    if curve.dashed:
        return "--"
    return "-" if curve.style < len(COLOURS) else "-."


def _name_ends(axes: Axes, curves: Sequence[Curve], levels: Mapping[str, float]) -> None:
    """Write names on the right, each beside its end, moved apart where they would overlap."""
    ends: list[tuple[float, float, str, Curve | None]] = [
        (curve.mean[-1], curve.x[-1], curve.label, curve) for curve in curves
    ]
    right = max(x for _, x, _, _ in ends)
    ends += [(level, right, name, None) for name, level in levels.items()]
    ends.sort(key=lambda end: end[0])
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    place = axes.get_yaxis_transform()  # x from 0 to 1 across the axes, y as the data
    heights = moved_apart([y for y, _, _, _ in ends], (high - low) * LABEL_HEIGHT)
    for height, (y, x, name, curve) in zip(heights, ends, strict=True):
        axes.annotate(
            "",
            xy=(x, y),
            xycoords="data",
            xytext=(1.02, height),
            textcoords=place,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6},
            annotation_clip=False,
        )
        if curve is not None:
            axes.plot(
                [1.035],
                [height],
                transform=place,
                clip_on=False,
                color=COLOURS[curve.style % len(COLOURS)],
                marker=MARKERS[curve.style % len(MARKERS)],
                markersize=5,
            )
        axes.text(1.055, height, name, transform=place, va="center", fontsize=LABEL_SIZE)


def moved_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as possible to be ``gap`` apart.

    Heights that are too near form a group, evenly spaced around its mean.
    """
    groups: list[list[float]] = []

    def bottom(group: list[float]) -> float:
        return sum(group) / len(group) - gap * (len(group) - 1) / 2

    for height in heights:
        groups.append([height])
        while len(groups) > 1 and bottom(groups[-1]) < bottom(groups[-2]) + gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [bottom(group) + gap * place for group in groups for place in range(len(group))]


def draw_stacks(
    axes: Axes, labels: Sequence[str], parts: Mapping[str, Sequence[float]], what: str
) -> None:
    """Draw one horizontal bar a label, made of parts laid end to end."""
    left = [0.0] * len(labels)
    hatches = ("", "///", "...")
    for index, (part, widths) in enumerate(parts.items()):
        axes.barh(
            labels,
            widths,
            left=left,
            label=part,
            color=COLOURS[index],
            hatch=hatches[index % len(hatches)],
            edgecolor="white",
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(what)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))


def draw_grid(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    texts: Sequence[Sequence[str]],
    limits: tuple[float, float],
    colours: str,
) -> None:
    """Draw a table whose cells are coloured by value; the texts say it, too."""
    filled = np.array([[np.nan if v is None else v for v in row] for row in values], float)
    image = axes.imshow(filled, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(filled):
        red, green, blue, _ = image.cmap(image.norm(value)) if np.isfinite(value) else (1, 1, 1, 1)
        is_dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        axes.text(
            column,
            row,
            texts[row][column],
            ha="center",
            va="center",
            fontsize=LABEL_SIZE,
            color="white" if is_dark else "black",
        )
