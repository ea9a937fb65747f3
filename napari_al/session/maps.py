"""Maps of one image of an open project: regions, scores, predictions, answers, labels.

Computed when they are asked for, from the log, the newest scores and the files in ``cache/``; the
window keeps what it shows (``plugin/layers/picture_store.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.formats.classes import as_merged
from napari_al.session.pool.scores import paint_scores
from napari_al.session.project import cache_files
from napari_al.session.state import ProjectState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ProjectMaps(ProjectState):
    """An open project whose images can be looked at; parameters as of ``ProjectState``."""

    def region_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) base region ids, -1 = none."""
        return self._maps(image)

    def score_map(self, image: str) -> NDArray[np.float32] | None:
        """(H, W) acquisition scores, NaN where there is no region or it was answered.

        None while there are no scores.
        """
        source = None if self._queue.pool is None else self._queue.pool.of_image(image)
        if source is None:
            return None
        scores, index = source
        region_map = self._maps(image)
        of_base = scores.spread(index, scores.score, region_map)
        return paint_scores(of_base, region_map, self._answered.snapshot.answered_ids(image))

    def asked_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) ids of the regions as they would be asked: base regions, or merged ones."""
        region_map = self._maps(image)
        source = None if self._queue.pool is None else self._queue.pool.of_image(image)
        if source is None:
            return region_map
        scores, index = source
        scores.check_fit(index, self._maps.n_regions(image))
        groups = scores.groups_of(index)
        return region_map if groups is None else groups[region_map]

    def prediction(self, image: str) -> NDArray[np.uint8] | None:
        """(H, W) classes that the newest model that scored it predicts; None before the first."""
        model_round = None if self._queue.pool is None else self._queue.pool.round_of_image(image)
        if model_round is None:
            return None
        stored = cache_files.read_class_map(self.project.prediction_file(model_round, image))
        return None if stored is None else as_merged(stored, self.config.classes)

    def answers_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) classes of the answers alone, IGNORE elsewhere."""
        return self._answered.snapshot.answers_map(image)

    def targets(self, image: str) -> NDArray[np.uint8]:
        """(H, W) labels that the newest model was trained on, IGNORE elsewhere.

        Before the first training (or if the cache is gone): the answers, or corrected labels.
        """
        if self.model_round is not None:
            stage = 2 if self.config.method.targets == "localise" else 1
            path = self.project.target_file(self.model_round, image, stage=stage)
            stored = cache_files.read_class_map(path)
            if stored is not None:
                return as_merged(stored, self.config.classes)
        return self.current_labels(image)

    def current_labels(self, image: str) -> NDArray[np.uint8]:
        """(H, W) what is known of an image now: initial labels, corrections and answers over them.

        The answers alone for methods that do not start from labels.
        """
        if self.config.method.starts_from_labels:
            return self._answered.snapshot.current_labels(image)
        return self._answered.snapshot.answers_map(image)
