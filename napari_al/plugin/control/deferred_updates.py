"""Debounced updates: statistics and pictures that may wait until the next query is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.methods.queries import Answer, AutomaticCorrection
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from napari_al.methods.queries import Query
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.control.statistics_controller import StatisticsController
    from napari_al.plugin.layers.displayed_image import ImageDisplay
    from napari_al.session.log.history import Record
    from napari_al.session.session import Session

LATER_MS = 30
"""After the next query has been painted."""
IDLE_MS = 1500
"""Without an answer; thumbnails of napari's layer list wait for that."""
SETTLE_MS = 400
"""Scores arrive image by image during a job; overlays are redrawn at most this often."""
AHEAD_MS = 40
"""After new scores, which may have changed the next queries."""
N_AHEAD = 6
"""Queries whose images are loaded in advance."""


class DeferredUpdates:
    """Brings pictures and statistics of one session up to date when there is time.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    display : ImageDisplay
    statistics : StatisticsController

    Attributes
    ----------
    only_in : str
        The image that the next queries come from; "" = any.
    """

    def __init__(
        self,
        session: Session,
        events: WorkbenchEvents,
        display: ImageDisplay,
        statistics: StatisticsController,
    ) -> None:
        self._session, self._events = session, events
        self._display, self._statistics = display, statistics
        self.only_in = ""
        self._later = timer(LATER_MS, self._update)
        self._idle = timer(IDLE_MS, display.layers.refresh_thumbnails)
        self._scored = timer(SETTLE_MS, self._on_scores_settled)
        self._ahead = timer(AHEAD_MS, self._load_ahead)

    def close(self) -> None:
        """Cancel all updates."""
        for pending in (self._later, self._idle, self._scored, self._ahead):
            pending.stop()

    def schedule(self) -> None:
        """Update the statistics and the next queries shortly."""
        self._later.start()

    def on_query_changed(self, _: Query | None) -> None:
        """Wait for the query to be painted, and for the annotator to pause."""
        self._later.start()
        self._idle.start()

    def on_records_changed(self, records: tuple[Record, ...]) -> None:
        """Redraw the overlays that answers, undo or redo have changed."""
        for record in records:
            if isinstance(record, Answer):
                self._display.invalidate(record.query.region.image)
            elif isinstance(record, AutomaticCorrection):
                self._display.invalidate(record.region.image)
        self._later.start()

    def on_scores_changed(self) -> None:
        """Schedule the updates that new scores need, unless they are scheduled already."""
        for pending in (self._ahead, self._scored):
            if not pending.isActive():
                pending.start()

    def _on_scores_settled(self) -> None:
        self._display.invalidate_all()
        self._events.job_changed.emit()
        self._later.start()

    def _update(self) -> None:
        self._statistics.update()
        self._events.upcoming_changed.emit(self._load_ahead())

    def _load_ahead(self) -> tuple[Query, ...]:
        """Load the images of the next queries, so that a key need not wait for one."""
        if not self._session.has_scores:
            return ()
        upcoming = tuple(self._session.upcoming(N_AHEAD, self.only_in))
        self._display.request(dict.fromkeys(q.region.image for q in upcoming), overlays=True)
        return upcoming
