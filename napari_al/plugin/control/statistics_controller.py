"""Live figures of a session: counted when there is time, so that the next query comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from napari_al.plugin.control.answer_statistics import Teller
from napari_al.plugin.control.coverage_statistics import Bookkeeper

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from napari_al.plugin.control.answer_statistics import Tally
    from napari_al.plugin.control.coverage_statistics import Ledger
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.session.session import Session


class Figures:
    """Tells tallies at once and ledgers when a thread has made them.

    Parameters
    ----------
    events : WorkbenchEvents
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(
        self, events: WorkbenchEvents, dispatch: Callable[[Callable[[], None]], None]
    ) -> None:
        self._events, self._dispatch = events, dispatch
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="figures")
        self._session: Session | None = None
        self._teller, self._bookkeeper = Teller(), Bookkeeper()
        self._is_busy = self._is_outdated = False  # the thread, and what it makes
        self._learnt: tuple[int, int] | None = None  # a round, and the answers its model knows

    def open(self, session: Session | None) -> None:
        """Count another session's answers from now on; None: nobody's."""
        self._session = session
        self._teller, self._bookkeeper = Teller(), Bookkeeper()
        self._is_outdated, self._learnt = False, None

    def close(self) -> None:
        """End the thread."""
        self._session = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    def count(self) -> None:
        """Tell new figures."""
        if self._session is not None:
            self._events.counted.emit(self.tally())
            self._balance(self._session)

    def tally(self) -> Tally:
        """Return figures over the answers there are."""
        return self._teller.tally(() if self._session is None else self._session.answers())

    def n_answers_behind(self) -> int:
        """Return how many answers the model whose scores show has not learnt from."""
        session = self._session
        if session is None:
            return 0
        shown = session.scores_round
        if self._learnt is None or self._learnt[0] != shown:
            rows = (row for row in session.rounds() if row["round"] == str(shown))
            self._learnt = shown, sum(int(row.get("queries") or 0) for row in rows)
        return max(0, len(session.answers()) - self._learnt[1])

    def _balance(self, session: Session) -> None:
        """Sum up what takes time, in the thread; what is under way is heard out first."""
        self._is_outdated = self._is_busy
        if not self._is_busy:
            self._is_busy = True
            made = self._thread.submit(self._bookkeeper.balance, session.answers())
            made.add_done_callback(
                lambda done: self._dispatch(lambda: self._on_balanced(session, done))
            )

    def _on_balanced(self, session: Session, done: Future[Ledger]) -> None:
        self._is_busy = False
        if self._session is None or done.cancelled():
            return
        if session is self._session:
            self._events.balanced.emit(done.result())
        if self._is_outdated:
            self._balance(self._session)
