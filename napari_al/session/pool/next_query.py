"""What is asked next: the pool's regions in order, less those that are answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_al.session.log.records import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_al.session.log.records import Region
    from napari_al.session.pool.answered import Standing
    from napari_al.session.pool.order import Pool


class Asking:
    """Goes through a pool, on one thread.

    Attributes
    ----------
    pool : Pool or None
        None while there are no scores.
    """

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._head = 0  # what comes before in the pool's order is answered
        self._asked: Query | None = None

    def adopt(self, pool: Pool | None) -> None:
        """Ask from another pool; what has been asked stays the question."""
        self.pool, self._head = pool, 0

    def reopen(self, region: Region) -> None:
        """Ask about a region whose answer was taken back."""
        self._asked = None
        if self.pool is not None:
            self._head = min(self._head, self.pool.first_place(region.image, region.ids))

    def start_again(self) -> None:
        """Look at the whole pool again: other answers are in force, or another round has begun."""
        self._head, self._asked = 0, None

    def relabel(self, standing: Standing) -> None:
        """Look at the whole pool again under other classes; what is asked stays, with its label."""
        self._head, asked = 0, self._asked
        if asked is not None and asked.pixel_rc is not None:
            label = standing.now.current_label(asked.region.image, asked.pixel_rc)
            self._asked = replace(asked, pseudo_label=label)

    def next(self, standing: Standing, round_number: int) -> Query | None:
        """Return what to ask, the same until it is answered; None: all is."""
        self._asked = next(self.queries(standing, round_number), None)
        return self._asked

    def queries(self, standing: Standing, round_number: int) -> Iterator[Query]:
        """Yield what to ask, best first; before all what has been asked and has no answer yet."""
        if self.pool is None:
            return
        asked = self._asked
        if (
            asked is not None
            and asked.round == round_number
            and standing.is_open(asked.region.image, asked.region.ids)
        ):
            yield asked
        else:
            asked = None
        order = self.pool.order
        for position in range(self._head, len(order)):
            query = _query_of_row(self.pool, int(order[position]), standing, round_number)
            if query is not None and (asked is None or query.region != asked.region):
                yield query
            elif query is None and position == self._head:
                self._head += 1


def _query_of_row(pool: Pool, row: int, standing: Standing, round_number: int) -> Query | None:
    """Return the question about a row of the pool; None if it is not to be asked (again)."""
    from napari_al.session.rounds.automatic_corrections import region_of_row

    part, own_row = pool.locate(row)
    scores, now = part.scores, standing.now
    image = scores.images[int(scores.image_index[own_row])]
    if not standing.is_open(image, scores.base_ids(own_row)):
        return None
    region = region_of_row(now, scores, own_row)
    pixel_rc = pseudo_label = None
    if now.config.method.query == "correction":
        if scores.pixel is None:
            pixel_rc = region.mask.central_pixel()
        else:
            r, c = divmod(int(scores.pixel[own_row]), now.data.shape(image)[1])
            pixel_rc = (r, c)
        pseudo_label = now.current_label(image, pixel_rc)
    return Query(
        region=region,
        query_type=now.config.method.query,
        score=float(scores.score[own_row]),
        round=round_number,
        model_round=part.round,
        pixel_rc=pixel_rc,
        pseudo_label=pseudo_label,
    )
