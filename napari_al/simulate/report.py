"""Reports on runs: figures, tables, and one HTML page with all of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from matplotlib import rc_context

from napari_al.errors import InputError
from napari_al.methods.table import METHODS
from napari_al.simulate.curves import DPI
from napari_al.simulate.figures import figures_of
from napari_al.simulate.report_page import Section, page
from napari_al.simulate.studies import read_run, studies_of
from napari_al.simulate.tables import tables_of
from napari_al.tools.output_folder import check_own
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.figure import Figure

    from napari_al.simulate.studies import Study


REPORT = "report.html"


def write_report(
    projects: Iterable[Path | str],
    out: Path | str,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Write ``report.html``, and its figures (PNG, SVG) and tables (CSV), about runs.

    Runs may be unfinished, or under way; those without a finished round are named and left out.
    Runs on other data are another section, and other files.

    Parameters
    ----------
    projects
        Project folders; they are only read.
    out
        Folder for the report; made if it is not there.
    on_progress
        Called with the number of runs read, and of all.

    Returns
    -------
    Path
        The page: one file, that needs no other.

    Raises
    ------
    InputError
        For a folder that is no project, if no project has a finished round, or if ``out`` holds
        files and no report.
    """
    out = Path(out)
    check_own(out, REPORT)
    paths = list(dict.fromkeys(Path(path).resolve() for path in projects))
    if not paths:
        raise InputError("a report needs at least one project")
    runs = []
    for n_done, path in enumerate(paths, start=1):
        runs.append(read_run(path))
        on_progress(n_done, len(paths))
    empty = [run.path for run in runs if not run.rows]
    studies = studies_of([run for run in runs if run.rows])
    if not studies:
        raise InputError(f"{empty[0]} has no finished round yet, and there is no other run")
    if not (out / REPORT).exists():  # so that a report that was stopped can be made again
        write_atomic(out / REPORT, b"<!doctype html><p>This report is being made.\n")
    styles = _styles(studies)
    sections = [
        _write_section(study, styles, out, f"_{study.name}" if len(studies) > 1 else "")
        for study in studies
    ]
    report = out / REPORT
    write_atomic(report, page(sections, empty).encode())
    return report


def _write_section(study: Study, styles: dict[str, int], out: Path, suffix: str) -> Section:
    """Write the figures and tables of a study; return them."""
    section = Section(study, tables_of(study), {})
    for table in section.tables:
        write_atomic(out / f"{table.name}{suffix}.csv", table.csv().encode())
    for name, (what, figure) in figures_of(study, styles).items():
        png = _picture(figure, "png")
        write_atomic(out / f"{name}{suffix}.png", png)
        write_atomic(out / f"{name}{suffix}.svg", _picture(figure, "svg"))
        section.figures[name] = what, png
    return section


def _styles(studies: Sequence[Study]) -> dict[str, int]:
    """Number each label; a row of the table of methods has its number in every report."""
    labels = dict.fromkeys((*METHODS, *(line.label for s in studies for line in s.lines)))
    return {label: number for number, label in enumerate(labels)}


def _picture(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a file; letters in SVG stay letters, and the same figure is the same file."""
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "napari-al"}):
        date = {"Date": None} if kind == "svg" else None
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=date)
    return buffer.getvalue()
