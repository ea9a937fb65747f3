"""The order of queries: by one model's scores, or by two models' while the newer one is scoring.

A newer model's scores replace the older's image by image. Scores of two models cannot be compared,
but ranks can: each region keeps its relative rank among its own model's regions, and both orders
interleave. Once the newer model has scored every image the order is its own alone.

Only where the order begins is worked out, in one pass over the scores; more of it when that has
been asked. So a pool of any size takes the memory of a few million regions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.acquisition import BLOCK_ROWS, best_first, rank
from napari_al.session.pool.scores import PoolScores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project

N_AHEAD = 2**17
"""Rows of the order that are worked out at first: more than are asked between two models."""


@dataclass(frozen=True)
class ModelScores:
    """Scores and the round of the model that made them (0 with no model: at random).

    ``complete``: the model has been through all images.
    """

    round: int
    scores: PoolScores
    complete: bool = True


class Pool:
    """Regions in the order in which to ask them; immutable.

    Parameters
    ----------
    parts : sequence of ModelScores
        The oldest first; an image's regions are those of the newest part that has it.
    shapes : mapping of str to (height, width)
        The images there are. Scores of others, or of images that had another size, do not count.
    config : ProjectConfig

    A row is a position in all parts' rows, one part after the other.

    Attributes
    ----------
    parts : tuple of ModelScores
        Those that some regions come from, the oldest first.
    """

    def __init__(
        self,
        parts: Sequence[ModelScores],
        shapes: Mapping[str, tuple[int, int]],
        config: ProjectConfig,
    ) -> None:
        self._source: dict[str, tuple[PoolScores, int]] = {}
        chosen: list[tuple[ModelScores, NDArray[np.bool_]]] = []
        for part in reversed(parts):
            new = _images_that_count(part.scores, shapes, self._source)
            if new.any():
                chosen.insert(0, (part, new))
            for index in np.flatnonzero(new).tolist():
                self._source[part.scores.images[index]] = part.scores, index
        self.parts = tuple(part for part, _ in chosen)
        self._counts = [images for _, images in chosen]  # of each part: which of its images count
        self._config = config
        self._starts = np.cumsum([0, *(len(part.scores) for part in self.parts)])
        self._n_askable = [
            _n_askable(part.scores, images)
            for part, images in zip(self.parts, self._counts, strict=True)
        ]
        self._order = self._first(N_AHEAD)

    def __len__(self) -> int:
        return sum(self._n_askable)

    @property
    def order(self) -> NDArray[np.int64]:
        """(N,) all rows, the best first; ties broken by seed. Takes memory for all of them."""
        return self.first(len(self))

    def first(self, n: int) -> NDArray[np.int64]:
        """Return the rows that are asked first, the best first: n, or as many as there are."""
        wanted = ahead = min(n, len(self))
        while len(self._order) < wanted:
            ahead = min(len(self), 4 * max(ahead, len(self._order)))
            self._order = self._first(ahead)
        return self._order[:n]

    def rows(self, first: int = 0) -> Iterator[int]:
        """Yield the rows, the best first, from a place in the order on."""
        for place in range(first, len(self)):
            yield int(self.first(place + 1)[place])

    def draw(self, rng: np.random.Generator, n: int) -> Iterator[int]:
        """Yield rows at random: n draws with replacement, less those that cannot be asked."""
        for row in rng.integers(int(self._starts[-1]), size=n).tolist():
            part, own_row = self.locate(row)
            index = int(part.scores.image_index[own_row])
            source = self._source.get(part.scores.images[index])
            counts = source is not None and source[0] is part.scores
            if counts and part.scores.score[own_row] > -np.inf:
                yield row

    @property
    def images(self) -> frozenset[str]:
        """Images that have scores."""
        return frozenset(self._source)

    @property
    def newest_round(self) -> int:
        """Round of the newest model in it; 0 where there is none."""
        return self.parts[-1].round if self.parts else 0

    def locate(self, row: int) -> tuple[ModelScores, int]:
        """Return the part that a row belongs to, and its row there."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[part], row - int(self._starts[part])

    def image(self, row: int) -> str:
        """Return the name of a row's image."""
        part, own_row = self.locate(row)
        return part.scores.images[int(part.scores.image_index[own_row])]

    def of_image(self, image: str) -> tuple[PoolScores, int] | None:
        """Return the scores that an image's regions come from, and its index in them."""
        return self._source.get(image)

    def round_of_image(self, image: str) -> int | None:
        """Return the round of the model that scored an image; None if none has."""
        return next((p.round for i, p in enumerate(self.parts) if self._is_of(image, i)), None)

    def row_of(self, image: str, ids: Collection[int]) -> int | None:
        """Return the best row of an image whose region holds any of these base regions, if any."""
        if image not in self._source:
            return None
        scores, index = self._source[image]
        groups = scores.groups_of(index)
        wanted = list(ids) if groups is None else groups[[i for i in ids if i < len(groups)]]
        for row in self.rows_of(image).tolist():
            if scores.region_id[self.locate(row)[1]] in wanted:
                return int(row)
        return None

    def place_of(self, row: int) -> int:
        """Return a row's place in the order; of one that comes later, where it ends so far."""
        places = np.flatnonzero(self._order == row)
        return int(places[0]) if len(places) else len(self._order)

    def rows_of(self, image: str) -> NDArray[np.int64]:
        """Return the rows of an image's regions, the best first."""
        part = next((p for p in range(len(self.parts)) if self._is_of(image, p)), None)
        if part is None:
            return np.empty(0, np.int64)
        scores, index = self._source[image]
        rows = scores.rows_of(index)
        own = np.arange(rows.start, rows.stop)[scores.score[rows] > -np.inf]
        order = best_first(own, scores.score[own], self._seed(self.parts[part]))
        ranked: NDArray[np.int64] = own[order] + self._starts[part]
        return ranked

    def _is_of(self, image: str, part: int) -> bool:
        """Whether an image's regions come from a part."""
        source = self._source.get(image)
        return source is not None and self.parts[part].scores is source[0]

    def _seed(self, part: ModelScores) -> tuple[int, int]:
        return self._config.seed, part.round

    def _first(self, n: int) -> NDArray[np.int64]:
        """Work out where the order begins: about n rows, whole batches of them, or all."""
        batch = 1
        if self._config.acquisition.order == "image":
            batch = self._config.budget_of(self.newest_round + 1)
        share = min(1.0, -(-n // batch) * batch / max(len(self), 1))
        ranked = [
            rank(
                part.scores.score,
                self._seed(part),
                min(n_askable, int(share * n_askable) + 1),
                partial(_rows_count, part.scores, images),
            )
            for part, images, n_askable in zip(
                self.parts, self._counts, self._n_askable, strict=True
            )
        ]
        order = self._merge(ranked)
        if len(order) < len(self):
            order = order[: len(order) // batch * batch]
        return order if batch == 1 else _grouped(order, self._image_numbers(order), batch)

    def _merge(self, ranked: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Merge each part's rows, the best first, by the place that a row has in its part."""
        if len(ranked) == 1:
            return ranked[0]
        rows = [own + start for own, start in zip(ranked, self._starts, strict=False)]
        places = [
            (np.arange(len(own)) + 0.5) / max(n, 1)
            for own, n in zip(ranked, self._n_askable, strict=True)
        ]
        if not rows:
            return np.empty(0, np.int64)
        place = np.concatenate(places)
        order = np.argsort(place, kind="stable")
        is_cut = [len(own) < n for own, n in zip(ranked, self._n_askable, strict=True)]
        if any(is_cut):  # from where one ends rows of it may be missing
            ends = [own[-1] for own, cut in zip(places, is_cut, strict=True) if cut]
            order = order[place[order] <= min(ends)]
        merged: NDArray[np.int64] = np.concatenate(rows)[order]
        return merged

    def _image_numbers(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Image number of each row of an order."""
        numbers = np.empty(len(order), np.int64)
        n_before = np.cumsum([0, *(len(part.scores.images) for part in self.parts)])
        for part, start, stop, n in zip(
            self.parts, self._starts, self._starts[1:], n_before, strict=False
        ):
            own = (order >= start) & (order < stop)
            numbers[own] = part.scores.image_index[order[own] - start] + n
        return numbers


class PoolReader:
    """Builds pools from the scores in a project's cache; on any thread.

    Attributes
    ----------
    select_s : float or None
        Seconds that ordering the newest pool took.
    """

    def __init__(self, project: Project, data: DataFolder, config: ProjectConfig) -> None:
        self._project, self._config = project, config
        self._shapes = {image: data.shape(image) for image in data.train}
        self.select_s: float | None = None

    def newest(self) -> Pool | None:
        """Return the newest model's scores as a pool; for images it has not reached, older ones."""
        parts: list[ModelScores] = []
        for model_round in sorted({0, *self._project.rounds_done()}, reverse=True):
            part = self._stored(model_round)
            parts[:0] = [part] if part is not None else []
            if part is not None and part.complete:
                break
        return self.pool_of(parts)

    def with_newer(self, pool: Pool | None, model_round: int) -> Pool | None:
        """Return a pool that includes a model's scores so far; None if it has none."""
        new = self._stored(model_round)
        if new is None:
            return None
        old = () if pool is None else pool.parts
        return self.pool_of([*(part for part in old if part.round < model_round), new])

    def pool_of(self, parts: Sequence[ModelScores]) -> Pool | None:
        """Return scores as a pool; None if there is nothing to ask from."""
        started = time.perf_counter()
        pool = Pool(parts, self._shapes, self._config)
        self.select_s = time.perf_counter() - started
        return pool if len(pool) else None

    def leave_out(self, images: Iterable[str]) -> None:
        """Leave images that cannot be used out of all pools from now on."""
        for image in images:
            self._shapes.pop(image, None)

    def _stored(self, model_round: int) -> ModelScores | None:
        for so_far in (False, True):
            scores = PoolScores.load(self._project.scores_file(model_round, so_far=so_far))
            if scores is not None:
                return ModelScores(model_round, scores, complete=not so_far)
        return None


def _images_that_count(
    scores: PoolScores,
    shapes: Mapping[str, tuple[int, int]],
    taken: Mapping[str, object],
) -> NDArray[np.bool_]:
    """Whether each image exists, has the size it had when scored, and is not in ``taken``."""
    return np.array(
        [
            name not in taken and shapes.get(name) == (height, width)
            for name, (height, width) in zip(scores.images, scores.shapes.tolist(), strict=True)
        ],
        bool,
    )


def _rows_count(scores: PoolScores, images: NDArray[np.bool_], rows: slice) -> NDArray[np.bool_]:
    """Of each row: whether its image counts."""
    return images[scores.image_index[rows]]


def _n_askable(scores: PoolScores, images: NDArray[np.bool_]) -> int:
    """Count the rows that may be asked."""
    n_askable = 0
    for start in range(0, len(scores), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        is_askable = (scores.score[rows] > -np.inf) & _rows_count(scores, images, rows)
        n_askable += int(np.count_nonzero(is_askable))
    return n_askable


def _grouped(
    order: NDArray[np.int64], image_of_row: NDArray[np.integer], batch: int
) -> NDArray[np.int64]:
    """Reorder each batch of rows so that an image's regions follow each other, best image first."""
    parts = []
    for start in range(0, len(order), batch):
        rows = slice(start, start + batch)
        _, first, inverse = np.unique(image_of_row[rows], return_index=True, return_inverse=True)
        parts.append(order[rows][np.argsort(first[inverse], kind="stable")])
    return np.concatenate(parts) if parts else order
