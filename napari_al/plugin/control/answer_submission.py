"""Handing answers in: each is on disk before the next query shows, or held until it can be."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.plugin.widgets.main_thread import timer
from napari_al.session.log.log import LogWriteError

if TYPE_CHECKING:
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.session.log.records import Answer
    from napari_al.session.session import Session

SLOW_DISK_S = 0.3
"""Longer than this to write an answer is worth a word."""
SAVE_EVERY_MS = 5000
"""Between attempts to write answers that could not be written."""


class HandingIn:
    """Hands the answers of one session in.

    Parameters
    ----------
    events : WorkbenchEvents
    """

    def __init__(self, events: WorkbenchEvents) -> None:
        self._events = events
        self._session: Session | None = None
        self._told_slow = False
        self._saving = timer(SAVE_EVERY_MS, self._save, repeat=True)

    def open(self, session: Session | None) -> None:
        """Hand answers in to another session from now on; None: to nobody."""
        self._saving.stop()
        self._session, self._told_slow = session, False
        if session is not None:
            self.on_unsaved_changed(session.n_unsaved)

    def submit(self, *answers: Answer) -> bool:
        """Submit answers, or hold them where they cannot be written; return whether they count."""
        session = self._session
        if session is None:
            return False
        started = time.perf_counter()
        try:
            session.submit(*answers)
            self._note_disk(time.perf_counter() - started)
        except LogWriteError as error:
            if session.n_unsaved == 0:
                self._events.told.emit(f"{error} Until then answers are kept in memory.")
            session.hold(*answers)
        except (InputError, OSError) as error:
            self._events.told.emit(str(error))
            return False
        return True

    def amend(self, replaced: Answer, answer: Answer) -> bool:
        """Put an answer in the place of an earlier one; return whether it is there."""
        session = self._session
        return session is not None and self._events.attempt(
            lambda: session.amend(replaced.id, answer)
        )

    def _note_disk(self, seconds: float) -> None:
        """Say once a session that the disk keeps the annotator waiting."""
        if seconds > SLOW_DISK_S and not self._told_slow:
            self._told_slow = True
            self._events.told.emit(
                f"The project's disk is slow: an answer took {seconds:.1f} s to write. Nothing is "
                "lost; a project on a local disk is quicker."
            )

    # ---- answers in memory

    def on_unsaved_changed(self, n_unsaved: int) -> None:
        """Keep trying to write answers that are in memory only, and say so once."""
        if n_unsaved and not self._saving.isActive():
            self._saving.start()
        elif not n_unsaved and self._saving.isActive():
            self._saving.stop()
            self._events.told.emit("All answers are on disk again.")

    def _save(self) -> None:
        if self._session is not None:
            self._session.save()

    def keep_unsaved(self) -> None:
        """Put answers that are in memory only where they are safe, and say where.

        Raises
        ------
        InputError
            There is no such place.
        """
        session = self._session
        n_unsaved = 0 if session is None else session.n_unsaved
        kept_in = None if session is None else session.rescue()
        if kept_in is not None:
            warnings.warn(
                f"{n_unsaved} answers could not be written to the project. They are in {kept_in} "
                "and go into the project when it is opened next.",
                stacklevel=2,
            )
