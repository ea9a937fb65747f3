"""Live statistics of a session: counts at once, coverage when a thread has summed it up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_al.plugin.control.answer_statistics import CoverageAccumulator, StatisticsAccumulator
from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    from napari_al.plugin.control.answer_statistics import AnswerStatistics
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.session import Session


class StatisticsController:
    """Keeps the statistics of one session up to date.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(self, session: Session, events: WorkbenchEvents, dispatch: Dispatch) -> None:
        self._session, self._events = session, events
        self._background = Background(dispatch, n_threads=1)  # an accumulator is not thread-safe
        self._trained_on: tuple[int, int] | None = None  # a round, and its model's answers
        self.reset()

    def reset(self) -> None:
        """Count from the start: what answers mean has changed."""
        self._background.drop_all()
        self._answers, self._coverage = StatisticsAccumulator(), CoverageAccumulator()

    def close(self) -> None:
        """End the thread."""
        self._background.close()

    def update(self) -> None:
        """Emit new statistics; coverage follows from the thread."""
        self._events.statistics_changed.emit(self.current())
        work = partial(self._coverage.update, self._session.answers())
        emit = self._events.coverage_changed.emit
        self._background.request("coverage", work, emit, self._events.report)

    def current(self) -> AnswerStatistics:
        """Return statistics over the answers in force."""
        return self._answers.update(self._session.answers())

    def n_answers_behind(self) -> int:
        """Return the number of answers that the model on screen was not trained on."""
        shown = self._session.scores_round
        if self._trained_on is None or self._trained_on[0] != shown:
            rows = (row for row in self._session.rounds() if row["round"] == str(shown))
            self._trained_on = shown, sum(int(row.get("queries") or 0) for row in rows)
        return max(0, len(self._session.answers()) - self._trained_on[1])
