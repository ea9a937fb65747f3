"""Class buttons with colour, name, key and count, and a field to search them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_al.formats.classes import live_classes
from napari_al.plugin.widgets.form_parts import swatch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qtpy.QtCore import QObject

    from napari_al.formats.dataset import ClassInfo

N_ROWS_SHOWN = 9
N_ONE_COLUMN = 5
LONG_NAME = 12
"""Letters; with mostly longer names the buttons are in one column."""
ROW_PX = 32
KEY_PX = 20


class ClassButton(QPushButton):
    """One class: swatch, name, count, key."""

    def __init__(self, info: ClassInfo, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.info, self.key = info, key
        self.setProperty("role", "class")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFixedHeight(ROW_PX - 2)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(info.name)
        self.setToolTip(f"{info.name}  ({key})")
        self._color = QLabel()
        self._color.setPixmap(swatch(info.color))
        self._name = QElidingLabel(info.name)
        self._name.setElideMode(Qt.TextElideMode.ElideMiddle)
        self._name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._count = QLabel("")
        self._count.setProperty("role", "muted")
        self._key = QLabel(key)
        self._key.setProperty("role", "key")
        self._key.setFixedSize(KEY_PX + 8 * (len(key) - 1), KEY_PX)
        self._key.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 4, 0)
        row.setSpacing(6)
        for label, stretch in ((self._color, 0), (self._name, 1), (self._count, 0), (self._key, 0)):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            row.addWidget(label, stretch)

    def set_count(self, count: int) -> None:
        """Show how many answers name the class."""
        self._count.setText(str(count) if count else "")

    def minimumSizeHint(self) -> QSize:
        """Allow any width: long names are elided."""
        return QSize(80, ROW_PX - 2)


class ClassesPanel(QWidget):
    """Buttons for all classes; ``chosen`` carries the id of the one that was clicked."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: list[ClassButton] = []
        self._key_prefix = ""
        self._search = QLineEdit()
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._filter)
        self._search.installEventFilter(self)
        self._grid = QGridLayout()
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self._search)
        column.addWidget(self._scroll)

    def show_find_key(self, key: str) -> None:
        """Show the key that puts the cursor into the search field."""
        self._search.setPlaceholderText(f"Find a class ({key}), Enter chooses it")

    def set_classes(self, classes: Sequence[ClassInfo], keys: Sequence[str]) -> None:
        """Show these classes and their keys; not those merged into others."""
        self._buttons = []
        holder = QWidget()
        self._grid = QGridLayout(holder)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        for info in live_classes(classes):
            button = ClassButton(info, keys[info.id])
            button.clicked.connect(lambda _=False, class_id=info.id: self.chosen.emit(class_id))
            self._buttons.append(button)
        self._scroll.setWidget(holder)  # Qt deletes the former one
        self._search.clear()
        self._filter("")

    def set_chosen(self, class_ids: Collection[int], *, several: bool) -> None:
        """Show which classes are chosen so far, where more than a click makes an answer."""
        for button in self._buttons:
            button.setCheckable(several)
            button.setChecked(several and button.info.id in class_ids)

    def set_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many answers name each class."""
        for button in self._buttons:
            button.set_count(counts.get(button.info.id, 0))

    def set_key_prefix(self, keys: str) -> None:
        """Show only the classes whose keys start with this; "" = all."""
        self._key_prefix = keys
        self._filter(self._search.text())

    def find(self) -> None:
        """Put the cursor into the search field."""
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Leave the search field on Escape, choose on Enter; neither key reaches the canvas."""
        if watched is self._search and event is not None and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                self._leave_search()
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._choose_first()
                return True
        return bool(super().eventFilter(watched, event))

    def _filter(self, text: str) -> None:
        wanted = text.strip().casefold()
        found = [
            b
            for b in self._buttons
            if wanted in b.info.name.casefold() and b.key.startswith(self._key_prefix)
        ]
        found.sort(key=lambda b: not b.info.name.casefold().startswith(wanted))
        for button in self._buttons:
            button.setVisible(False)
            self._grid.removeWidget(button)
        n_columns = self._n_columns
        n_rows = -(-len(found) // n_columns)
        for index, button in enumerate(found):
            # unfiltered, keys run down the columns; search results run along the rows
            by_column = (index % n_rows, index // n_rows)
            row, column = divmod(index, n_columns) if wanted else by_column
            self._grid.addWidget(button, row, column)
            button.setVisible(True)
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < n_columns else 0)
        n_all = -(-len(self._buttons) // n_columns)
        self._scroll.setFixedHeight(max(1, min(n_all, N_ROWS_SHOWN)) * ROW_PX + 2)

    @property
    def _n_columns(self) -> int:
        n_long = sum(len(button.info.name) >= LONG_NAME for button in self._buttons)
        few = len(self._buttons) <= N_ONE_COLUMN
        return 1 if few or 2 * n_long > len(self._buttons) else 2

    def _choose_first(self) -> None:
        text = self._search.text().strip()
        first = self._grid.itemAtPosition(0, 0)
        if text and first is not None:
            class_id = first.widget().info.id
            self._leave_search()
            self.chosen.emit(class_id)

    def _leave_search(self) -> None:
        self._search.clear()
        self._search.clearFocus()
