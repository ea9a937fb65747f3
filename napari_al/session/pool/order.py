"""The order of queries: by one model's scores, or by two models' while the newer one is scoring.

A newer model's scores replace the older's image by image. Scores of two models cannot be compared,
but ranks can: each region keeps its relative rank among its own model's regions, and both orders
interleave. Once the newer model has scored every image the order is its own alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.acquisition import rank
from napari_al.session.pool.scores import PoolScores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project


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

    Attributes
    ----------
    parts : tuple of ModelScores
        Those that some regions come from, the oldest first.
    order : (N,) int64
        Rows, the best first; ties broken by seed. A row is a position in all parts' rows, one part
        after the other.
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
        self._starts = np.cumsum([0, *(len(part.scores) for part in self.parts)])
        self.order = self._merge([_ranked(part, new, config.seed) for part, new in chosen])
        if config.acquisition.order == "image":
            self.order = _grouped(
                self.order, self._image_numbers(), config.budget_of(self.newest_round + 1)
            )

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

    def first_place(self, image: str, ids: Collection[int]) -> int:
        """Return the first place in the order with a region that holds any of these base regions.

        The end of the order where there is none.
        """
        part = next((p for p in range(len(self.parts)) if self._is_of(image, p)), None)
        if part is None:
            return len(self.order)
        scores, index = self._source[image]
        groups, rows = scores.groups_of(index), scores.rows_of(index)
        wanted = list(ids) if groups is None else groups[[i for i in ids if i < len(groups)]]
        own = rows.start + np.flatnonzero(np.isin(scores.region_id[rows], wanted))
        places = np.flatnonzero(np.isin(self.order, own + self._starts[part]))
        return int(places[0]) if len(places) else len(self.order)

    def places_of(self, image: str) -> NDArray[np.int64]:
        """Return the places in the order of an image's regions, the best first."""
        part = next((p for p in range(len(self.parts)) if self._is_of(image, p)), None)
        if part is None:
            return np.empty(0, np.int64)
        scores, index = self._source[image]
        rows, start = scores.rows_of(index), int(self._starts[part])
        is_of_image = (self.order >= rows.start + start) & (self.order < rows.stop + start)
        return np.flatnonzero(is_of_image)

    def _is_of(self, image: str, part: int) -> bool:
        """Whether an image's regions come from a part."""
        source = self._source.get(image)
        return source is not None and self.parts[part].scores is source[0]

    def _merge(self, ranked: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Merge each part's rows, the best first, by the place that a row has in its part."""
        if len(ranked) == 1:
            return ranked[0]
        rows = [own + start for own, start in zip(ranked, self._starts, strict=False)]
        places = [(np.arange(len(own)) + 0.5) / max(len(own), 1) for own in ranked]
        if not rows:
            return np.empty(0, np.int64)
        order = np.argsort(np.concatenate(places), kind="stable")
        merged: NDArray[np.int64] = np.concatenate(rows)[order]
        return merged

    def _image_numbers(self) -> NDArray[np.int64]:
        """Image number of each row of ``order``."""
        n_before = np.cumsum([0, *(len(part.scores.images) for part in self.parts)])
        of_row = [p.scores.image_index + n for p, n in zip(self.parts, n_before, strict=False)]
        return np.concatenate(of_row)[self.order] if of_row else np.empty(0, np.int64)


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
        return pool if len(pool.order) else None

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


def _ranked(part: ModelScores, images: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Rows of these images, best first."""
    order = rank(part.scores.score, np.random.default_rng([seed, part.round]))
    return order if images.all() else order[images[part.scores.image_index[order]]]


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
