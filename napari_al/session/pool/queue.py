"""The next query: totals of the answers in force, and the regions that are still open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.clicks import Clicks
from napari_al.methods.queries import Query, Region
from napari_al.session.log.class_edits import as_counted

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.methods.queries import Answer
    from napari_al.methods.table import Method, QueryType
    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.pool.order import Pool
    from napari_al.session.pool.scores import PoolScores
    from napari_al.session.project.region_maps import RegionMaps

N_DRAWS = 100
"""At most, for one question of the random share; where hardly a region is open it is not asked."""
_RANDOM_SHARE = 1
"""Part of the seed of these draws."""
_Place = tuple[str, tuple[int, ...]]
_NONE: frozenset[int] = frozenset()


class AnsweredState:
    """Totals of the answers in force, updated with each answer.

    Parameters
    ----------
    snapshot : Snapshot
        The project without answers; they are added to it.
    answers : iterable of Answer
        Those in force, oldest first.
    earlier : container of str
        Ids of answers that belong to earlier rounds.

    Attributes
    ----------
    snapshot : Snapshot
        The project with the answers in force.
    answers : list of Answer
        Those in force, oldest first, in terms of the classes in force.
    clicks : Clicks
        All that were spent.
    n_in_round, clicks_in_round : int
        Answers and clicks of the round being answered.
    """

    def __init__(
        self, snapshot: Snapshot, answers: Iterable[Answer] = (), earlier: Container[str] = ()
    ) -> None:
        self.snapshot = snapshot
        self.answers: list[Answer] = []
        self.clicks, self.clicks_in_round, self.n_in_round = Clicks(), 0, 0
        self._earlier = earlier
        self._settled: dict[str, set[int]] = {}
        self._put_off: dict[str, set[int]] = {}
        for answer in answers:
            self.add(answer)

    def add(self, answer: Answer) -> None:
        """Add an answer to the totals."""
        region = answer.query.region
        counted = as_counted([answer], self.snapshot.config.classes)
        self.answers.extend(counted)
        self.snapshot.answers.setdefault(region.image, []).extend(counted)
        self.clicks += answer.clicks
        if self._is_of_round(answer):
            self.n_in_round += 1
            self.clicks_in_round += answer.clicks.total
        if answer.outcome != "skipped":
            self._settled.setdefault(region.image, set()).update(region.ids)
        elif self._is_of_round(answer):
            self._put_off.setdefault(region.image, set()).update(region.ids)

    def take_back(self) -> Answer:
        """Remove the newest answer from the totals, and return it."""
        answer = self.answers.pop()
        image = answer.query.region.image
        left = self.snapshot.answers[image]
        left.pop()
        self.clicks -= answer.clicks
        if self._is_of_round(answer):
            self.n_in_round -= 1
            self.clicks_in_round -= answer.clicks.total
        self._settled[image] = self.snapshot.answered_ids(image)
        put_off = (a for a in left if a.outcome == "skipped" and self._is_of_round(a))
        self._put_off[image] = {region_id for a in put_off for region_id in a.query.region.ids}
        if not left:
            del self.snapshot.answers[image]
        return answer

    def answers_of_round(self) -> list[Answer]:
        """Return those of the round being answered, oldest first."""
        return [answer for answer in self.answers if self._is_of_round(answer)]

    def n_settled(self, image: str) -> int:
        """Return how many base regions of an image have an answer other than "later"."""
        return len(self._settled.get(image, _NONE))

    def is_open(self, image: str, ids: tuple[int, ...]) -> bool:
        """Whether base regions hold one not answered, and none put off in this round.

        Merged regions may hold superpixels that were answered before: they are asked again with
        the rest, and the new answer counts where both say something.
        """
        settled, put_off = self._settled.get(image, _NONE), self._put_off.get(image, _NONE)
        return not settled.issuperset(ids) and put_off.isdisjoint(ids)

    def _is_of_round(self, answer: Answer) -> bool:
        return answer.id not in self._earlier


class QueryQueue:
    """The next queries: the pool's regions in order, less those answered; used on one thread.

    Attributes
    ----------
    pool : Pool or None
        None while there are no scores.
    """

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._head = 0  # position in the pool's order; regions before it are answered
        self._asked: Query | None = None
        self._rows_in: tuple[Pool, str, NDArray[np.int64]] | None = None  # of one image

    def adopt(self, pool: Pool | None) -> None:
        """Ask from another pool; the query on screen stays."""
        self.pool, self._head = pool, 0

    def reopen(self, region: Region) -> None:
        """Make a region askable again after its answer was undone."""
        self._asked = None
        row = None if self.pool is None else self.pool.row_of(region.image, region.ids)
        if self.pool is not None and row is not None:
            self._head = min(self._head, self.pool.place_of(row))

    def reset(self) -> None:
        """Start from the best region: other answers are in force, or another round has begun."""
        self._head, self._asked = 0, None

    def relabel(self, answered: AnsweredState) -> None:
        """Start from the best region under other classes; the query on screen gets a new label."""
        self._head, asked = 0, self._asked
        if asked is not None and asked.pixel_rc is not None:
            label = answered.snapshot.current_label(asked.region.image, asked.pixel_rc)
            self._asked = replace(asked, pseudo_label=label)

    def next(self, answered: AnsweredState, round_number: int) -> Query | None:
        """Return the query to ask, the same until it is answered; None: all are answered."""
        self._asked = next(self.queries(answered, round_number), None)
        return self._asked

    def about(
        self, image: str, ids: Collection[int], answered: AnsweredState, round_number: int
    ) -> Query | None:
        """Return the query about the pool's region with base regions; None if it is answered."""
        if self.pool is None:
            return None
        row = self.pool.row_of(image, ids)
        return None if row is None else _query_of_row(self.pool, row, answered, round_number)

    def queries(self, answered: AnsweredState, round_number: int) -> Iterator[Query]:
        """Yield queries, best first; but before all others the one on screen, until answered."""
        if self.pool is None:
            return
        asked = self._asked
        if (
            asked is not None
            and asked.round == round_number
            and answered.is_open(asked.region.image, asked.region.ids)
        ):
            yield asked
        else:
            asked = None
        given = set() if asked is None else {_place(asked)}
        ranked = self._ranked(answered, round_number)
        while True:
            n_before = len(answered.answers) + len(given)
            query = self._drawn(answered, round_number, n_before, given)
            if query is None:
                query = next((q for q in ranked if _place(q) not in given), None)
            if query is None:
                return
            given.add(_place(query))
            yield query

    def queries_in(self, image: str, answered: AnsweredState, round_number: int) -> Iterator[Query]:
        """Yield the open queries of one image, best first."""
        if self.pool is None:
            return
        if self._rows_in is None or self._rows_in[:2] != (self.pool, image):
            self._rows_in = self.pool, image, self.pool.rows_of(image)
        for row in self._rows_in[2].tolist():
            query = _query_of_row(self.pool, row, answered, round_number)
            if query is not None:
                yield query

    def _ranked(self, answered: AnsweredState, round_number: int) -> Iterator[Query]:
        """Yield the queries about open regions in the pool's order."""
        if self.pool is None:
            return
        for position, row in enumerate(self.pool.rows(self._head), start=self._head):
            query = _query_of_row(self.pool, row, answered, round_number)
            if query is not None:
                yield query
            elif position == self._head:
                self._head += 1

    def _drawn(
        self,
        answered: AnsweredState,
        round_number: int,
        n_before: int,
        given: Container[_Place],
    ) -> Query | None:
        """Return the query after so many answers if it is one of the random share, else None.

        It depends on the seed and on that number alone, so that a run that was stopped, and an
        undo, come to the same region.
        """
        config, pool = answered.snapshot.config, self.pool
        share = config.acquisition.random_share
        if not share or pool is None or all(part.scores.predicted is None for part in pool.parts):
            return None
        rng = np.random.default_rng([config.seed, _RANDOM_SHARE, n_before])
        if rng.random() >= share:
            return None
        for row in pool.draw(rng, N_DRAWS):
            query = _query_of_row(pool, row, answered, round_number)
            if query is not None and _place(query) not in given:
                return replace(query, source="random")
        return None


