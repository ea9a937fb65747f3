"""The tables of a report: values of each run for CSV, means and spreads over seeds for the page."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.simulate.studies import clicks_to_reach, mean, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_al.simulate.measures import Measures
    from napari_al.simulate.studies import Line, Study

    Values = Sequence[float]
    Row = tuple[tuple[str, ...], Sequence[Values]]

CLICK_KINDS = {
    "class clicks": "class_clicks",
    "polygon clicks": "polygon_clicks",
    "intersection clicks": "intersection_clicks",
}
TIMES = {"training s": "train_s", "scoring s": "score_s", "selection s": "select_s"}
ROUND_COLUMNS = {
    "queries": "queries",
    "clicks": "clicks",
    **CLICK_KINDS,
    "model mIoU": "model_miou",
    "stage 2 model mIoU": "stage2_model_miou",
    "data mIoU": "data_miou",
    "stage 2 data mIoU": "stage2_data_miou",
    "data coverage": "data_coverage",
    "prequential accuracy": "prequential_accuracy",
    "of the random share": "random_share_accuracy",
    **TIMES,
}
TARGETS = (0.9, 0.95)
"""Shares of the fully supervised figure to be reached."""


@dataclass(frozen=True)
class Table:
    """Rows of a few texts that name them, then one tuple of runs' values a column.

    Attributes
    ----------
    name : str
        Of its file.
    caption : str
    keys, columns : sequence of str
        Heads of the texts and of the values.
    rows : sequence of (texts, values)
        No values = not known.
    """

    name: str
    caption: str
    keys: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Row]

    def known(self) -> Table:
        """Return the table without columns of which nothing is known."""
        kept = [i for i in range(len(self.columns)) if any(values[i] for _, values in self.rows)]
        rows = [(texts, [values[i] for i in kept]) for texts, values in self.rows]
        return Table(self.name, self.caption, self.keys, [self.columns[i] for i in kept], rows)

    def csv(self) -> str:
        """Return it as CSV: a column of means and one of standard deviations for each."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.keys, *(n for c in self.columns for n in (c, f"{c} std"))])
        for texts, values in self.rows:
            cells = [cell for v in values for cell in (mean(v) if v else None, spread(v))]
            writer.writerow([*texts, *("" if cell is None else f"{cell:.6g}" for cell in cells)])
        return text.getvalue()


def tables_of(study: Study) -> list[Table]:
    """All tables that are not empty."""
    makers = (
        _reach, _rounds, _model_iou, _data_iou, _asked, _regions, _sieve, _corrections,
    )  # fmt: skip
    tables = [make(study).known() for make in makers]
    return [table for table in tables if table.columns]


def asked_and_pool(line: Line) -> tuple[list[list[float]], list[list[float]]]:
    """Shares of pixels by true class, a list of runs' values each: of what was asked, of all."""

    def share_asked(measures: Measures) -> list[float] | None:
        total = int(measures.asked.sum())
        return (measures.asked / total).tolist() if total else None

    def share_of_pool(measures: Measures) -> list[float] | None:
        total = int(measures.pool.sum())
        return (measures.pool / total).tolist() if total else None

    return line.measured(share_asked), line.measured(share_of_pool)


def class_iou(line: Line, field: str) -> list[list[float]]:
    """IoU of each class after the last round, runs' known values each; [] if not known.

    ``field`` is ``model_iou`` or ``data_iou``.
    """
    by_run = [getattr(run, field) for run in line.runs if getattr(run, field)]
    return [[v for v in by_class if v is not None] for by_class in zip(*by_run, strict=True)]


def by_round(
    line: Line, of_run: Callable[[Measures, int], Values | None]
) -> Iterator[tuple[int, list[list[float]]]]:
    """Yield each round of which any run's measures say something, and what, column by column."""
    rounds = sorted({*line.rounds(), *(number + 1 for number in line.rounds())})
    for number in rounds:
        columns = line.measured(lambda measures, n=number: of_run(measures, n))  # type: ignore[misc]
        if columns:
            yield number, columns


def sieved(measures: Measures, number: int) -> Values | None:
    """Share kept, and shares of what was kept and of what was removed that were so rightly."""
    counts = measures.sieve.get(number)
    if counts is None or not counts.removed:
        return None
    return (
        counts.kept / (counts.kept + counts.removed),
        counts.kept_rightly / max(counts.kept, 1),
        counts.removed_rightly / counts.removed,
    )


