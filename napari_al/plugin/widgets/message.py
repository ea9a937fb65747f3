"""A message over the lower end of another widget, so that nothing moves when it comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel

from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from qtpy.QtCore import QObject
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QWidget


class Message(QLabel):
    """Words for the user; a click hides them.

    Parameters
    ----------
    over : QWidget
        What is covered.
    seconds : float, optional
        After which they hide by themselves.
    """

    def __init__(self, over: QWidget, seconds: float | None = None) -> None:
        super().__init__(over)
        self.setProperty("role", "message")
        self.setWordWrap(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("click: hide it")
        self._end = None if seconds is None else timer(round(1000 * seconds), self.hide)
        over.installEventFilter(self)
        self.hide()

    def show_words(self, words: str) -> None:
        """Show a message; "" hides it."""
        self.setText(words)
        self.setVisible(bool(words))
        self._place()
        if self._end is not None:
            self._end.start()

    def eventFilter(self, over: QObject | None, event: QEvent | None) -> bool:
        """Stay at the lower end."""
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._place()
        return False

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Hide it."""
        self.hide()

    def _place(self) -> None:
        over = self.parentWidget()
        if over is not None:
            seen = over.visibleRegion().boundingRect() or over.rect()  # it may be scrolled
            height = min(self.heightForWidth(seen.width()), seen.height())
            self.setGeometry(seen.left(), seen.bottom() + 1 - height, seen.width(), height)
            self.raise_()
