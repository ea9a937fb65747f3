"""The window around a dock widget: its height in the window, and closing the session with it."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QDockWidget, QMessageBox, QWidget

from napari_al.errors import InputError
from napari_al.plugin.viewers import close_workbench
from napari_al.plugin.widgets.dock_space import DockSpace, outermost

if TYPE_CHECKING:
    from napari_al.plugin.control.workbench import Workbench

NAPARI_PANELS = ("layer list", "layer controls")
MIN_HEIGHT_PX = 520
"""Below it, question, classes and the tabs under them cannot be seen at once."""


class DockArea(QObject):
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
        self._window: weakref.ref[QWidget] | None = None  # a strong reference would keep both alive
        DockSpace(dock, MIN_HEIGHT_PX)

    def main_window(self) -> QWidget:
        """Return the outermost widget around the dock."""
        return outermost(self._dock)

    def find_window(self) -> None:
        """Watch the window; called when the dock is shown."""
        window = self.main_window()
        if window is not self._dock and (self._window is None or self._window() is not window):
            self._window = weakref.ref(window)
            window.installEventFilter(self)

    def toggle_panels(self) -> None:
        """Fold napari's own panels, or bring them back."""
        docks = self.main_window().findChildren(QDockWidget)
        panels = [dock for dock in docks if dock.objectName() in NAPARI_PANELS]
        are_shown = any(panel.isVisible() for panel in panels)
        for panel in panels:
            panel.setVisible(not are_shown)

    # ---- closing

    def may_close(self) -> bool:
        """Whether no answer would be lost; otherwise the user decides."""
        opened = self._bench.opened
        if opened is None:
            return True
        try:
            opened.submission.rescue_unsaved()
        except InputError as error:
            buttons = QMessageBox.StandardButton
            words = f"{error}\n\nClose anyway, and lose them?"
            chosen = QMessageBox.warning(
                self._dock, "Answers are not saved", words, buttons.Discard | buttons.Cancel
            )
            return bool(chosen == buttons.Discard)
        return True

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Close the session after the window has closed, which it may refuse to."""
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
            _set_closing(self._bench, True)
            QTimer.singleShot(0, partial(_close_if_gone, window, weakref.ref(self._bench)))
        return bool(super().eventFilter(watched, event))


def _set_closing(bench: Workbench, closing: bool) -> None:
    if bench.opened is not None:
        bench.opened.display.is_closing = closing


def _close_if_gone(window: weakref.ref[QWidget], bench: weakref.ref[Workbench]) -> None:
    own, open_bench = window(), bench()
    try:
        is_gone = own is None or not own.isVisible()
    except RuntimeError:  # Qt has deleted it
        is_gone = True
    if open_bench is None:
        return
    _set_closing(open_bench, False)
    if is_gone:
        close_workbench(open_bench.viewer)
