"""What runs came to: curves as pictures and a table, and one page that holds it all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from napari_al.errors import InputError
from napari_al.session.project import write_atomic
from napari_al.simulate.curves import DPI, draw_curves, draw_stacks
from napari_al.simulate.report_page import page
from napari_al.simulate.studies import mean, read_run, spread, studies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_al.simulate.studies import Line, Study

MODEL_COLUMNS = {"model_miou": "", "stage2_model_miou": " (stage 2)"}
DATA_COLUMNS = {"data_miou": "", "stage2_data_miou": " (stage 2)"}
COSTS = {
    "class clicks": "class_clicks",
    "polygon clicks": "polygon_clicks",
    "intersection clicks": "intersection_clicks",
}
TIMES = {"training": "train_s", "scoring": "score_s", "selection": "select_s"}


def write_report(projects: Iterable[Path | str], out: Path | str) -> Path:
    """Write ``curves.csv``, pictures and ``report.html`` about finished or unfinished runs.

    Parameters
    ----------
    projects
        Project folders; they are only read.
    out
        Folder for the report; made if it is not there.

    Returns
    -------
    Path
        The page: one file, that needs no other.

    Raises
    ------
    InputError
        For a folder that is no project, or if no project has a finished round.
    """
    paths = list(dict.fromkeys(Path(path).resolve() for path in projects))
    if not paths:
        raise InputError("a report needs at least one project")
    runs = [run for run in map(read_run, paths) if run.rows]
    if not runs:
        raise InputError(f"{paths[0]} has no finished round yet, and there is no other run")
    studies = studies_of(runs)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "curves.csv", _csv(studies).encode())
    pictures: dict[tuple[int, str], bytes] = {}
    for index, study in enumerate(studies):
        for kind, figure in (("curves", draw_study(study)), ("costs", draw_costs(study))):
            pictures[index, kind] = _png(figure)
            suffix = f"_{study.name}" if len(studies) > 1 else ""
            write_atomic(out / f"{kind}{suffix}.png", pictures[index, kind])
    report = out / "report.html"
    write_atomic(report, page(studies, pictures).encode())
    return report


def draw_study(study: Study) -> Figure:
    """Draw model mIoU and data mIoU against clicks, side by side."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    columns = (("model mIoU", MODEL_COLUMNS), ("data mIoU", DATA_COLUMNS))
    for axes, (what, suffixes) in zip(figure.subplots(1, 2), columns, strict=True):
        curves = [
            line.curve(column, style, suffix)
            for style, line in enumerate(study.lines)
            for column, suffix in suffixes.items()
        ]
        draw_curves(axes, [curve for curve in curves if curve], what)
    figure.suptitle(study.name)
    return figure


def draw_costs(study: Study) -> Figure:
    """Draw all clicks by kind and the seconds a round, one bar a line."""
    height = 1.4 + 0.35 * len(study.lines)
    figure = Figure(figsize=(11, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    labels = [line.label for line in study.lines]
    clicks = {what: [_or_0(line.last(c)) for line in study.lines] for what, c in COSTS.items()}
    draw_stacks(left, labels, clicks, "clicks spent")
    seconds = {
        what: [_or_0(_per_round(line, column)) for line in study.lines]
        for what, column in TIMES.items()
    }
    draw_stacks(right, labels, seconds, "seconds a round")
    return figure


def _per_round(line: Line, column: str) -> list[float]:
    return [value for number in line.rounds() for value in line.values(column, number)]


def _or_0(values: Sequence[float]) -> float:
    return mean(values) if values else 0.0


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _csv(studies: Sequence[Study]) -> str:
    """One row a data folder, line and round; the columns are means and spreads over seeds."""
    measured = (*MODEL_COLUMNS, *DATA_COLUMNS, "data_coverage", "train_s", "score_s", "select_s")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spreads = [name for column in measured for name in (column, f"{column}_std")]
    counted = ["queries", "clicks", *COSTS.values()]
    writer.writerow(["data", "method", "seeds", "round", *counted, *spreads])
    for study in studies:
        for line in study.lines:
            for number in line.rounds():
                cells: list[object] = [study.name, line.label]
                cells += [len(line.values("clicks", number)), number]
                cells += [_cell(mean, line.values(column, number)) for column in counted]
                for column in measured:
                    values = line.values(column, number)
                    cells += [_cell(mean, values), _cell(spread, values)]
                writer.writerow(cells)
    return text.getvalue()


def _cell(reduce: Any, values: Sequence[float]) -> str:
    reduced = reduce(values) if values else None
    return "" if reduced is None else f"{reduced:.6g}"
