"""Statistics that need a thread: pixels labelled by class, clicks of drawing the same regions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_al.core.geometry.drawing_cost import drawn_clicks
from napari_al.plugin.control.answer_statistics import AnswerChanges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.methods.queries import Answer


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
