"""Click costs and seconds so far, by kind and by class."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QVBoxLayout, QWidget

from napari_al.plugin.control.answer_statistics import count, duration
from napari_al.plugin.widgets.form_parts import button, text
from napari_al.plugin.widgets.share_bar import ShareBar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QLabel

    from napari_al.formats.dataset import ClassInfo
    from napari_al.plugin.control.answer_statistics import AnswerStatistics, CoverageStatistics

_ROWS = (
    ("queries", "Queries", "answers in force"),
    ("class", "Class clicks", "a class chosen, or an answer without one"),
    ("polygon", "Polygon clicks", "corners drawn inside a rectangle"),
    ("intersection", "Crossing clicks", "outlines that cross a rectangle's side"),
    ("drawn", "Drawn exactly, about", "polygon and class clicks, from regions' outlines"),
    ("accepted", "Accepted", "labels that were right"),
    ("corrected", "Corrected", "labels that were wrong"),
    ("without", "Skipped · unsure · ignored", "answers without a class"),
    ("query_s", "Seconds a query", "median; pauses of more than 30 s left out"),
    ("click_s", "Seconds a click", "median; pauses of more than 30 s left out"),
    ("worked", "Time worked", "pauses of more than 30 s left out"),
)
_OF_CORRECTIONS = ("accepted", "corrected")
_OF_DRAWINGS = ("polygon", "intersection")


class ProgressPanel(QWidget):
    """A table of counters; ``csv_wanted`` carries the file to write them to."""

    csv_wanted = Signal(Path)

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, QLabel] = {}
        self._names: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        for row, (key, name, tip) in enumerate(_ROWS):
            self._names[key] = text(name)
            self._values[key] = text("0", wrap=False)
            self._values[key].setAlignment(Qt.AlignmentFlag.AlignRight)
            for column, label in enumerate((self._names[key], self._values[key])):
                label.setToolTip(tip)
                grid.addWidget(label, row, column)
        self._by_class = text()
        self._by_class.setToolTip(
            "answers, clicks and time by class; an answer with several classes is shared out"
        )
        self._csv = button("Save as CSV…", "one row an answer, with clicks and seconds", self._save)
        column = QVBoxLayout(self)
        column.addLayout(grid)
        self.shares = ShareBar()
        column.addWidget(text("Pixels labelled, by class", "muted"))
        column.addWidget(self.shares)
        column.addWidget(self._by_class)
        column.addWidget(self._csv)
        column.addStretch()

    def set_query_type(self, query_type: str) -> None:
        """Show the rows that apply to a query type."""
        for keys, wanted in (
            (_OF_CORRECTIONS, query_type == "correction"),
            (_OF_DRAWINGS, query_type == "precise"),
        ):
            for key in keys:
                self._names[key].setVisible(wanted)
                self._values[key].setVisible(wanted)

    def show_statistics(self, statistics: AnswerStatistics, classes: Sequence[ClassInfo]) -> None:
        """Show new statistics."""
        clicks, ended = statistics.clicks, statistics.by_outcome
        shown = {
            "queries": str(statistics.n_queries),
            "class": str(clicks.class_clicks),
            "polygon": str(clicks.polygon_clicks),
            "intersection": str(clicks.intersection_clicks),
            "accepted": str(statistics.n_accepted),
            "corrected": str(statistics.n_corrected),
            "without": f"{ended['skipped']} · {ended['unsure']} · {ended['ignored']}",
            "query_s": _seconds(statistics.seconds_per_query),
            "click_s": _seconds(statistics.seconds_per_click),
            "worked": duration(statistics.active_s),
        }
        for key, value in shown.items():
            self._values[key].setText(value)
        self._by_class.setText(_table(statistics, classes))

    def show_coverage(self, coverage: CoverageStatistics, classes: Sequence[ClassInfo]) -> None:
        """Show statistics that take time to compute."""
        self._values["drawn"].setText(count(coverage.drawn_clicks, "click"))
        shares = [(c.name, c.color, coverage.px_by_class[c.id]) for c in classes]
        self.shares.set_shares(shares)

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save costs", "costs.csv", "CSV (*.csv)")
        if name:
            self.csv_wanted.emit(Path(name))


def _table(statistics: AnswerStatistics, classes: Sequence[ClassInfo]) -> str:
    """Return the costs of each class as a table in rich text."""
    rows = [("", "answers", "clicks", "time")]
    for info in classes:
        cost = statistics.by_class.get(info.id)
        if cost is not None:
            clicks, time = f"{round(cost.clicks, 1):g}", duration(cost.seconds)
            rows.append((escape(info.name), str(cost.n_answers), clicks, time))
    if len(rows) == 1:
        return ""
    cells = ("".join(f"<td align=right>{c}</td>" for c in row[1:]) for row in rows)
    lines = (f"<tr><td>{row[0]}</td>{c}</tr>" for row, c in zip(rows, cells, strict=True))
    return f"<table width='100%'>{''.join(lines)}</table>"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
