"""Learning curves as pictures: for eyes that do not tell red from green, and for grey paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c7b00",
)  # fmt: skip
"""Okabe and Ito's, the yellow darkened so that it shows on paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DPI = 150


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


def draw_curves(axes: Axes, curves: Sequence[Curve], what: str) -> None:
    """Draw curves against clicks, with bands of one standard deviation."""
    for curve in curves:
        colour = COLOURS[curve.style % len(COLOURS)]
        axes.plot(
            curve.x,
            curve.mean,
            color=colour,
            marker=MARKERS[curve.style % len(MARKERS)],
            linestyle="--" if curve.dashed else "-",
            label=curve.label,
            markersize=5,
        )
        if any(curve.spread):
            low = [m - s for m, s in zip(curve.mean, curve.spread, strict=True)]
            high = [m + s for m, s in zip(curve.mean, curve.spread, strict=True)]
            axes.fill_between(curve.x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("clicks")
    axes.set_ylabel(what)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False, fontsize="small")
    else:
        axes.text(0.5, 0.5, "not known", ha="center", transform=axes.transAxes)


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
