"""Work off the window's thread of which only the newest wish counts."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


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
        self._newest: dict[str, int] = {}
        self._numbers = itertools.count()

    def ask(
        self,
        slot: str,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        failed: Callable[[InputError | OSError], None],
    ) -> None:
        """Do ``work`` in a thread, then call ``then`` or ``failed`` on the window's."""
        number = self._newest[slot] = next(self._numbers)

        def run() -> Any:
            return work() if self._newest.get(slot) == number else None

        def heard(done: Future[Any]) -> None:
            if self._newest.get(slot) != number or done.cancelled():
                return
            del self._newest[slot]
            error = done.exception()
            if isinstance(error, InputError | OSError):
                failed(error)
            elif error is not None:
                raise error
            else:
                then(done.result())

        future = self._pool.submit(run)
        future.add_done_callback(lambda done: self._dispatch(lambda: heard(done)))

    def is_waiting(self, slot: str) -> bool:
        """Whether a wish of a slot is neither done nor dropped."""
        return slot in self._newest

    def drop(self, slot: str) -> None:
        """Hear nothing more of a slot's wishes so far."""
        self._newest.pop(slot, None)

    def drop_all(self) -> None:
        """Hear nothing more of any wish so far."""
        self._newest.clear()

    def close(self) -> None:
        """End it; what is under way ends unheard."""
        self.drop_all()
        self._pool.shutdown(wait=False, cancel_futures=True)
