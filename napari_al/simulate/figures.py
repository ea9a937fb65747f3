"""The figures of a report, one function each; None where there is nothing to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from napari_al.errors import InputError
from napari_al.simulate.curves import LABEL_SIZE, Curve, draw_curves, draw_grid, draw_stacks
from napari_al.simulate.measures import class_palette, pictures_and_truth, predicted_classes
from napari_al.simulate.studies import mean, spread
from napari_al.simulate.tables import (
    CLICK_KINDS,
    TIMES,
    asked_and_pool,
    by_round,
    class_iou,
    corrected,
    region_quality,
    sieved,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from napari_al.simulate.measures import Measures
    from napari_al.simulate.studies import Line, Study

    Styles = Mapping[str, int]
    OfRun = Callable[[Measures, int], Sequence[float] | None]

MODEL_COLUMNS = {"model_miou": "", "stage2_model_miou": " (stage 2)"}
DATA_COLUMNS = {"data_miou": "", "stage2_data_miou": " (stage 2)"}
PREQUENTIAL_COLUMNS = {"prequential_accuracy": "", "random_share_accuracy": " (random regions)"}
MAX_PREDICTIONS = 8
"""Lines of which predictions are shown."""
PANEL = (5.5, 4.2)
"""Inches."""


def figures_of(study: Study, styles: Styles) -> dict[str, tuple[str, Figure]]:
    """All figures by name, with what they show; ``styles`` are colours and markers by label."""
    made = {
        "curves": ("mIoU against clicks", _curves(study, styles)),
        "prequential": ("answers that the model predicted", _prequential(study, styles)),
        "steps": ("model mIoU against training steps", _steps(study, styles)),
        "classes": ("IoU by class", _classes(study)),
        "asked": ("classes of the regions asked about", _asked(study)),
        "costs": ("clicks by kind and seconds a round", _costs(study)),
        "regions": ("quality of the regions asked about", _regions(study, styles)),
        "sieve": ("what sieving kept and removed", _sieve(study, styles)),
        "predictions": ("predictions of the last models, mIoU of the image", _predictions(study)),
        "corrections": ("precision and recall of corrections", _corrections(study, styles)),
    }
    return {name: (what, figure) for name, (what, figure) in made.items() if figure is not None}


def _curves(study: Study, styles: Styles) -> Figure:
    """Model mIoU and data mIoU against clicks, side by side."""
    figure, (left, right) = _panels(2, study.name)
    references = {r for line in study.methods if (r := study.reference(line)) is not None}
    levels = {}
    if len(references) == 1:
        reference = references.pop()
        levels = {"all labels": reference, "95 % of that": 0.95 * reference}
    for axes, what, suffixes, lines in (
        (left, "model mIoU", MODEL_COLUMNS, levels),
        (right, "data mIoU", DATA_COLUMNS, {}),
    ):
        curves = [
            line.curve(column, styles[line.label], suffix)
            for line in study.methods
            for column, suffix in suffixes.items()
        ]
        draw_curves(axes, [curve for curve in curves if curve], what, levels=lines)
    return figure


def _steps(study: Study, styles: Styles) -> Figure | None:
    """Model mIoU against the steps trained so far, of the supervised run, too."""
    if all(line in study.methods for line in study.lines):
        return None
    figure, (axes,) = _panels(1, study.name)
    curves = []
    for line in study.lines:
        x = {
            number: float(line.runs[0].config.training.steps * n_trainings)
            for n_trainings, number in enumerate(line.rounds(), start=1)
        }
        curves.append(line.curve("model_miou", styles[line.label], x=x))
    drawn = [curve for curve in curves if curve]
    draw_curves(axes, drawn, "model mIoU", x_label="training steps")
    return figure


def _prequential(study: Study, styles: Styles) -> Figure | None:
    """Share of each round's answers that the model that asked predicted; and of random regions."""
    curves = [
        line.curve(column, styles[line.label], suffix)
        for line in study.methods
        for column, suffix in PREQUENTIAL_COLUMNS.items()
    ]
    drawn = [curve for curve in curves if curve]
    if not drawn:
        return None
    figure, (axes,) = _panels(1, study.name)
    draw_curves(axes, drawn, "prequential accuracy")
    return figure


