"""Having made what is to be seen of a round: in threads, the newest wish first.

What a cache no longer holds is made again in a child process, and wishes that need it wait.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_al.plugin.inspect.rebuild_job import Remaker
from napari_al.plugin.widgets.background import Latest
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.errors import InputError
    from napari_al.session.inspection.inspection import Inspection, Missing
    from napari_al.session.inspection.overlays import Look

AGAIN_MS = 400
"""While something is made again, what waits for it is tried this often."""


class Maker:
    """Makes pictures and facts of an image in a round.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread, where all signals are emitted and all is called
        that is handed in, but for ``make``.
    """

    progressed = Signal(object)
    """A ``JobProgress`` of what is made again; None when it has ended."""
    remade = Signal(str)
    """What was missing is there, and all can be shown anew; or why it failed."""

    def __init__(self, dispatch: Callable[[Callable[[], None]], None]) -> None:
        self._latest = Latest(dispatch)
        self._remaker = Remaker(dispatch, self._on_remade, self.progressed.emit)
        self._waiting: dict[str, Callable[[], None]] = {}  # for what is made again, by slot
        self._again = timer(AGAIN_MS, self._try_again)

    def ask(
        self,
        slot: str,
        look: Look,
        make: Callable[[Look], Any],
        then: Callable[[Any], object],
        explain: Callable[[str], object],
    ) -> None:
        """Have something made in place of the slot's last wish; ``explain`` why it is not there."""

        def failed(error: InputError | OSError) -> None:
            missing = getattr(error, "missing", None)
            again = partial(self.ask, slot, look, make, then, explain)
            if missing is None or not self.make_again(missing, look.inspection, slot, again):
                explain(str(error))
            else:
                explain("is being made again…")

        self._waiting.pop(slot, None)
        self._latest.ask(slot, lambda: make(look), then, failed)

    def make_again(
        self, missing: Missing, inspection: Inspection, slot: str, then: Callable[[], None]
    ) -> bool:
        """Have something missing made, and do ``then`` when it may be there.

        False if that was in vain before.
        """
        if not self._remaker.want(inspection, missing):
            return False
        self._waiting[slot] = then
        self._again.start()
        return True

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for again in waiting.values():
            again()

    def _on_remade(self, reason: str) -> None:
        self._again.stop()
        self._waiting.clear()
        self.remade.emit(reason)

    @property
    def is_making(self) -> bool:
        """Whether something is made in a thread."""
        return self._latest.is_busy

    def look_at(self, inspection: Inspection, image: str) -> None:
        """Hear nothing more of another image; make this one's things again first."""
        self.drop_all()
        inspection.own.write_looked_at(image)

    def drop(self, slot: str) -> None:
        """Hear nothing more of a slot."""
        self._waiting.pop(slot, None)
        self._latest.drop(slot)

    def drop_all(self) -> None:
        """Hear nothing more of what was wished for so far."""
        self._again.stop()
        self._waiting.clear()
        self._latest.drop_all()

    def start_over(self) -> None:
        """Drop all and end the job; what was given up or failed may be tried again."""
        self.drop_all()
        self._remaker.stop()

    def give_up(self) -> None:
        """End the job that makes something again."""
        self._remaker.give_up()
        self._try_again()

    def close(self) -> None:
        """End it with its threads."""
        self.start_over()
        self._latest.close()
