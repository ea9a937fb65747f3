"""Choice of the method, by the question that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from napari_al.methods.table import METHODS, RECOMMENDED
from napari_al.plugin.start.new_session import QUESTIONS
from napari_al.plugin.widgets.form_parts import choice, text

if TYPE_CHECKING:
    from napari_al.methods.table import Method, QueryType

_NEEDS = (
    "↑ needs labels to correct: train/initial_labels of the data folder, others, chosen at "
    "'Start from existing labels…', or such as a model makes: 'Make initial labels…'"
)


class MethodChoice(QWidget):
    """Questions to choose from, and the methods that ask the chosen one."""

    changed = Signal()
    """Another method is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._questions: dict[QueryType, QRadioButton] = {}
        self._method = choice(
            {}, "which regions are asked first, and what is learnt from the answers"
        )
        self._about = text("", "muted")
        self._needs = text(_NEEDS, "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        group = QButtonGroup(self)
        for query_type, (words, tip) in QUESTIONS.items():
            radio = QRadioButton(words)
            radio.setToolTip(tip)
            radio.toggled.connect(
                lambda on, query_type=query_type: self._list_methods(query_type) if on else None
            )
            group.addButton(radio)
            column.addWidget(radio)
            self._questions[query_type] = radio
            if query_type == "correction":
                column.addWidget(self._needs)
        column.addSpacing(4)
        column.addWidget(self._method)
        column.addWidget(self._about)
        self._method.currentIndexChanged.connect(lambda _: self._on_method())
        self._questions["dominant"].setChecked(True)
        self.set_can_correct(False)

    @property
    def method(self) -> Method:
        """The method chosen."""
        return METHODS[str(self._method.currentData())]

    def choose(self, method: Method) -> None:
        """Choose a method; for one that is not in the table, the question that it asks."""
        self._questions[method.query].setChecked(True)
        if method.name in METHODS:
            self._method.setCurrentIndex(self._method.findData(method.name))

    def set_can_correct(self, can_correct: bool) -> None:
        """Enable corrections only where there are labels to correct."""
        radio = self._questions["correction"]
        radio.setEnabled(can_correct)
        self._needs.setVisible(not can_correct)
        if radio.isChecked() and not can_correct:
            self._questions["dominant"].setChecked(True)

    def _list_methods(self, query_type: QueryType) -> None:
        self._method.blockSignals(True)
        self._method.clear()
        for row in METHODS.values():
            if row.query == query_type:
                advice = "  (recommended)" if row.name == RECOMMENDED[query_type] else ""
                self._method.addItem(f"{row.name}{advice}", row.name)
                last = self._method.count() - 1
                self._method.setItemData(last, row.summary, Qt.ItemDataRole.ToolTipRole)
        self._method.setCurrentIndex(self._method.findData(RECOMMENDED[query_type]))
        self._method.blockSignals(False)
        self._on_method()

    def _on_method(self) -> None:
        row = self.method
        published = f" ({row.paper})" if row.paper else ""
        self._about.setText(f"{row.summary[:1].upper()}{row.summary[1:]}{published}")
        self.changed.emit()