def _place(query: Query) -> _Place:
    return query.region.image, query.region.ids


def _query_of_row(pool: Pool, row: int, answered: AnsweredState, round_number: int) -> Query | None:
    """Return the query about a row of the pool; None if it is not to be asked (again)."""
    part, own_row = pool.locate(row)
    scores, snapshot = part.scores, answered.snapshot
    image = scores.images[int(scores.image_index[own_row])]
    if not answered.is_open(image, scores.base_ids(own_row)):
        return None
    region = region_of_row(snapshot.maps, scores, own_row)
    pixel_rc = pseudo_label = None
    if snapshot.config.method.query == "correction":
        if scores.pixel is None:
            pixel_rc = region.mask.central_pixel()
        else:
            r, c = divmod(int(scores.pixel[own_row]), snapshot.data.shape(image)[1])
            pixel_rc = (r, c)
        pseudo_label = snapshot.current_label(image, pixel_rc)
    return Query(
        region=region,
        query_type=_query_type(snapshot.config.method, scores, own_row),
        score=float(scores.score[own_row]),
        round=round_number,
        model_round=part.round,
        pixel_rc=pixel_rc,
        pseudo_label=pseudo_label,
        predicted=None if scores.predicted is None else int(scores.predicted[own_row]),
    )


def _query_type(method: Method, scores: PoolScores, row: int) -> QueryType:
    """Return what a row's region is asked."""
    if scores.asks_all is None or scores.asks_all[row]:  # None: no choice, or no model yet
        return method.query
    return "dominant"


def region_of_row(maps: RegionMaps, scores: PoolScores, row: int) -> Region:
    """Return the region of a row of the scores, with its pixels."""
    index = int(scores.image_index[row])
    image, ids = scores.images[index], scores.base_ids(row)
    scores.check_fit(index, maps.n_regions(image))
    return Region(image, ids, maps.mask(image, ids))