def _classes(study: Study) -> Figure | None:
    panels = [
        (title, rows)
        for field, title in (("model_iou", "model IoU"), ("data_iou", "IoU of training labels"))
        if (rows := {x.label: iou for x in study.lines if (iou := class_iou(x, field))})
    ]
    if not panels:
        return None
    figure = Figure(figsize=_grid_size(study, len(study.lines), len(panels)), layout="constrained")
    figure.suptitle(study.name)
    for axes, (title, rows) in zip(_row_of_axes(figure, len(panels)), panels, strict=True):
        values = [[mean(v) if v else None for v in row] for row in rows.values()]
        texts = [["–" if v is None else f"{v:.2f}" for v in row] for row in values]
        draw_grid(
            axes,
            [*rows],
            study.class_names,
            values,
            texts=texts,
            limits=(0, 1),
            colours="cividis",
        )
        axes.set_title(title, fontsize="medium")
    return figure


def _asked(study: Study) -> Figure | None:
    """How many times more of each class was asked about than there is."""
    names: list[str] = []
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    for line in study.methods:
        asked, pool = asked_and_pool(line)
        if not asked:
            continue
        ratios = [
            mean(a) / mean(p) if mean(p) else math.nan for a, p in zip(asked, pool, strict=True)
        ]
        if not names:
            names.append("share of all pixels")
            values.append([None] * len(pool))
            texts.append([f"{mean(share):.1%}" for share in pool])
        names.append(line.label)
        values.append([math.log2(r) if r > 0 else None for r in ratios])
        texts.append(["–" if math.isnan(r) else f"×{r:.2g}" for r in ratios])
    if not names:
        return None
    figure = Figure(figsize=_grid_size(study, len(names), 1), layout="constrained")
    (axes,) = _row_of_axes(figure, 1)
    draw_grid(axes, names, study.class_names, values, texts=texts, limits=(-3, 3), colours="PuOr_r")
    figure.suptitle(study.name)
    axes.set_title("share of the pixels asked about / of all pixels", fontsize="medium")
    return figure


def _costs(study: Study) -> Figure:
    """All clicks by kind and the seconds a round, one bar a line."""
    height = 1.4 + 0.35 * len(study.lines)
    figure = Figure(figsize=(2 * PANEL[0], height), layout="constrained")
    figure.suptitle(study.name)
    left, right = _row_of_axes(figure, 2)
    labels = [line.label for line in study.lines]
    clicks = {
        what: [_or_0(line.last(c)) for line in study.lines] for what, c in CLICK_KINDS.items()
    }
    draw_stacks(left, labels, clicks, "clicks spent")
    seconds = {
        what.removesuffix(" s"): [_or_0(_per_round(line, column)) for line in study.lines]
        for what, column in TIMES.items()
    }
    draw_stacks(right, labels, seconds, "seconds a round")
    return figure


def _regions(study: Study, styles: Styles) -> Figure | None:
    """Before merging (the first round) and after it."""
    if all(line.runs[0].config.method.merging == "none" for line in study.methods):
        return None
    titles = (
        "regions an image",
        "achievable accuracy",
        "boundary recall",
        "undersegmentation error",
    )
    merging = [x for x in study.methods if x.runs[0].config.method.merging != "none"]
    return _by_round(study.name, merging, styles, titles, {"": region_quality})


def _sieve(study: Study, styles: Styles) -> Figure | None:
    titles = ("kept", "right, of what was kept", "wrong, of what was removed")
    return _by_round(study.name, study.methods, styles, titles, {"": sieved})


def _corrections(study: Study, styles: Styles) -> Figure | None:
    kinds = {"": corrected("manual"), " (automatic)": corrected("automatic")}
    return _by_round(study.name, study.methods, styles, ("precision", "recall"), kinds)


