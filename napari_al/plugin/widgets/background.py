"""Work off the window's thread: results come back on it, and per slot the latest request wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future

    from napari_al.plugin.widgets.main_thread import Dispatch


class _Request(NamedTuple):
    future: Future[Any]
    on_dropped: Callable[[Any], object]


class Background:
    """Worker threads of one owner.

    A request that is superseded is not started any more; if it is running, its result is
    discarded.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread.
    n_threads : int
        With one, requests run in the order in which they were made.
    """

    def __init__(self, dispatch: Dispatch, n_threads: int = 2) -> None:
        self._dispatch = dispatch
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="napari-al")
        self._requests: dict[Hashable, _Request] = {}
        self._is_closed = False

    def request(
        self,
        slot: Hashable,
        work: Callable[[], Any],
        on_done: Callable[[Any], object],
        on_error: Callable[[InputError | OSError], object],
        on_dropped: Callable[[Any], object] = lambda _: None,
    ) -> None:
        """Run ``work`` in a thread, then ``on_done`` or ``on_error`` on the window's thread.

        ``on_dropped`` gets the result instead if the request is dropped meanwhile: from any
        thread, also when `dispatch` runs nothing any more. Use it to release what was opened.
        """
        if self._is_closed:  # by an event that was handled while the owner was at work
            return
        self.drop(slot)
        future = self._pool.submit(work)
        self._requests[slot] = _Request(future, on_dropped)

        def deliver() -> None:
            current = self._requests.get(slot)
            if current is None or current.future is not future:
                return
            del self._requests[slot]
            error = future.exception()
            if isinstance(error, InputError | OSError):
                on_error(error)
            elif error is not None:
                raise error
            else:
                on_done(future.result())

        future.add_done_callback(lambda _: self._dispatch(deliver))

    @property
    def is_busy(self) -> bool:
        """Whether any request is neither delivered nor dropped."""
        return bool(self._requests)

    def is_pending(self, slot: Hashable) -> bool:
        """Whether a slot's request is neither delivered nor dropped."""
        return slot in self._requests

    def drop(self, slot: Hashable) -> None:
        """Cancel a slot's request, or discard its result."""
        request = self._requests.pop(slot, None)
        if request is not None and not request.future.cancel():
            request.future.add_done_callback(
                lambda done: None if done.exception() else request.on_dropped(done.result())
            )

    def drop_all(self) -> None:
        """Cancel every request, or discard its result."""
        for slot in list(self._requests):
            self.drop(slot)

    def close(self) -> None:
        """Drop all requests and end the threads once running work has ended; ignore new ones."""
        self._is_closed = True
        self.drop_all()
        self._pool.shutdown(wait=False)
