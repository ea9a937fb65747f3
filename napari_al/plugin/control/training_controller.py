"""Rounds: when training starts, what comes before it, and what follows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.layers.displayed_image import Stage
    from napari_al.session.log.records import AutomaticCorrection
    from napari_al.session.rounds.job_process import JobProgress, JobResult
    from napari_al.session.session import Session

    Corrections = tuple[AutomaticCorrection, ...]

Pause = Literal[
    "", "scoring", "training", "proposing", "reviewing", "spent", "done", "stopped", "failed"
]
"""Why there is no query."""


class Trainer:
    """Starts and follows the jobs of one session.

    Parameters
    ----------
    events : WorkbenchEvents
    stage : Stage
    dispatch : callable
        Runs a function on the window's thread.
    go_on : callable
        Shows the next query where none is, or why there is none (``Pause``); called when a job
        has begun, or could not be.
    wait : callable
        Shows none, and why, whatever is asked.
    """

    def __init__(
        self,
        events: WorkbenchEvents,
        stage: Stage,
        dispatch: Callable[[Callable[[], None]], None],
        go_on: Callable[[Pause], None],
        wait: Callable[[Pause], None],
    ) -> None:
        self._events, self._stage, self._dispatch = events, stage, dispatch
        self._go_on, self._wait = go_on, wait
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainer")
        self._session: Session | None = None
        self._proposing: Future[Corrections] | None = None
        self.when_spent = True
        self.review = True
        self.last_result: JobResult | None = None

    def open(self, session: Session | None) -> None:
        """Follow another session's jobs from now on; None: nobody's."""
        self._session, self._proposing, self.last_result = session, None, None

    def close(self) -> None:
        """End the thread."""
        self._session = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    def get_going(self) -> Pause:
        """Start what the next query waits for; return why there is none, "" if there may be."""
        session = self._session
        if session is None:
            return "done"
        if session.round < 1 or session.budget_is_spent:
            if session.is_training:
                return "training"
            if session.round >= 1 and not self.when_spent:
                return "spent"
            return self._train_or_propose(session)
        if session.scores_are_complete:
            return "done"
        if not session.is_busy and not self._start(session.start_scoring):
            return "failed"
        return "scoring"

    def train(self) -> Pause:
        """Start training now; return what keeps it from beginning, "" if it has begun."""
        return "done" if self._session is None else self._train_or_propose(self._session)

    def stop(self) -> None:
        """Stop the job that is running."""
        if self._session is not None:
            self._events.attempt(self._session.stop_job)

    def _train_or_propose(self, session: Session) -> Pause:
        """Start training, unless there may be corrections to look at before."""
        automatic = session.config.method.correction == "automatic" and session.round >= 1
        if automatic and not session.is_training:
            self._propose(session)
            return "proposing"
        return "" if self._start(session.start_training) else "failed"

    def _start(self, job: Callable[[], None]) -> bool:
        begun = self._events.attempt(job)
        self._events.job_changed.emit()
        return begun

    # ---- corrections that a model proposes

    def _propose(self, session: Session) -> None:
        """Have corrections proposed, in a thread; `_on_proposed` goes on."""
        if self._proposing is None:
            self._proposing = self._thread.submit(session.propose_corrections)
            self._proposing.add_done_callback(
                lambda done: self._dispatch(lambda: self._on_proposed(session, done))
            )

    def _on_proposed(self, session: Session, done: Future[Corrections]) -> None:
        if session is not self._session or done.cancelled():
            return
        self._proposing = None
        error = done.exception()
        if error is not None and not isinstance(error, InputError | OSError):
            raise error
        if error is not None:
            self._events.told.emit(str(error))
        proposed = () if error is not None else done.result()
        if proposed and self.review:
            self._wait("reviewing")
            self._events.proposed.emit(proposed)
        else:
            self.decide(proposed, ())

    def decide(self, accepted: Corrections, refused: Corrections) -> None:
        """Accept and refuse corrections that were proposed, then train."""
        session = self._session
        if session is None:
            return
        if not self._events.attempt(lambda: session.decide_corrections(accepted, refused)):
            self._go_on("failed")  # training now would be without them
            return
        for image in {correction.region.image for correction in accepted}:
            self._stage.outdate(image)
        self._go_on("" if self._start(session.start_training) else "failed")

    # ---- slots

    def on_job_progress(self, progress: JobProgress) -> None:
        """Pass a job's progress on."""
        self._events.progressed.emit(progress)

    def on_job_finished(self, result: JobResult) -> None:
        """Take note of how a job ended."""
        self.last_result = result
        self._events.job_changed.emit()
        if result.status == "failed":
            self._events.told.emit(result.reason)