def _by_round(
    name: str,
    lines: Sequence[Line],
    styles: Styles,
    titles: Sequence[str],
    kinds: Mapping[str, OfRun],
) -> Figure | None:
    """One panel a measure, against the round."""
    curves: list[list[Curve]] = [[] for _ in titles]
    for line in lines:
        for kind, of_run in kinds.items():
            rounds = dict(by_round(line, of_run))
            for panel, _ in enumerate(titles):
                known = {n: columns[panel] for n, columns in rounds.items() if columns[panel]}
                if known:
                    curves[panel].append(
                        Curve(
                            line.label + kind,
                            [*known],
                            [mean(v) for v in known.values()],
                            [spread(v) or 0.0 for v in known.values()],
                            styles[line.label],
                            dashed=bool(kind),
                        )
                    )
    if not any(curves):
        return None
    figure, panels = _panels(len(titles), name)
    for axes, title, drawn in zip(panels, titles, curves, strict=True):
        draw_curves(axes, drawn, title, x_label="round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _predictions(study: Study) -> Figure | None:
    """Predictions of each line's first run on three validation images: best, median and worst.

    By the mean over the lines of an image's mIoU, so that the images are the same for all.
    """
    shown = [line for line in study.lines if line.runs[0].val_miou][:MAX_PREDICTIONS]
    common = set.intersection(*(set(line.runs[0].val_miou) for line in shown)) if shown else set()
    if not common:
        return None
    by_image = {name: mean([x.runs[0].val_miou[name] for x in shown]) for name in sorted(common)}
    ranked = sorted(by_image, key=by_image.__getitem__, reverse=True)
    chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    names = list(dict.fromkeys(chosen.values()))
    try:
        image_and_truth = pictures_and_truth(shown[0].runs[0].path, names)
        predicted = [predicted_classes(line.runs[0].path, names) for line in shown]
    except InputError:  # the data folder is gone: figures without pictures
        return None
    n_columns = 2 + len(shown)
    figure = Figure(figsize=(2.2 * n_columns, 2.1 * len(chosen)), layout="constrained")
    figure.suptitle(study.name)
    palette = class_palette(shown[0].runs[0].config.classes)
    for row, (place, name) in enumerate(chosen.items()):
        picture, truth = image_and_truth[name]
        cells = [(f"{place}: {name}", picture), ("ground truth", palette[truth])]
        cells += [
            (f"{line.label}, {line.runs[0].val_miou[name]:.2f}", palette[maps[name]])
            for line, maps in zip(shown, predicted, strict=True)
        ]
        for column, (title, pixels) in enumerate(cells):
            axes = figure.add_subplot(len(chosen), n_columns, row * n_columns + column + 1)
            axes.imshow(pixels)
            axes.set_axis_off()
            axes.set_title(title, fontsize=LABEL_SIZE)
    return figure


# ---- sizes and small sums


def _panels(n: int, title: str) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels in rows of two."""
    n_columns = min(n, 2)
    n_rows = math.ceil(n / n_columns)
    figure = Figure(
        figsize=(PANEL[0] * n_columns + 1.5, PANEL[1] * n_rows * (0.7 if n > 2 else 1)),
        layout="constrained",
    )
    figure.suptitle(title)
    axes = [figure.add_subplot(n_rows, n_columns, place + 1) for place in range(n)]
    return figure, axes


def _row_of_axes(figure: Figure, n: int) -> list[Axes]:
    return [figure.add_subplot(1, n, place + 1) for place in range(n)]


def _grid_size(study: Study, n_rows: int, n_panels: int) -> tuple[float, float]:
    width = max(5.0, 2.2 + 0.42 * len(study.class_names))
    return n_panels * width, 1.6 + 0.28 * n_rows


def _per_round(line: Line, column: str) -> list[float]:
    return [value for number in line.rounds() for value in line.values(column, number)]


def _or_0(values: Sequence[float]) -> float:
    return mean(values) if values else 0.0
