"""List of the classes of a new project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, check_classes, default_color, read_classes
from napari_al.plugin.widgets.form_parts import button, swatch

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW_PX = 24
N_ROWS_SHOWN = 6
_COLOR = Qt.ItemDataRole.UserRole
MIN_BUTTON_PX = 60
"""Four of them fit into the dock beside its scroll bar."""


class ClassList(QWidget):
    """A list of classes to type, rename, reorder and colour."""

    changed = Signal()
    failed = Signal(str)
    labels_wanted = Signal(Path)
    """A folder of label images whose classes are to be read."""

    def __init__(self) -> None:
        super().__init__()
        self._list = QListWidget()
        self._list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self._list.setToolTip("double-click renames; drag reorders; the first one gets key 1")
        self._list.itemChanged.connect(lambda _: self.changed.emit())
        self.entry = QLineEdit()
        self.entry.setPlaceholderText("sky, road, car …  then Enter")
        self.entry.setToolTip("one class, or several with commas between")
        self.entry.returnPressed.connect(self.add_typed)
        row = QHBoxLayout()
        row.setSpacing(3)
        sources = QMenu(self)
        sources.addAction("a classes.json…", self._read)
        sources.addAction("a folder of label images…", self._choose_labels)
        read = button("Read…", "classes that are written down somewhere")
        read.setMenu(sources)
        for made in (
            button("Add", "add what is typed above", self.add_typed),
            button("Remove", "remove the selected class", self._remove),
            button("Colour…", "choose the selected class's colour", self._recolor),
            read,
        ):
            made.setMinimumWidth(MIN_BUTTON_PX)
            row.addWidget(made, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        for widget in (self._list, self.entry):
            column.addWidget(widget)
        column.addLayout(row)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._adjust_height()

    @property
    def n_classes(self) -> int:
        """How many are listed."""
        return int(self._list.count())

    def classes(self) -> tuple[ClassInfo, ...]:
        """Return the classes.

        Raises
        ------
        InputError
            If there are fewer than two, or two of one name.
        """
        if self._list.count() < 2:
            raise InputError("Name at least two classes, e.g. 'background, object'.")
        rows = [self._list.item(i) for i in range(self._list.count())]
        return check_classes(
            [
                {"id": i, "name": item.text(), "color": item.data(_COLOR)}
                for i, item in enumerate(rows)
                if item is not None
            ],
            "the classes",
        )

    def shows(self, classes: Sequence[ClassInfo]) -> bool:
        """Whether the list shows these classes, by their names."""
        rows = [self._list.item(i) for i in range(self._list.count())]
        return [item.text() for item in rows if item is not None] == [c.name for c in classes]

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Show these classes instead."""
        self._list.clear()
        for info in classes:
            self._append(info.name, info.color)
        self._adjust_height()
        self.changed.emit()

    def add_typed(self) -> None:
        """Add what has been typed."""
        names = [name.strip() for name in self.entry.text().split(",") if name.strip()]
        for name in names:
            self._append(name, default_color(self._list.count()))
        self.entry.clear()
        self._adjust_height()
        self.changed.emit()

    def _append(self, name: str, color: str) -> None:
        item = QListWidgetItem(QIcon(swatch(color)), name)
        item.setData(_COLOR, color)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        self._list.addItem(item)

    def _remove(self) -> None:
        for item in self._list.selectedItems():
            self._list.takeItem(self._list.row(item))
        self._adjust_height()
        self.changed.emit()

    def _recolor(self) -> None:
        for item in self._list.selectedItems():
            color = QColorDialog.getColor(QColor(item.data(_COLOR)), self, "Colour of the class")
            if color.isValid():
                item.setData(_COLOR, color.name())
                item.setIcon(QIcon(swatch(color.name())))

    def _read(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Classes", "", "Classes (*.json)")
        if name:
            try:
                self.set_classes(read_classes(Path(name)))
            except InputError as error:
                self.failed.emit(str(error))

    def _choose_labels(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder of label images")
        if name:
            self.labels_wanted.emit(Path(name))

    def _adjust_height(self) -> None:
        n_rows = min(max(self._list.count(), 2), N_ROWS_SHOWN)
        self._list.setFixedHeight(n_rows * ROW_PX + 6)
