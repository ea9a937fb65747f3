"""Figures that take time: what answers cover, and what drawing the same would have cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.plugin.costs import Unseen
from napari_al.plugin.outlines import drawn_clicks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.session.records import Answer


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
    """Makes ledgers; looks at each answer once. For a thread of its own."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._unseen = Unseen()
        self._start()

    def _start(self) -> None:
        self._drawn = 0
        self._px_by_class: Counter[int] = Counter()

    def balance(self, answers: Sequence[Answer]) -> Ledger:
        """Sum answers up."""
        new, goes_on = self._unseen.of(answers)
        if not goes_on:
            self._start()
        for answer in new:
            self._add(answer)
        return Ledger(self._drawn, self._px_by_class.copy())

    def _add(self, answer: Answer) -> None:
        mask = answer.query.region.mask
        if answer.id not in self._known:
            self._known[answer.id] = drawn_clicks(mask)
        self._drawn += self._known[answer.id]
        if answer.pieces:
            for piece in answer.pieces:
                self._px_by_class[piece.class_id] += piece.mask.size
        elif len(answer.class_ids) == 1:
            self._px_by_class[answer.class_ids[0]] += mask.size
