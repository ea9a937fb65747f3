"""The page on which the user changes keys: of actions, by pressing them, and of classes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_al.errors import InputError
from napari_al.plugin.control.keys import ACTIONS, shown
from napari_al.plugin.widgets.dock_space import outermost
from napari_al.plugin.widgets.form_parts import DoneButton, button, text
from napari_al.plugin.widgets.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QFocusEvent, QKeyEvent

    from napari_al.plugin.control.keys import ActionName, UserKeys

_NAME: Any = Qt.ItemDataRole.UserRole
_ALONE = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr)
_NAPARI_NAMES = {"Return": "Enter", "Esc": "Escape", "PgUp": "PageUp", "PgDown": "PageDown",
                 "Ins": "Insert", "Del": "Delete", "Backtab": "Tab"}  # fmt: skip
N_CLASS_KEYS_SHOWN = 20


class KeysPage(QWidget):
    """A table of all actions with their keys; a change is in force, and kept, at once."""

    left = Signal()
    """The user wants to go back to the questions."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: UserKeys | None = None
        self._adds: bool | None = None  # while the next key is taken: beside the others, or instead
        self.table = QTreeWidget()
        self.table.setColumnCount(2)
        self.table.setHeaderLabels(["Key", "What it does"])
        self.table.setRootIsDecorated(False)
        self.table.setMinimumHeight(220)
        self.table.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.table.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemDoubleClicked.connect(lambda *_: self._wait_for_key(add=False))
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.change = button(
            "Change", "press the key that is to do it", partial(self._wait_for_key, add=False)
        )
        self.add = button(
            "Add", "press a key that is to do it, too", partial(self._wait_for_key, add=True)
        )
        self.default = button("Default", "the key it had at first", self._on_default)
        self.all_default = button(
            "All as they were at first", "of actions and of classes", self._on_all_default
        )
        self.of_classes = QLineEdit()
        self.of_classes.setPlaceholderText("digits, then letters")
        self.of_classes.setToolTip("in the order of the classes, for example 1234QWER")
        self.of_classes.editingFinished.connect(self._on_of_classes)
        self._class_keys = text("", "muted")
        self._message = Message(self.table)
        self._done = DoneButton(self, self.left.emit)
        self._build()
        self._message.show_words("")
        self._on_selected()

    def _build(self) -> None:
        buttons = QHBoxLayout()
        for made in (self.change, self.add, self.default):
            buttons.addWidget(made, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(text("Keys", "question"))
        column.addWidget(text("They are yours, whatever project is open.", "muted"))
        column.addWidget(self.table, 1)
        column.addLayout(buttons)
        column.addWidget(text("Keys of classes", "title"))
        column.addWidget(self.of_classes)
        column.addWidget(self._class_keys)
        column.addWidget(self.all_default)
        column.addWidget(self._done)

    # ---- showing

    def show_keys(self, keys: UserKeys) -> None:
        """Show the keys in force; they are changed here."""
        self._keys = keys
        chosen = self._chosen
        self.table.blockSignals(True)
        self.table.clear()
        for name, action in ACTIONS.items():
            words = " or ".join(dict.fromkeys(shown(key) for key in keys.of(name)))
            item = QTreeWidgetItem([words, action.text])
            item.setData(0, _NAME, name)
            item.setToolTip(1, action.text)
            font = item.font(0)
            font.setBold(not keys.is_default(name))
            item.setFont(0, font)
            self.table.addTopLevelItem(item)
            item.setSelected(name == chosen)
        self.table.blockSignals(False)
        self.of_classes.setText(keys.preferred)
        given = " ".join(keys.free[:N_CLASS_KEYS_SHOWN])
        self._class_keys.setText("  ".join((*keys.conflicts(), f"In order: {given}…")))
        self._on_selected()

    @property
    def _chosen(self) -> ActionName | None:
        items = self.table.selectedItems()
        return items[0].data(0, _NAME) if items else None

    def _choose(self, name: ActionName) -> None:
        """Select the row of an action."""
        for row in range(self.table.topLevelItemCount()):
            item = self.table.topLevelItem(row)
            if item.data(0, _NAME) == name:
                self.table.setCurrentItem(item)

    def _on_selected(self) -> None:
        name = self._chosen
        self.change.setEnabled(name is not None)
        self.add.setEnabled(name is not None)
        are_own = name is not None and self._keys is not None and not self._keys.is_default(name)
        self.default.setEnabled(are_own)

    # ---- changes

    def _wait_for_key(self, *, add: bool) -> None:
        name = self._chosen
        if name is not None:
            self._adds = add
            self._done.escape.setEnabled(False)
            self._message.show_words(
                f"Press the key for “{ACTIONS[name].text}”; a click leaves it."
            )
            self.setFocus()

    def _end_waiting(self) -> bool:
        """Take no more keys; return whether the one that came was to be beside the others."""
        adds, self._adds = bool(self._adds), None
        self._done.escape.setEnabled(True)
        self._message.show_words("")
        return adds

    def _take(self, key: str) -> None:
        """Give the chosen action a key, or say why not."""
        adds, name, keys = self._end_waiting(), self._chosen, self._keys
        if name is None or keys is None:
            return
        menu_entry = menu_keys(self).get(key)
        if menu_entry is not None:
            self._message.show_words(
                f"{shown(key)} is napari's “{menu_entry}”: choose another key."
            )
            return
        owner = keys.owner(key)
        if self._attempt(lambda: keys.assign(name, key, add=adds)):
            self._choose(name)
        elif owner is not None:
            self._choose(owner)  # whose key it is

    def _on_default(self) -> None:
        name, keys = self._chosen, self._keys
        if name is not None and keys is not None:
            self._attempt(lambda: keys.reset(name))

    def _on_all_default(self) -> None:
        if self._keys is not None:
            self._message.show_words("")
            self._keys.reset_all()

    def _on_of_classes(self) -> None:
        if self._keys is not None:
            self._keys.prefer(self.of_classes.text().strip().upper())

    def _attempt(self, change: Callable[[], None]) -> bool:
        try:
            change()
        except InputError as error:
            self._message.show_words(str(error))
            return False
        self._message.show_words("")
        return True

    # ---- keyboard

    def event(self, event: QEvent | None) -> bool:
        """Take any key while one is waited for, also those of menus and of the focus."""
        if self._adds is not None and event is not None:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                if event.key() not in _ALONE:
                    self._take(key_name(event))
                event.accept()
                return True
        return bool(super().event(event))

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Leave the key as it is."""
        super().focusOutEvent(event)
        if self._adds is not None:
            self._end_waiting()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Keep keys from napari's canvas, where they would answer."""


def key_name(event: QKeyEvent) -> str:
    """Return a key as napari writes it: ``S``, ``Control-Shift-Z``, ``PageUp``."""
    last = QKeySequence(event.key()).toString(QKeySequence.SequenceFormat.PortableText)
    held = event.modifiers()
    is_letter = len(last) == 1 and last.isalpha()
    modifiers = []
    for name, flag, counts in (
        ("Meta", Qt.KeyboardModifier.MetaModifier, True),
        ("Control", Qt.KeyboardModifier.ControlModifier, True),
        ("Alt", Qt.KeyboardModifier.AltModifier, True),
        # Shift is part of other characters: "?" is one key for napari, not Shift and "/"
        ("Shift", Qt.KeyboardModifier.ShiftModifier, is_letter or len(last) > 1),
    ):
        if held & flag and counts:
            modifiers.append(name)
    return "-".join((*modifiers, _NAPARI_NAMES.get(last, last)))


def menu_keys(widget: QWidget) -> dict[str, str]:
    """Return the keys of the menus of the window around a widget, and what they do."""
    out = {}
    for menu in outermost(widget).findChildren(QMenu):
        for action in menu.actions():
            for sequence in action.shortcuts():
                keys = sequence.toString(QKeySequence.SequenceFormat.PortableText)
                name = keys.replace("Ctrl", "Control").replace("+", "-")
                out[name] = action.text().replace("&", "").strip(" .")
    return out
