"""Work off the window's thread of which only the newest wish counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class _Wish(NamedTuple):
    """What is being done, and what becomes of its result if nobody hears it."""

    future: Future[Any]
    unheard: Callable[[Any], object]


class Latest:
    """Does things in threads; of each slot only the newest wish, whatever ends first.

    A wish that was overtaken is not begun any more; if it is under way, its result is not heard.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(self, dispatch: Callable[[Callable[[], None]], None]) -> None:
        self._dispatch = dispatch
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="latest")
        self._newest: dict[str, _Wish] = {}

    def ask(
        self,
        slot: str,
        work: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[InputError | OSError], object],
        unheard: Callable[[Any], object] = lambda _: None,
    ) -> None:
        """Do ``work`` in a thread, then call ``then`` or ``failed`` on the window's.

        ``unheard`` gets the result instead if the wish is dropped meanwhile: from any thread, and
        also where the window's does nothing any more.
        """
        self.drop(slot)
        future = self._pool.submit(work)
        self._newest[slot] = _Wish(future, unheard)

        def heard() -> None:
            wish = self._newest.get(slot)
            if wish is None or wish.future is not future:
                return
            del self._newest[slot]
            error = future.exception()
            if isinstance(error, InputError | OSError):
                failed(error)
            elif error is not None:
                raise error
            else:
                then(future.result())

        future.add_done_callback(lambda _: self._dispatch(heard))

    @property
    def is_busy(self) -> bool:
        """Whether any wish is neither done nor dropped."""
        return bool(self._newest)

    def drop(self, slot: str) -> None:
        """Hear nothing more of a slot's wishes so far."""
        wish = self._newest.pop(slot, None)
        if wish is not None and not wish.future.cancel():
            wish.future.add_done_callback(
                lambda done: None if done.exception() else wish.unheard(done.result())
            )

    def drop_all(self) -> None:
        """Hear nothing more of any wish so far."""
        for slot in list(self._newest):
            self.drop(slot)

    def close(self) -> None:
        """End it; what is under way ends unheard."""
        self.drop_all()
        self._pool.shutdown(wait=False)
