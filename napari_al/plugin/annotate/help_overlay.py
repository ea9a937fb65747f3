"""Overlay with all keys."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from napari_al.plugin.control.keys import ACTIONS, shown
from napari_al.plugin.widgets.form_parts import text
from napari_al.plugin.widgets.theme import ThemeColors, style_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QHideEvent, QKeyEvent, QMouseEvent

    from napari_al.plugin.control.keys import UserKeys

N_CLASS_ROWS = 14
_MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta)
_CLICKS = {
    "Answer": (
        ("Shift+click", "join a neighbouring region to this one, or take it out again"),
        ("Click", "while the prediction is shown: answer this region, or change its answer"),
    ),
    "Look": (("Drag, wheel", "move and zoom the picture"),),
}


class HelpOverlay(QFrame):
    """Covers the window until a click or any key."""

    def __init__(
        self,
        over: QWidget,
        classes: Sequence[tuple[str, str]],
        keys: UserKeys,
        colors: ThemeColors,
    ) -> None:
        super().__init__(over)
        self.setObjectName("keys")
        self.setStyleSheet(
            style_sheet(colors)
            + f"#keys {{ background: {colors.background}; border: 1px solid {colors.frame};"
            " border-radius: 8px; }"
        )
        self._focus_before = over.focusWidget()
        grid = QGridLayout(self)
        grid.setContentsMargins(24, 18, 24, 18)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(5)
        for column, group in ((0, "Answer"), (3, "Look")):
            grid.addWidget(text(group, "title", wrap=False), 0, column, 1, 2)
            rows = [action for action in ACTIONS.values() if action.group == group]
            for row, action in enumerate(rows, start=1):
                caps = " or ".join(dict.fromkeys(shown(key) for key in keys.of(action.name)))
                self._add(grid, row, column, caps, action.text)
            for row, clicks in enumerate(_CLICKS[group], start=len(rows) + 1):
                self._add(grid, row, column, *clicks)
        grid.addWidget(text("Classes", "title", wrap=False), 0, 6, 1, 2)
        for row, (key, name) in enumerate(classes[:N_CLASS_ROWS], start=1):
            self._add(grid, row, 6, key, name)
        if len(classes) > N_CLASS_ROWS:
            more = f"and {len(classes) - N_CLASS_ROWS} more; their keys stand on the buttons"
            grid.addWidget(text(more, "muted", wrap=False), N_CLASS_ROWS + 1, 6, 1, 2)
        last = grid.rowCount()
        how = "Click here, or press any key, to go on. Keys are changed on the View tab."
        grid.addWidget(text(how, "muted"), last, 0, 1, 8)
        self.adjustSize()
        self.move(
            max(0, (over.width() - self.width()) // 2), max(0, (over.height() - self.height()) // 2)
        )
        self.show()
        self.raise_()
        self.setFocus()

    def _add(self, grid: QGridLayout, row: int, column: int, key: str, words: str) -> None:
        cap: QLabel = text(key, "key", wrap=False)
        grid.addWidget(cap, row, column, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(text(words, wrap=False), row, column + 1)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Hide."""
        if event is not None:
            event.accept()
        self.hide()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Hide, and keep the key from the canvas, where it would be an answer."""
        if event is not None:
            event.accept()
            if event.key() not in _MODIFIERS:
                self.hide()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Give the keyboard focus back."""
        super().hideEvent(event)
        if self._focus_before is not None:
            with suppress(RuntimeError):  # Qt has deleted it with the window
                self._focus_before.setFocus()
