"""Running things on the thread that owns the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable


class MainThread(QObject):
    """Calls functions on the thread it was made on: at once from there, queued from elsewhere.

    After `close` calls are dropped, so that work that ends late does not reach what is gone.
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
        """Drop every call from now on, those that wait included."""
        self._open = False

    def _run(self, call: Callable[[], None]) -> None:
        if self._open:
            call()
