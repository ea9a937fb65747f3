"""The window that a dock widget is in: room to answer in it, and the session's end with it."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_al.errors import InputError
from napari_al.plugin.viewers import close_workbench
from napari_al.plugin.widgets.dock_space import Room

if TYPE_CHECKING:
    from napari_al.plugin.control.workbench import Workbench

MIN_HEIGHT_PX = 520
"""Below it, question, classes and the tabs under them cannot be seen at once."""


class Docking(QObject):
    """Watches the window around a dock widget.

    Parameters
    ----------
    dock : QWidget
    bench : Workbench
        Of the window's viewer; closed with the window.
    """

    def __init__(self, dock: QWidget, bench: Workbench) -> None:
        super().__init__(dock)
        self._dock, self._bench = dock, bench
        self._window: weakref.ref[QWidget] | None = None  # strong, it would keep both for ever
        Room(dock, MIN_HEIGHT_PX)

    def main_window(self) -> QWidget:
        """Return the outermost widget around the dock."""
        widget = self._dock
        while widget.parentWidget() is not None:
            widget = widget.parentWidget()
        return widget

    def look(self) -> None:
        """Find the window; called when the dock shows."""
        window = self.main_window()
        if window is not self._dock and (self._window is None or self._window() is not window):
            self._window = weakref.ref(window)
            window.installEventFilter(self)

    # ---- closing

    def may_close(self) -> bool:
        """Whether no answer would be lost; if one would, that is for the user to say."""
        try:
            self._bench.handing_in.keep_unsaved()
        except InputError as error:
            buttons = QMessageBox.StandardButton
            words = f"{error}\n\nClose anyway, and lose them?"
            chosen = QMessageBox.warning(
                self._dock, "Answers are not saved", words, buttons.Discard | buttons.Cancel
            )
            return bool(chosen == buttons.Discard)
        return True

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Close the session when the window has closed (it may also refuse to)."""
        window = self._window
        if (
            window is not None
            and watched is window()
            and event is not None
            and event.type() == QEvent.Type.Close
        ):
            if not self.may_close():
                event.ignore()
                return True
            self._bench.stage.may_end = True
            QTimer.singleShot(0, partial(_close_if_gone, window, weakref.ref(self._bench)))
        return bool(super().eventFilter(watched, event))


def _close_if_gone(window: weakref.ref[QWidget], bench: weakref.ref[Workbench]) -> None:
    own, open_bench = window(), bench()
    try:
        is_gone = own is None or not own.isVisible()
    except RuntimeError:  # Qt has deleted it
        is_gone = True
    if open_bench is None:
        return
    open_bench.stage.may_end = False
    if is_gone:
        close_workbench(open_bench.viewer)
