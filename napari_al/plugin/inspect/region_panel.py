"""Facts about the region that was clicked."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_al.plugin.widgets.form_parts import swatch, text
from napari_al.plugin.widgets.line_chart import LineChart
from napari_al.plugin.widgets.probability_bars import ProbabilityBars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.core.sieving import ConfidenceCurve
    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.plugin.widgets.theme import ThemeColors
    from napari_al.session.inspection.region_facts import ModelView, RegionFacts

MAX_BARS = 6
MAX_NEIGHBOURS_SHOWN = 6
_DATA: Any = Qt.ItemDataRole.UserRole


class RegionPanel(QWidget):
    """Size and score, class probabilities, neighbours, confidence curve, answers."""

    pixel_chosen = Signal(tuple)
    """A pixel of the neighbour that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: Sequence[ClassInfo] = ()
        self._hint = text("Click a region in the picture.")
        self._title = text("", "title")
        self._about = text()
        self._notes = text("", "muted")
        self.bars = ProbabilityBars()
        self._bvsb = text("", "muted")
        self.neighbours = _table(("Neighbour", "JS", "mostly"))
        self.neighbours.itemClicked.connect(
            lambda item: self.pixel_chosen.emit(item.data(0, _DATA))
        )
        self._neighbours_title = text("Neighbours by JS distance", "title")
        self._neighbours_title.setToolTip(
            "Jensen-Shannon, of mean class probabilities; a click goes there"
        )
        self.curve = LineChart("Confidence in its class, pixels sorted", "pixels, %", dots=True)
        self._knee = text("", "muted")
        self._history_title = text("Answers", "title")
        self.history = text()
        column = QVBoxLayout(self)
        column.setSpacing(4)
        for widget in (
            self._hint,
            self._title,
            self._about,
            self.bars,
            self._bvsb,
            self.curve,
            self._knee,
            self._history_title,
            self.history,
            self._neighbours_title,
            self.neighbours,
            self._notes,
        ):
            column.addWidget(widget)
        column.addStretch()
        self.show_facts(None)

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these classes' names and colours."""
        self._classes = classes

    def set_colors(self, colors: ThemeColors) -> None:
        """Use a theme's colours."""
        self.bars.set_colors(colors)
        self.curve.set_colors(colors)

    def show_facts(self, facts: RegionFacts | None) -> None:
        """Show another region; None: none."""
        self._hint.setVisible(facts is None)
        for widget in (self._title, self._about, self._history_title, self.history, self._notes):
            widget.setVisible(facts is not None)
        self._show_view(None if facts is None else facts.view)
        self._show_curve(None if facts is None else facts.curve)
        if facts is None:
            return
        n_parts, size = len(facts.region.ids), facts.region.mask.size
        self._title.setText(f"Region {facts.region.ids[0]}" if n_parts == 1 else "Merged region")
        about = [f"{size} px"]
        if n_parts > 1:
            about.append(f"{n_parts} superpixels; {facts.base_id} is under the cursor")
        if facts.view is not None and n_parts > 1:
            about.append(f"JS {facts.view.distance_to_seed:.3f} from its seed")
        if facts.place is not None and facts.score is not None:
            score = f"score {facts.score:.3g}"
            about.append(f"{score}, place {facts.place} of {facts.n_pool}")
        self._about.setText(" · ".join(about))
        self.history.setText(self._history(facts))
        self._notes.setText("; ".join(facts.notes))

    def _show_view(self, view: ModelView | None) -> None:
        for widget in (self.bars, self._bvsb, self._neighbours_title, self.neighbours):
            widget.setVisible(view is not None)
        if view is None:
            return
        order = np.argsort(-view.probs[: len(self._classes)], kind="stable")[:MAX_BARS]
        self.bars.set_rows(
            [(self._classes[c].name, self._classes[c].color, float(view.probs[c])) for c in order]
        )
        of_what = "of the mean probabilities" if view.bvsb_of_mean else "mean over the pixels"
        self._bvsb.setText(f"Model of round {view.model_round} · BvSB {view.bvsb:.3f} ({of_what})")
        self.neighbours.clear()
        for neighbour in view.neighbours:
            info = self._class(neighbour.dominant)
            joined = " (merged)" if neighbour.is_joined else ""
            item = QTreeWidgetItem(
                [
                    f"{neighbour.region_id}{joined}",
                    f"{neighbour.distance:.3f}",
                    "–" if info is None else info.name,
                ]
            )
            if info is not None:
                item.setIcon(2, QIcon(swatch(info.color)))
            item.setData(0, _DATA, neighbour.pixel_rc)
            self.neighbours.addTopLevelItem(item)
        rows = min(max(len(view.neighbours), 1), MAX_NEIGHBOURS_SHOWN)
        self.neighbours.setFixedHeight(28 + 21 * rows)

    def _show_curve(self, curve: ConfidenceCurve | None) -> None:
        self.curve.setVisible(curve is not None)
        self._knee.setVisible(curve is not None)
        if curve is None:
            return
        n = max(len(curve.values) - 1, 1)
        self.curve.set_points([(100 * k / n, v) for k, v in enumerate(curve.values.tolist())])
        self.curve.set_mark(curve.knee)
        if curve.knee is None:
            self._knee.setText("No knee: all pixels keep the class.")
        else:
            self._knee.setText(
                f"Knee at {curve.threshold:.3f}: pixels below it are left without a label."
            )

    def _history(self, facts: RegionFacts) -> str:
        events = [self._answer_text(answer) for answer in facts.answers]
        events += [self._correction_text(correction) for correction in facts.corrections]
        lines = [words for _, words in sorted(events, key=lambda event: event[0])]
        return "<br>".join(lines) or "none"

    def _answer_text(self, answer: Answer) -> tuple[int, str]:
        query = answer.query
        given = " + ".join(self._name(c) for c in answer.class_ids) or answer.outcome
        was = "" if query.pseudo_label is None else f", was {self._name(query.pseudo_label)}"
        asked = f"asked by model {query.model_round}" if query.model_round else "no model"
        clicks = f"{answer.clicks.total} click{'s' if answer.clicks.total != 1 else ''}"
        who = escape(answer.annotator)
        return query.round, f"Round {query.round}: <b>{given}</b>{was} ({clicks}, {who}, {asked})"

    def _correction_text(self, correction: AutomaticCorrection) -> tuple[int, str]:
        words = f"{self._name(correction.old_class)} → <b>{self._name(correction.new_class)}</b>"
        confidence = f"confidence {correction.confidence:.2f}"
        return correction.round, f"Round {correction.round}: {words} (automatic, {confidence})"

    def _class(self, class_id: int) -> ClassInfo | None:
        return self._classes[class_id] if class_id < len(self._classes) else None

    def _name(self, class_id: int) -> str:
        info = self._class(class_id)
        return "no class" if info is None else escape(info.name)


def _table(columns: Sequence[str]) -> QTreeWidget:
    table = QTreeWidget()
    table.setHeaderLabels(list(columns))
    table.setRootIsDecorated(False)
    table.setUniformRowHeights(True)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = table.header()
    if header is not None:
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table