def corrected(kind: str) -> Callable[[Measures, int], Values | None]:
    """Return precision and recall of the ``manual`` or ``automatic`` corrections of a round."""

    def of_run(measures: Measures, number: int) -> Values | None:
        counts = getattr(measures, kind).get(number)
        if counts is None or not counts.changed or not counts.wrong:
            return None
        return counts.mended / counts.changed, counts.mended / counts.wrong

    return of_run


def region_quality(measures: Measures, number: int) -> Values | None:
    """Regions an image, achievable accuracy, boundary recall and undersegmentation error."""
    quality = measures.regions.get(number)
    if quality is None:
        return None
    return (
        quality.n_per_image,
        quality.achievable_accuracy,
        quality.boundary_recall,
        quality.undersegmentation_error,
    )


# ---- one table each


def _rounds(study: Study) -> Table:
    rows: list[Row] = [
        (
            (line.label, str(number), str(len(line.values("clicks", number)))),
            [line.values(column, number) for column in ROUND_COLUMNS.values()],
        )
        for line in study.lines
        for number in line.rounds()
    ]
    return Table("curves", "Round by round", ("method", "round", "seeds"), [*ROUND_COLUMNS], rows)


def _reach(study: Study) -> Table:
    columns = [
        "share of all labels' mIoU in the end",
        *(f"clicks to reach {target:.0%}" for target in TARGETS),
    ]
    rows: list[Row] = []
    for line in study.methods:
        reference = study.reference(line)
        for column, suffix in (("model_miou", ""), ("stage2_model_miou", " (stage 2)")):
            curve = line.curve(column, 0)
            if curve is None or not reference:
                continue
            clicks = [
                clicks_to_reach(curve.x, curve.mean, target * reference) for target in TARGETS
            ]
            values = [[curve.mean[-1] / reference], *([n] if n is not None else [] for n in clicks)]
            rows.append(((line.label + suffix,), values))
    caption = "Beside the same network trained as long on all labels (empty: not reached)"
    return Table("reach", caption, ("method",), columns, rows)


def _model_iou(study: Study) -> Table:
    return _class_table(study, "model_iou", "IoU of the model by class, after the last round")


def _data_iou(study: Study) -> Table:
    return _class_table(study, "data_iou", "IoU of the training labels by class")


def _class_table(study: Study, field: str, caption: str) -> Table:
    rows: list[Row] = [
        ((line.label,), values) for line in study.lines if (values := class_iou(line, field))
    ]
    return Table(field, caption, ("method",), study.class_names, rows)


def _asked(study: Study) -> Table:
    rows: list[Row] = []
    for line in study.methods:
        asked, pool = asked_and_pool(line)
        if asked and not rows:
            rows.append((("all training images",), [[mean(values)] for values in pool]))
        if asked:
            rows.append(((line.label,), asked))
    caption = "Share of pixels by true class: of the regions asked about, and of all"
    return Table("asked", caption, ("method",), study.class_names, rows)


def _regions(study: Study) -> Table:
    columns = [
        "regions an image",
        "achievable segmentation accuracy",
        "boundary recall",
        "undersegmentation error",
    ]
    caption = "Regions that a round asks about (of one that does not merge: all rounds)"
    return _table_by_round(study, "regions", caption, columns, {"": region_quality})


def _sieve(study: Study) -> Table:
    columns = ["kept", "kept that are right", "removed that were wrong"]
    caption = "Sieving: shares of the pixels that answers cover"
    return _table_by_round(study, "sieve", caption, columns, {"": sieved})


def _corrections(study: Study) -> Table:
    kinds = {" (manual)": corrected("manual"), " (automatic)": corrected("automatic")}
    caption = "Corrections: share of changed pixels that are right now, of wrong pixels mended"
    return _table_by_round(study, "corrections", caption, ["precision", "recall"], kinds)


def _table_by_round(
    study: Study,
    name: str,
    caption: str,
    columns: Sequence[str],
    kinds: Mapping[str, Callable[[Measures, int], Values | None]],
) -> Table:
    """Make a row for each line, round and kind of which something is known."""
    rows: list[Row] = [
        ((line.label + kind, str(number)), values)
        for line in study.methods
        for kind, of_run in kinds.items()
        for number, values in by_round(line, of_run)
    ]
    return Table(name, caption, ("method", "round"), columns, rows)
