"""Figures that take time: what answers cover, and what drawing the same would have cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_al.core.geometry.outlines import drawn_clicks
from napari_al.plugin.control.answer_statistics import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.session.log.records import Answer


@dataclass(frozen=True, slots=True)
class Ledger:
    """Sums over answers.

    Attributes
    ----------
    drawn_clicks : int
        What outlining the same regions exactly by polygons would have cost, about.
    px_by_class : Counter
        Pixels that got a class, by class id; regions with several classes are left out.
    """

    drawn_clicks: int
    px_by_class: Counter[int]


class Bookkeeper:
    """Makes ledgers, from what has changed since the last one. For a thread of its own."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._known: dict[str, int] = {}  # clicks to draw it, by answer: they take a while
        self._drawn = 0
        self._px_by_class: Counter[int] = Counter()

    def balance(self, answers: Sequence[Answer]) -> Ledger:
        """Sum answers up."""
        gone, new = self._changes.of(answers)
        for answer in gone:
            self._sum_up(answer, -1)
        for answer in new:
            self._sum_up(answer, 1)
        return Ledger(self._drawn, self._px_by_class.copy())

    def _sum_up(self, answer: Answer, n: Literal[1, -1]) -> None:
        """Add an answer, or take it out."""
        mask = answer.query.region.mask
        if answer.id not in self._known:
            self._known[answer.id] = drawn_clicks(mask)
        self._drawn += n * self._known[answer.id]
        if answer.pieces:
            for piece in answer.pieces:
                self._px_by_class[piece.class_id] += n * piece.mask.size
        elif len(answer.class_ids) == 1:
            self._px_by_class[answer.class_ids[0]] += n * mask.size
