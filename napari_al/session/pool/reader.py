"""Pools from what models have scored by now, which lies in the project's cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_al.session.pool.order import ModelScores, Pool
from napari_al.session.pool.scores import PoolScores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project


class PoolReader:
    """Makes pools of a project; on any thread.

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
        """Return a pool with what a model has scored by now; None if that is nothing."""
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
        """Have pools from now on without images that cannot be used."""
        for image in images:
            self._shapes.pop(image, None)

    def _stored(self, model_round: int) -> ModelScores | None:
        for so_far in (False, True):
            scores = PoolScores.load(self._project.scores_file(model_round, so_far=so_far))
            if scores is not None:
                return ModelScores(model_round, scores, complete=not so_far)
        return None
