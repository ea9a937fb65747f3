"""What the answers have cost: live figures, and the table behind them."""

from __future__ import annotations

import csv
import io
from bisect import insort
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.core.clicks import Clicks
from napari_al.plugin.outlines import drawn_clicks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_al.formats.dataset import ClassInfo
    from napari_al.session.records import Answer

PAUSE_S = 30.0
"""Queries that stayed on screen for longer count as pauses, not as work."""


@dataclass(frozen=True, slots=True)
class ClassCost:
    """What one class has cost; an answer that names several is shared out evenly."""

    n_answers: int = 0
    clicks: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures over the answers in force.

    Attributes
    ----------
    n_queries : int
    clicks : Clicks
    by_class : dict of int to ClassCost
        By class id; pauses left out.
    by_outcome : Counter
        ``labelled``, ``skipped``, ``unsure``, ``ignored``.
    n_accepted, n_corrected : int
        Of correction queries.
    seconds_a_query, seconds_a_click : float or None
        Medians over queries answered within 30 s; None while there are none.
    worked_s : float
        All seconds, pauses left out.
    """

    n_queries: int
    clicks: Clicks
    by_class: dict[int, ClassCost]
    by_outcome: Counter[str]
    n_accepted: int
    n_corrected: int
    seconds_a_query: float | None
    seconds_a_click: float | None
    worked_s: float

    @property
    def counts(self) -> dict[int, int]:
        """Answers that name a class, by class id."""
        return {class_id: cost.n_answers for class_id, cost in self.by_class.items()}


class Unseen:
    """Tells which answers are new, for sums that go on instead of beginning anew each time."""

    def __init__(self) -> None:
        self._n = 0
        self._last: Answer | None = None

    def of(self, answers: Sequence[Answer]) -> tuple[Sequence[Answer], bool]:
        """Return the answers that were not there last time, and whether the earlier ones still are.

        If not (one was taken back or changed), all count as new. Answers are only ever added at the
        end: where the last one seen is in its place, so are those before it.
        """
        n, last = self._n, self._last
        goes_on = n == 0 or (n <= len(answers) and answers[n - 1] is last)
        self._n, self._last = len(answers), answers[-1] if answers else None
        return (answers[n:], True) if goes_on else (answers, False)


class Teller:
    """Makes tallies; looks at each answer once. Classes that change need another one."""

    def __init__(self) -> None:
        self._unseen = Unseen()
        self._start()

    def _start(self) -> None:
        self._by_class: dict[int, ClassCost] = {}
        self._by_outcome: Counter[str] = Counter()
        self._kinds = [0, 0, 0]
        self._n_accepted = self._n_corrected = 0
        self._seconds: list[float] = []  # ascending, as is the next
        self._a_click: list[float] = []

    def tally(self, answers: Sequence[Answer]) -> Tally:
        """Count answers."""
        new, goes_on = self._unseen.of(answers)
        if not goes_on:
            self._start()
        for answer in new:
            self._add(answer)
        return Tally(
            n_queries=len(answers),
            clicks=Clicks(*self._kinds),
            by_class=self._by_class.copy(),
            by_outcome=self._by_outcome.copy(),
            n_accepted=self._n_accepted,
            n_corrected=self._n_corrected,
            seconds_a_query=_middle(self._seconds),
            seconds_a_click=_middle(self._a_click),
            worked_s=sum(self._seconds),
        )

    def _add(self, answer: Answer) -> None:
        self._by_outcome[answer.outcome] += 1
        clicks = answer.clicks
        self._kinds[0] += clicks.class_clicks
        self._kinds[1] += clicks.polygon_clicks
        self._kinds[2] += clicks.intersection_clicks
        if answer.query.query_type == "correction" and answer.outcome == "labelled":
            accepted = answer.class_ids == (answer.query.pseudo_label,)
            self._n_accepted += accepted
            self._n_corrected += not accepted
        is_work = 0 < answer.seconds <= PAUSE_S
        share = 1 / max(1, len(answer.class_ids))
        for class_id in answer.class_ids:
            before = self._by_class.get(class_id, ClassCost())
            self._by_class[class_id] = ClassCost(
                before.n_answers + 1,
                before.clicks + share * clicks.total,
                before.seconds + share * answer.seconds * is_work,
            )
        if is_work:
            insort(self._seconds, answer.seconds)
            insort(self._a_click, answer.seconds / max(1, clicks.total))


def _middle(ascending: Sequence[float]) -> float | None:
    """Return the median."""
    n = len(ascending)
    return None if n == 0 else (ascending[(n - 1) // 2] + ascending[n // 2]) / 2


_COLUMNS = (
    "time", "annotator", "image", "round", "model_round", "query_type", "outcome", "classes",
    "region_px", "class_clicks", "polygon_clicks", "intersection_clicks", "drawn_clicks", "seconds",
    "score",
)  # fmt: skip


def to_csv(answers: Iterable[Answer], classes: Sequence[ClassInfo]) -> str:
    """Return one row an answer, as CSV with a header.

    ``drawn_clicks`` is what drawing the region exactly would have cost, about (``ledger.py``): some
    milliseconds an answer.
    """
    names = {c.id: c.name for c in classes}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for answer in answers:
        query, clicks = answer.query, answer.clicks
        writer.writerow(
            (
                answer.time,
                answer.annotator,
                query.region.image,
                query.round,
                query.model_round,
                query.query_type,
                answer.outcome,
                "|".join(names.get(c, str(c)) for c in answer.class_ids),
                query.region.mask.size,
                clicks.class_clicks,
                clicks.polygon_clicks,
                clicks.intersection_clicks,
                drawn_clicks(query.region.mask),
                f"{answer.seconds:.3f}",
                f"{query.score:.6g}",
            )
        )
    return out.getvalue()


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 59.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
