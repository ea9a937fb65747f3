"""Height of a dock widget among the docks above and below it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


class DockSpace(QObject):
    """Gives a docked widget its minimum height, taken from the docks above and below it.

    Where they are too high themselves, all become tabs; otherwise the window would grow. Checked
    when the widget is docked, and when the other docks need more height than before.

    Parameters
    ----------
    widget : QWidget
        Its parent and subject.
    min_height_px : int
    """

    def __init__(self, widget: QWidget, min_height_px: int) -> None:
        super().__init__(widget)
        self._widget, self._min_height_px = widget, min_height_px
        self._dock: QDockWidget | None = None
        self._window_was = QSize()
        self._taken_px = 0  # minimum height of the others at the last check
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._adjust)
        widget.installEventFilter(self)

    def eventFilter(self, _: QObject | None, event: QEvent | None) -> bool:
        """Check when the widget is docked or loses height."""
        if event is None or event.type() not in (QEvent.Type.Show, QEvent.Type.Resize):
            return False
        dock_widget = self._widget.parentWidget()
        if isinstance(dock_widget, QDockWidget) and dock_widget is not self._dock:
            self._dock = dock_widget
            dock_widget.dockLocationChanged.connect(self._schedule)
            self._schedule()
        elif (
            self._widget.height() < self._min_height_px
            and _least_height(self._others()) > self._taken_px
        ):
            self._schedule()
        return False

    @property
    def _docked(self) -> tuple[QMainWindow, QDockWidget] | None:
        """The window and the dock in it; None while it floats or is not docked."""
        dock_widget = self._widget.parentWidget()
        window = None if dock_widget is None else dock_widget.parentWidget()
        if not isinstance(dock_widget, QDockWidget) or not isinstance(window, QMainWindow):
            return None
        return None if dock_widget.isFloating() else (window, dock_widget)

    def _others(self) -> list[QDockWidget]:
        """Return the docks above and below."""
        if self._docked is None:
            return []
        window, dock_widget = self._docked
        area, own = (
            window.dockWidgetArea(dock_widget),
            (dock_widget, *window.tabifiedDockWidgets(dock_widget)),
        )
        return [
            dock
            for dock in window.findChildren(QDockWidget)
            if dock not in own and dock.isVisible() and window.dockWidgetArea(dock) == area
        ]

    def _schedule(self, *_: object) -> None:
        if self._docked is not None and not self._timer.isActive():
            self._window_was = self._docked[0].size()
            self._timer.start(0)

    def _adjust(self) -> None:
        others = self._others()
        self._taken_px = _least_height(others)
        if self._docked is None or not others:
            return
        window, dock_widget = self._docked
        middle, title_px = window.centralWidget(), dock_widget.height() - self._widget.height()
        grown_px = window.height() - self._window_was.height()
        there_px = 0 if middle is None else middle.height() - grown_px
        if there_px - self._taken_px - title_px >= self._min_height_px:
            window.resizeDocks([dock_widget], [window.height()], Qt.Orientation.Vertical)
            return
        for dock in others:
            window.tabifyDockWidget(dock_widget, dock)
        dock_widget.raise_()
        layout = window.layout()
        if grown_px and layout is not None:
            layout.activate()
            window.resize(self._window_was)


def _least_height(docks: list[QDockWidget]) -> int:
    return sum(dock.minimumSizeHint().height() for dock in docks)


def outermost(widget: QWidget) -> QWidget:
    """Return the widget around all others that a widget is in: napari's window for a dock."""
    while widget.parentWidget() is not None:
        widget = widget.parentWidget()
    return widget
