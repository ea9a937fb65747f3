"""Signal connections, key bindings and callbacks that are all undone together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ConnectionList:
    """Connections of one owner; `close` undoes them, the newest first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def connect(self, signal: Any, slot: Callable[..., object]) -> None:
        """Connect a signal of psygnal, Qt or napari."""
        signal.connect(slot)
        self._undo.append(lambda: signal.disconnect(slot))

    def connect_all(self, *pairs: tuple[Any, Callable[..., object]]) -> None:
        """Connect (signal, slot) pairs."""
        for signal, slot in pairs:
            self.connect(signal, slot)

    def bind(self, provider: Any, key: str, action: Callable[[], object]) -> None:
        """Bind a key of a viewer or a layer; `close` restores the earlier binding."""
        before = provider.bind_key(key, lambda _: action(), overwrite=True)
        self._undo.append(lambda: provider.bind_key(key, before, overwrite=True))

    def append(self, callbacks: list[Any], callback: Any) -> None:
        """Add a callback to one of napari's lists."""
        callbacks.append(callback)
        self._undo.append(lambda: callbacks.remove(callback) if callback in callbacks else None)

    def close(self) -> None:
        """Undo everything; may be called again."""
        while self._undo:
            undo = self._undo.pop()
            with suppress(RuntimeError, TypeError):  # Qt has deleted one of the two ends
                undo()

    def __len__(self) -> int:
        return len(self._undo)
