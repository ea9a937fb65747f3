"""Statistics over answers (clicks, seconds, classes), updated incrementally; answers as CSV."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.drawing_cost import drawn_clicks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import Answer

PAUSE_S = 30.0
"""Queries that stayed on screen for longer count as pauses, not as work."""


@dataclass(frozen=True, slots=True)
class ClassCost:
    """What one class has cost; an answer that names several is shared out evenly."""

    n_answers: int = 0
    clicks: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerStatistics:
    """Statistics over the answers in force.

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
    seconds_per_query, seconds_per_click : float or None
        Medians over queries answered within 30 s; None while there are none.
    active_s : float
        All seconds, pauses left out.
    """

    n_queries: int
    clicks: Clicks
    by_class: dict[int, ClassCost]
    by_outcome: Counter[str]
    n_accepted: int
    n_corrected: int
    seconds_per_query: float | None
    seconds_per_click: float | None
    active_s: float

    @property
    def counts(self) -> dict[int, int]:
        """Answers that name a class, by class id."""
        return {class_id: cost.n_answers for class_id, cost in self.by_class.items()}


class AnswerChanges:
    """Finds what has changed in a list of answers, so that sums can be updated.

    Start a new one when the classes change, and with them what answers mean.
    """

    def __init__(self) -> None:
        self._answers: Sequence[Answer] = ()

    def since_last(self, answers: Sequence[Answer]) -> tuple[Sequence[Answer], Sequence[Answer]]:
        """Return the answers removed since the last call, and those added.

        An answer that comes after one of these counts as both. Answers are added at the end and
        taken back from there, or else one moves to the end (``amend``): where the last one of the
        shorter list is in its place in both, so are those before it.
        """
        before, self._answers = self._answers, answers
        n_same = min(len(before), len(answers))
        if n_same and before[n_same - 1].id != answers[n_same - 1].id:
            pairs = enumerate(zip(before, answers, strict=False))
            n_same = next(i for i, (old, new) in pairs if old.id != new.id)
        return before[n_same:], answers[n_same:]


class StatisticsAccumulator:
    """Computes statistics from what has changed since the last call.

    Start a new one when the classes change.
    """

    def __init__(self) -> None:
        self._changes = AnswerChanges()
        self._by_class: dict[int, ClassCost] = {}
        self._by_outcome: Counter[str] = Counter()
        self._kinds = [0, 0, 0]
        self._n_accepted = self._n_corrected = 0
        self._seconds: list[float] = []  # ascending, as is the next
        self._per_click: list[float] = []

    def update(self, answers: Sequence[Answer]) -> AnswerStatistics:
        """Return statistics over these answers."""
        gone, new = self._changes.since_last(answers)
        for answer in gone:
            self._count(answer, -1)
        for answer in new:
            self._count(answer, 1)
        return AnswerStatistics(
            n_queries=len(answers),
            clicks=Clicks(*self._kinds),
            by_class=self._by_class.copy(),
            by_outcome=self._by_outcome.copy(),
            n_accepted=self._n_accepted,
            n_corrected=self._n_corrected,
            seconds_per_query=_median(self._seconds),
            seconds_per_click=_median(self._per_click),
            active_s=sum(self._seconds),
        )

    def _count(self, answer: Answer, n: Literal[1, -1]) -> None:
        """Add an answer (1) or remove it (-1)."""
        self._by_outcome[answer.outcome] += n
        clicks = answer.clicks
        self._kinds[0] += n * clicks.class_clicks
        self._kinds[1] += n * clicks.polygon_clicks
        self._kinds[2] += n * clicks.intersection_clicks
        if answer.query.query_type == "correction" and answer.outcome == "labelled":
            accepted = answer.class_ids == (answer.query.pseudo_label,)
            self._n_accepted += n * accepted
            self._n_corrected += n * (not accepted)
        is_counted = 0 < answer.seconds <= PAUSE_S
        share = n / max(1, len(answer.class_ids))
        for class_id in answer.class_ids:
            before = self._by_class.pop(class_id, ClassCost())
            if before.n_answers + n:
                self._by_class[class_id] = ClassCost(
                    before.n_answers + n,
                    before.clicks + share * clicks.total,
                    before.seconds + share * answer.seconds * is_counted,
                )
        if is_counted:
            change = insort if n > 0 else _remove
            change(self._seconds, answer.seconds)
            change(self._per_click, answer.seconds / max(1, clicks.total))


def _remove(ascending: list[float], value: float) -> None:
    del ascending[bisect_left(ascending, value)]


def _median(ascending: Sequence[float]) -> float | None:
    """Return the median."""
    n = len(ascending)
    return None if n == 0 else (ascending[(n - 1) // 2] + ascending[n // 2]) / 2


_COLUMNS = (
    "time", "annotator", "image", "round", "model_round", "query_type", "outcome", "classes",
    "region_px", "class_clicks", "polygon_clicks", "intersection_clicks", "drawn_clicks", "seconds",
    "score", "source", "predicted",
)  # fmt: skip


def to_csv(answers: Iterable[Answer], classes: Sequence[ClassInfo]) -> str:
    """Return answers as CSV with a header, one row each.

    ``source`` is ``random`` of a region drawn at random, ``predicted`` the class that the model
    gave most of it. ``drawn_clicks`` estimates what drawing the region exactly would have cost
    (``core.geometry.drawing_cost``), which takes some milliseconds an answer.
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
                query.source,
                "" if query.predicted is None else names.get(query.predicted, ""),
            )
        )
    return out.getvalue()


def count(n: float, noun: str) -> str:
    """Return a number of things in words: ``1 answer``, ``2 answers``, ``3.3 clicks``."""
    return f"{n:.1f} {noun}s" if n != round(n) else f"{round(n)} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in words: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 59.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True, slots=True)
class CoverageStatistics:
    """Sums over answers.

    Attributes
    ----------
    drawn_clicks : int
        Estimated clicks of outlining the same regions by polygons.
    px_by_class : Counter
        Labelled pixels by class id; regions with several classes are left out.
    """

    drawn_clicks: int
    px_by_class: Counter[int]


class CoverageAccumulator:
    """Computes coverage from what has changed since the last call; for one thread at a time."""

    def __init__(self) -> None:
        self._changes = AnswerChanges()
        self._known: dict[str, int] = {}  # drawn clicks by answer id; slow to compute
        self._drawn = 0
        self._px_by_class: Counter[int] = Counter()

    def update(self, answers: Sequence[Answer]) -> CoverageStatistics:
        """Return coverage of these answers."""
        gone, new = self._changes.since_last(answers)
        for answer in gone:
            self._count(answer, -1)
        for answer in new:
            self._count(answer, 1)
        return CoverageStatistics(self._drawn, self._px_by_class.copy())

    def _count(self, answer: Answer, n: Literal[1, -1]) -> None:
        """Add an answer (1) or remove it (-1)."""
        mask = answer.query.region.mask
        if answer.id not in self._known:
            self._known[answer.id] = drawn_clicks(mask)
        self._drawn += n * self._known[answer.id]
        if answer.pieces:
            for piece in answer.pieces:
                self._px_by_class[piece.class_id] += n * piece.mask.size
        elif len(answer.class_ids) == 1:
            self._px_by_class[answer.class_ids[0]] += n * mask.size
