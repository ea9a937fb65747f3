"""Submitting answers: each is on disk before the next query shows, or kept until it can be.

Works on one session; says once what the user should know of the project's disk.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_al.errors import InputError
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import timer
from napari_al.session.log.log import LogWriteError

if TYPE_CHECKING:
    from napari_al.methods.queries import Answer
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.session import Session

SLOW_DISK_S = 0.3
"""Writing an answer for longer than this is reported."""
RETRY_MS = 5000
"""Between attempts to write answers that could not be written."""


class AnswerSubmission:
    """Submits the answers of one session.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    dispatch : callable
        Runs a function on the window's thread.
    """

    accepted = Signal(tuple)
    """Answers as predicted that count now; () if there are none."""

    def __init__(self, session: Session, events: WorkbenchEvents, dispatch: Dispatch) -> None:
        self._session, self._events = session, events
        self._background = Background(dispatch, n_threads=1)
        self._warned_slow = False
        self._retry = timer(RETRY_MS, session.save, repeat=True)
        self.on_unsaved_changed(session.n_unsaved)

    def close(self) -> None:
        """Stop retrying; what a thread writes is finished."""
        self._retry.stop()
        self._background.close()

    def submit(self, *answers: Answer) -> bool:
        """Submit answers, or hold them where they cannot be written; return whether they count."""
        started = time.perf_counter()
        try:
            self._session.submit(*answers)
            self._check_disk(time.perf_counter() - started)
        except LogWriteError as error:
            if self._session.n_unsaved == 0:
                self._events.told.emit(f"{error} Until then answers are kept in memory.")
            self._session.hold(*answers)
        except (InputError, OSError) as error:
            self._events.report(error)
            return False
        return True

    def amend(self, replaced: Answer, answer: Answer) -> bool:
        """Replace an earlier answer; return whether that succeeded."""
        return self._events.attempt(lambda: self._session.amend(replaced.id, answer))

    def accept_image(self, image: str, seconds: float) -> None:
        """Answer the open regions of an image as predicted, in a thread; ``accepted`` follows.

        Nothing else may be answered meanwhile.
        """
        session = self._session

        def work() -> tuple[Answer, ...]:
            answers = session.answers_as_predicted(image, seconds)
            if answers:
                session.write(answers)
            return answers

        def then(answers: tuple[Answer, ...]) -> None:
            if answers:
                session.take(answers)
            self.accepted.emit(answers)

        def on_error(error: InputError | OSError) -> None:
            self._events.report(error)
            self.accepted.emit(())

        self._background.request("accept", work, then, on_error)

    def _check_disk(self, seconds: float) -> None:
        """Report once per session that the disk keeps the annotator waiting."""
        if seconds > SLOW_DISK_S and not self._warned_slow:
            self._warned_slow = True
            self._events.told.emit(
                f"The project's disk is slow: an answer took {seconds:.1f} s to write. Nothing is "
                "lost; a project on a local disk is quicker."
            )

    # ---- answers in memory

    def on_unsaved_changed(self, n_unsaved: int) -> None:
        """Keep retrying while answers are in memory only; report when all are written."""
        if n_unsaved and not self._retry.isActive():
            self._retry.start()
        elif not n_unsaved and self._retry.isActive():
            self._retry.stop()
            self._events.told.emit("All answers are on disk again.")

    def rescue_unsaved(self) -> None:
        """Write answers that are in memory only to another place, and say where.

        Raises
        ------
        InputError
            If there is no such place.
        """
        n_unsaved = self._session.n_unsaved
        kept_in = self._session.rescue()
        if kept_in is not None:
            warnings.warn(
                f"{n_unsaved} answers could not be written to the project. They are in {kept_in} "
                "and go into the project when it is opened next.",
                stacklevel=2,
            )
