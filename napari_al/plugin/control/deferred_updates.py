"""What may wait until the next query has been painted: figures, and pictures to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.plugin.widgets.main_thread import timer
from napari_al.session.log.records import Answer, AutomaticCorrection

if TYPE_CHECKING:
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.control.statistics_controller import Figures
    from napari_al.plugin.layers.displayed_image import Stage
    from napari_al.session.log.records import Query, Record
    from napari_al.session.session import Session

LATER_MS = 30
"""After the next query has been painted."""
IDLE_MS = 1500
"""Without an answer; then there is time for what is only pretty."""
SETTLE_MS = 400
"""A job brings scores in image by image; pictures are made anew this often at most."""
AHEAD_MS = 40
"""After scores that may have changed what comes next."""
N_AHEAD = 6
"""Queries whose pictures are made in advance."""


class Upkeep:
    """Brings pictures and figures of one session up to date, each when there is time.

    Parameters
    ----------
    events : WorkbenchEvents
    stage : Stage
    figures : Figures
    """

    def __init__(self, events: WorkbenchEvents, stage: Stage, figures: Figures) -> None:
        self._events, self._stage, self._figures = events, stage, figures
        self._session: Session | None = None
        self._later = timer(LATER_MS, self._catch_up)
        self._idle = timer(IDLE_MS, stage.layers.refresh_thumbnails)
        self._scored = timer(SETTLE_MS, self._on_scores_settled)
        self._ahead = timer(AHEAD_MS, self._load_ahead)

    def open(self, session: Session | None) -> None:
        """Look after another session from now on; None: after nobody's."""
        self._session = session
        for waiting in (self._later, self._idle, self._scored, self._ahead):
            waiting.stop()

    def soon(self) -> None:
        """Tell the figures and what comes next, shortly."""
        self._later.start()

    # ---- slots

    def on_asked(self, _: Query | None) -> None:
        """Begin to wait: for the query to be painted, for the annotator to pause."""
        self._later.start()
        self._idle.start()

    def on_changed(self, records: tuple[Record, ...]) -> None:
        """Have pictures and figures made again that answers, undo or redo have changed."""
        for record in records:
            if isinstance(record, Answer):
                self._stage.outdate(record.query.region.image)
            elif isinstance(record, AutomaticCorrection):
                self._stage.outdate(record.region.image)
        self._later.start()

    def on_scores_changed(self) -> None:
        """Take up new scores, not each time that some come in."""
        for waiting in (self._ahead, self._scored):
            if not waiting.isActive():
                waiting.start()

    # ---- inside

    def _on_scores_settled(self) -> None:
        self._stage.outdate_all()
        self._events.job_changed.emit()
        self._later.start()

    def _catch_up(self) -> None:
        self._figures.count()
        self._events.came_up.emit(self._load_ahead())

    def _load_ahead(self) -> tuple[Query, ...]:
        """Have the images made that come next, so that a key need not wait for one."""
        session = self._session
        if session is None or not session.has_scores:
            return ()
        coming = tuple(session.upcoming(N_AHEAD))
        self._stage.request(dict.fromkeys(q.region.image for q in coming), overlays=True)
        return coming
