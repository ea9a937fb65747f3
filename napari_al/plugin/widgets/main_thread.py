"""Calls on the window's thread: from other threads, and after a delay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    Dispatch = Callable[[Callable[[], None]], None]
    """Runs a function on the window's thread."""

NEXT_TURN_MS = 10
"""A timer of so long ends in another turn of the event loop: input and painting come before."""


class MainThread(QObject):
    """Runs functions on the thread it was made on: at once from there, queued from elsewhere.

    After `close` calls are dropped, so that work that ends late does not reach deleted objects.
    """

    _called = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._called.connect(self._run)

    def __call__(self, call: Callable[[], None]) -> None:
        """Run ``call`` on the main thread."""
        if self._open:
            self._called.emit(call)

    def close(self) -> None:
        """Drop every call from now on, queued ones included."""
        self._open = False

    def _run(self, call: Callable[[], None]) -> None:
        if self._open:
            call()


def timer(interval_ms: int, on_timeout: Callable[[], object], *, repeat: bool = False) -> QTimer:
    """Return a stopped timer that calls back once (or repeatedly) after each start."""
    made = QTimer()
    made.setSingleShot(not repeat)
    made.setInterval(interval_ms)
    made.timeout.connect(on_timeout)
    return made
