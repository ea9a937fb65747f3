"""Computes a round's overlays and region facts in the background; per slot the latest wins.

What the project's cache lacks is rebuilt by a child process; requests that need it are repeated
until it is there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_al.plugin.inspect.rebuild_job import RebuildJob
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.errors import InputError
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.inspection.inspection import Inspection, Missing
    from napari_al.session.inspection.overlays import RoundImage

RETRY_MS = 400
"""Between attempts of requests that wait for the rebuild job."""


class OverlayRequests:
    """Requests of one inspector.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread; signals and callbacks are called there.
    """

    progressed = Signal(object)
    """``JobProgress`` of the rebuild job; None when it has ended."""
    rebuilt = Signal(str)
    """The rebuild job has ended: "", or why it failed."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._background = Background(dispatch)
        self._rebuild = RebuildJob(dispatch, self._on_rebuilt, self.progressed.emit)
        self._waiting: dict[str, Callable[[], None]] = {}  # for the rebuild job, by slot
        self._retry = timer(RETRY_MS, self._repeat_waiting)

    def request(
        self,
        slot: str,
        shown: RoundImage,
        make: Callable[[RoundImage], Any],
        on_done: Callable[[Any], object],
        on_missing: Callable[[str], object],
    ) -> None:
        """Run ``make`` in a thread; then ``on_done``, or ``on_missing`` with the reason."""

        def on_error(error: InputError | OSError) -> None:
            missing = getattr(error, "missing", None)
            repeat = partial(self.request, slot, shown, make, on_done, on_missing)
            if missing is None or not self.rebuild(missing, shown.inspection, slot, repeat):
                on_missing(str(error))
            else:
                on_missing("is being made again…")

        self._waiting.pop(slot, None)
        self._background.request(slot, lambda: make(shown), on_done, on_error)

    def rebuild(
        self, missing: Missing, inspection: Inspection, slot: str, repeat: Callable[[], None]
    ) -> bool:
        """Rebuild a missing item, and call ``repeat`` until it is there; False if it failed."""
        if not self._rebuild.request(inspection, missing):
            return False
        self._waiting[slot] = repeat
        self._retry.start()
        return True

    def _repeat_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for repeat in waiting.values():
            repeat()

    def _on_rebuilt(self, reason: str) -> None:
        self._retry.stop()
        self._waiting.clear()
        self.rebuilt.emit(reason)

    @property
    def is_busy(self) -> bool:
        """Whether a thread has requests."""
        return self._background.is_busy

    def show_image(self, inspection: Inspection, image: str) -> None:
        """Drop requests for other images; the rebuild job does this image first."""
        self.drop_all()
        inspection.own.write_looked_at(image)

    def drop(self, slot: str) -> None:
        """Drop a slot's request."""
        self._waiting.pop(slot, None)
        self._background.drop(slot)

    def drop_all(self) -> None:
        """Drop all requests."""
        self._retry.stop()
        self._waiting.clear()
        self._background.drop_all()

    def reset(self) -> None:
        """Drop all requests and kill the rebuild job; items may be tried again."""
        self.drop_all()
        self._rebuild.reset()

    def cancel_rebuild(self) -> None:
        """Kill the rebuild job; what waits for it is explained as missing."""
        self._rebuild.cancel()
        self._repeat_waiting()

    def close(self) -> None:
        """End the threads and the job."""
        self.reset()
        self._background.close()
