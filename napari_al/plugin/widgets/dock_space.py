"""Room for a dock widget among the docks above and below it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


class DockSpace(QObject):
    """Gives a docked widget the height it needs, from the docks above and below it.

    Where they cannot give it, all of them become tabs, for the window would grow otherwise. It is
    looked after when the widget is docked, and when the others need more than they did then.

    Parameters
    ----------
    widget : QWidget
        Whose room it is, for life.
    min_height_px : int
    """

    def __init__(self, widget: QWidget, min_height_px: int) -> None:
        super().__init__(widget)
        self._widget, self._min_height_px = widget, min_height_px
        self._holder: QDockWidget | None = None
        self._window_was = QSize()
        self._taken_px = 0  # by the others, at least, when they were looked at last
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._make)
        widget.installEventFilter(self)

    def eventFilter(self, _: QObject | None, event: QEvent | None) -> bool:
        """Notice when the widget is docked or loses height."""
        if event is None or event.type() not in (QEvent.Type.Show, QEvent.Type.Resize):
            return False
        holder = self._widget.parentWidget()
        if isinstance(holder, QDockWidget) and holder is not self._holder:
            self._holder = holder
            holder.dockLocationChanged.connect(self._make_later)
            self._make_later()
        elif (
            self._widget.height() < self._min_height_px
            and _least_height(self._others()) > self._taken_px
        ):
            self._make_later()
        return False

    @property
    def _docked(self) -> tuple[QMainWindow, QDockWidget] | None:
        """The window and the dock in it; None while it floats or is in none."""
        holder = self._widget.parentWidget()
        window = None if holder is None else holder.parentWidget()
        if not isinstance(holder, QDockWidget) or not isinstance(window, QMainWindow):
            return None
        return None if holder.isFloating() else (window, holder)

    def _others(self) -> list[QDockWidget]:
        """Return the docks above and below."""
        if self._docked is None:
            return []
        window, holder = self._docked
        area, own = window.dockWidgetArea(holder), (holder, *window.tabifiedDockWidgets(holder))
        return [
            dock
            for dock in window.findChildren(QDockWidget)
            if dock not in own and dock.isVisible() and window.dockWidgetArea(dock) == area
        ]

    def _make_later(self, *_: object) -> None:
        if self._docked is not None and not self._soon.isActive():
            self._window_was = self._docked[0].size()
            self._soon.start(0)

    def _make(self) -> None:
        others = self._others()
        self._taken_px = _least_height(others)
        if self._docked is None or not others:
            return
        window, holder = self._docked
        middle, title_px = window.centralWidget(), holder.height() - self._widget.height()
        grown_px = window.height() - self._window_was.height()
        there_px = 0 if middle is None else middle.height() - grown_px
        if there_px - self._taken_px - title_px >= self._min_height_px:
            window.resizeDocks([holder], [window.height()], Qt.Orientation.Vertical)
            return
        for dock in others:
            window.tabifyDockWidget(holder, dock)
        holder.raise_()
        layout = window.layout()
        if grown_px and layout is not None:
            layout.activate()
            window.resize(self._window_was)


def _least_height(docks: list[QDockWidget]) -> int:
    return sum(dock.minimumSizeHint().height() for dock in docks)
