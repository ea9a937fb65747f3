"""When training starts, which corrections are reviewed before it, and how its job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from psygnal import Signal

from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.errors import InputError
    from napari_al.methods.queries import AutomaticCorrection
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.layers.displayed_image import ImageDisplay
    from napari_al.plugin.preferences import Preferences
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.rounds.job_function import JobResult
    from napari_al.session.session import Session

    Corrections = tuple[AutomaticCorrection, ...]

Pause = Literal[
    "",
    "scoring",
    "training",
    "proposing",
    "reviewing",
    "accepting",
    "complete",
    "spent",
    "done",
    "stopped",
    "failed",
]
"""Why there is no query; "" = there may be one."""


class TrainingController:
    """Starts and follows the jobs of one session.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    display : ImageDisplay
    preferences : Preferences
        Whether training starts by itself, and whether corrections are reviewed.
    dispatch : callable
        Runs a function on the window's thread.
    """

    advanced = Signal(str)
    """Training has started ("": the next query can be asked), or a ``Pause``: why it has not."""
    review_started = Signal()
    """No query may be asked until `decide`."""

    def __init__(
        self,
        session: Session,
        events: WorkbenchEvents,
        display: ImageDisplay,
        preferences: Preferences,
        dispatch: Dispatch,
    ) -> None:
        self._session, self._events, self._display = session, events, display
        self._preferences = preferences
        self._background = Background(dispatch, n_threads=1)
        self._waits_for_budget = False  # else training was asked for
        self.last_result: JobResult | None = None

    def encode_ahead(self) -> None:
        """Encode images in the background if nothing else is to be done."""
        if self._session.scores_are_complete:
            self._events.attempt(self._session.start_encoding)

    def close(self) -> None:
        """End the thread; proposed corrections are discarded."""
        self._background.close()

    def prepare_query(self) -> Pause:
        """Start what the next query waits for; return why there is none, "" if there may be."""
        session = self._session
        if session.round < 1 or session.budget_is_spent:
            if session.is_training:
                return "training"
            if session.round >= 1 and not self._preferences.train_when_spent:
                return "spent"
            return self.train(waits_for_budget=session.round >= 1)
        if session.scores_are_complete:
            return "done"
        if not session.is_busy and not self._start(session.start_scoring):
            return "failed"
        return "scoring"

    def train(self, *, waits_for_budget: bool = False) -> Pause:
        """Start training, or have corrections proposed first; return what it waits for.

        ``waits_for_budget``: not if an undo has left clicks to spend when it could start.
        """
        session, self._waits_for_budget = self._session, waits_for_budget
        automatic = session.config.method.correction == "automatic" and session.round >= 1
        if automatic and not session.is_training:
            self._propose()
            return "proposing"
        return "" if self._start(session.start_training) else "failed"

    def train_live(self) -> None:
        """Live: train again at once if enough was answered meanwhile; the query on screen stays.

        Automatic corrections are proposed between two queries, so they wait for the next answer.
        """
        session = self._session
        if (
            session.is_live
            and session.budget_is_spent
            and self._preferences.train_when_spent
            and session.config.method.correction == "manual"
        ):
            self.train(waits_for_budget=True)

    def set_retrain_after(self, n_answers: int | None) -> None:
        """Train live, again after so many answers, or by rounds (None); in this project."""
        if self._events.attempt(lambda: self._session.set_retrain_after(n_answers)):
            self.advanced.emit("")

    def stop(self) -> None:
        """Stop the job that is running."""
        self._events.attempt(self._session.stop_job)

    def _start(self, job: Callable[[], None]) -> bool:
        started = self._events.attempt(job)
        self._events.job_changed.emit()
        return started

    # ---- corrections that a model proposes

    def _propose(self) -> None:
        work = self._session.propose_corrections  # again: answers may have changed meanwhile
        self._background.request("corrections", work, self._on_proposed, self._on_no_proposal)

    @property
    def _has_clicks_left(self) -> bool:
        return self._waits_for_budget and not self._session.budget_is_spent

    def _on_proposed(self, corrections: Corrections) -> None:
        if self._has_clicks_left:
            self.advanced.emit("")
        elif corrections and self._preferences.review_corrections:
            self.review_started.emit()
            self._events.corrections_proposed.emit(corrections)
        else:
            self.decide(corrections, ())

    def _on_no_proposal(self, error: InputError | OSError) -> None:
        self._events.report(error)
        self.decide((), ())

    def decide(self, accepted: Corrections, refused: Corrections) -> None:
        """Accept and refuse proposed corrections, then train."""
        session = self._session
        if not self._events.attempt(lambda: session.decide_corrections(accepted, refused)):
            self.advanced.emit("failed")  # training now would miss them
            return
        for image in {correction.region.image for correction in accepted}:
            self._display.invalidate(image)
        can_go_on = self._has_clicks_left or self._start(session.start_training)
        self.advanced.emit("" if can_go_on else "failed")

    def on_job_finished(self, result: JobResult) -> None:
        """Remember how a job ended, and report failures."""
        self.last_result = result
        self._events.job_changed.emit()
        if result.status == "failed":
            self._events.told.emit(result.reason)
        elif "score_s" in result.value:
            self.encode_ahead()
