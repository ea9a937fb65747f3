"""The page on which the classes of a project are added, renamed, recoloured, merged, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_al.core import IGNORE
from napari_al.formats.classes import ClassInfo, default_color, live_classes
from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.widgets.form_parts import DoneButton, button, key_button, swatch, text
from napari_al.plugin.widgets.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QKeyEvent
    from qtpy.QtWidgets import QPushButton

_ID: Any = Qt.ItemDataRole.UserRole
N_MERGED_SHOWN = 4
ROW_PX = 24


class ClassEditor(QWidget):
    """Each change is applied at once as an edit of its own, and undone like an answer."""

    edited = Signal(tuple)
    """All classes after the edit."""
    undo_wanted = Signal()
    redo_wanted = Signal()
    left = Signal()
    """The user wants to go back to the questions."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: tuple[ClassInfo, ...] = ()
        self._counts: Mapping[int, int] = {}
        self.list = _list("double-click or F2 renames; Ctrl+click selects several")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.itemChanged.connect(self._on_renamed)
        self.list.itemSelectionChanged.connect(self._on_selected)
        self.entry = QLineEdit()
        self.entry.setPlaceholderText("a new class, then Enter; several with commas")
        self.entry.setToolTip("new classes come after the others; their keys do not change")
        self.entry.returnPressed.connect(self._add)
        self.into = QComboBox()
        self.into.setToolTip("the class that the selected ones become")
        self.merged = _list("classes that count as another one, or as none")
        self.merged.itemSelectionChanged.connect(self._on_selected)
        self._recolor = _focusable("Colour…", "another colour", self._on_recolor)
        self._rename = _focusable("Rename  F2", "another name", self._on_rename)
        self._merge = _focusable("Merge", "answers stay, and count as this class", self._on_merge)
        self._separate = _focusable("Bring back", "a class of its own again", self._on_separate)
        self._delete = _focusable(
            "Delete",
            "only what no answer names; in labels of the data folder it then is no label",
            self._on_delete,
        )
        self._message = Message(self.list)
        self._build()

    def _build(self) -> None:
        edits, merging = QHBoxLayout(), QHBoxLayout()
        for made in (self._rename, self._recolor, self._delete):
            edits.addWidget(made, 1)
        merging.addWidget(text("Selected are", wrap=False))
        merging.addWidget(self.into, 1)
        merging.addWidget(self._merge)
        self._merged_title = text("Merged or deleted", "title")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(text("Classes", "question"))
        column.addWidget(
            text(
                "Answers are kept whatever you change here, and undo takes a change back.", "muted"
            )
        )
        column.addWidget(self.list, 1)
        column.addWidget(self.entry)
        column.addLayout(edits)
        column.addLayout(merging)
        column.addWidget(self._merged_title)
        column.addWidget(self.merged)
        column.addWidget(self._separate)
        steps = QHBoxLayout()
        for made in (
            key_button("Undo", "take the last change back", self.undo_wanted.emit, "undo"),
            key_button("Redo", "put it back", self.redo_wanted.emit, "redo"),
        ):
            steps.addWidget(made, 1)
        column.addLayout(steps)
        column.addWidget(DoneButton(self, self.left.emit))

    def show_classes(self, classes: Sequence[ClassInfo], counts: Mapping[int, int]) -> None:
        """Show a project's classes and how many answers name each."""
        chosen = {item.data(_ID) for item in self.list.selectedItems()}
        self._classes, self._counts = tuple(classes), counts
        self.show_message("")
        self.list.blockSignals(True)
        self.list.clear()
        self.into.clear()
        for info in live_classes(classes):
            item = QListWidgetItem(QIcon(swatch(info.color)), info.name)
            item.setData(_ID, info.id)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setToolTip(count(counts.get(info.id, 0), "answer"))
            self.list.addItem(item)
            item.setSelected(info.id in chosen)
            self.into.addItem(QIcon(swatch(info.color)), info.name, info.id)
        self.list.blockSignals(False)
        self.merged.clear()
        names = {info.id: info.name for info in classes}
        for info in classes:
            if info.merged_into is not None:
                now = "deleted" if info.is_deleted else names[info.merged_into]
                item = QListWidgetItem(f"{info.name} → {now}")
                item.setData(_ID, info.id)
                self.merged.addItem(item)
        self.merged.setFixedHeight(min(self.merged.count(), N_MERGED_SHOWN) * ROW_PX + 6)
        for widget in (self._merged_title, self.merged, self._separate):
            widget.setVisible(self.merged.count() > 0)
        self._on_selected()

    def show_message(self, words: str) -> None:
        """Show an error; "" hides it."""
        self._message.show_words(words)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Keep keys from napari's canvas, except those with Ctrl (undo, redo)."""
        if event is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().keyPressEvent(event)

    # ---- changes

    def _change(self, changes: Mapping[int, Mapping[str, Any]]) -> None:
        """Emit an edit that changes some fields of some classes."""
        self.edited.emit(tuple({**c.model_dump(), **changes.get(c.id, {})} for c in self._classes))

    def _add(self) -> None:
        names = [name.strip() for name in self.entry.text().split(",") if name.strip()]
        back = {c.name: {**c.model_dump(), "merged_into": None} for c in self._classes
                if c.is_deleted and c.name in names}  # fmt: skip
        new = enumerate((name for name in names if name not in back), start=len(self._classes))
        added = [{"id": i, "name": name, "color": default_color(i)} for i, name in new]
        before = self._classes
        if names:
            self.edited.emit((*(back.get(c.name, c) for c in before), *added))
        if self._classes != before:  # the edit was accepted
            self.entry.clear()

    def _on_renamed(self, item: QListWidgetItem) -> None:
        changes = {item.data(_ID): {"name": item.text()}}
        # later: the list still edits the item
        QTimer.singleShot(0, lambda: self._change(changes))

    def _on_rename(self) -> None:
        items = self.list.selectedItems()
        if items:
            self.list.setFocus()
            self.list.editItem(items[0])

    def _on_recolor(self) -> None:
        for class_id in [item.data(_ID) for item in self.list.selectedItems()]:
            info = self._classes[class_id]
            color = QColorDialog.getColor(QColor(info.color), self, f"Colour of {info.name}")
            if color.isValid():
                self._change({class_id: {"color": color.name()}})

    def _on_merge(self) -> None:
        into = int(self.into.currentData())
        chosen = {item.data(_ID) for item in self.list.selectedItems()} - {into}
        merged_before = {c.id for c in self._classes if c.merged_into in chosen}
        if chosen:
            self._change({c: {"merged_into": into} for c in chosen | merged_before})

    def _on_delete(self) -> None:
        chosen = {item.data(_ID) for item in self.list.selectedItems()}
        merged_before = {c.id for c in self._classes if c.merged_into in chosen}
        self._change({c: {"merged_into": IGNORE} for c in chosen | merged_before})

    def _on_separate(self) -> None:
        items = self.merged.selectedItems() or [self.merged.item(0)]
        self._change({item.data(_ID): {"merged_into": None} for item in items if item})

    def _on_selected(self) -> None:
        selected = [item.data(_ID) for item in self.list.selectedItems()]
        n_selected = len(selected)
        self._rename.setEnabled(n_selected == 1)
        self._recolor.setEnabled(n_selected > 0)
        self._merge.setEnabled(n_selected > 0 and self.into.count() > 2)
        unused = n_selected > 0 and not any(self._counts.get(c) for c in selected)
        self._delete.setEnabled(unused and self.into.count() - n_selected >= 2)


def _list(tip: str) -> QListWidget:
    made = QListWidget()
    made.setToolTip(tip)
    return made


def _focusable(words: str, tip: str, on_click: Any) -> QPushButton:
    """Return a button that the Tab key reaches."""
    made = button(words, tip, on_click)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made
