"""Columns of a pool that need no model (``methods.acquisition``: ANY and ENCODER columns)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.rounds.encodings import Predictor
    from napari_al.session.rounds.job_context import JobContext

N_IMAGES_OF_SCALE = 16
"""Evenly spaced images from which each channel's scale is estimated."""


def columns_without_model(
    snapshot: Snapshot,
    model_round: int,
    image: str,
    region_id: NDArray[np.int32],
    group: NDArray[np.int32] | None = None,
) -> dict[str, NDArray[Any]]:
    """``ANY_COLUMNS`` of the regions of one image.

    Parameters
    ----------
    snapshot : Snapshot
        Regions answered in it are ``queried``.
    model_round : int
        Of the model that scores; 0 without one.
    image : str
    region_id : (P,) int32
        Of what is asked about.
    group : (n_base,) int32, optional
        Where base regions are merged: the id of each one's region.
    """
    answered = list(snapshot.answered_ids(image))
    if group is None:
        queried = np.isin(region_id, answered)
    else:  # a region is open while any of its superpixels is
        is_open = ~np.isin(np.arange(len(group)), answered)
        queried = ~np.isin(region_id, group[is_open])
    rng = np.random.default_rng([snapshot.config.seed, model_round, zlib.crc32(image.encode())])
    n_rows = len(region_id)
    return {
        "queried": queried,
        "answered_as": _answered_as(snapshot, image, region_id, group),
        "image": np.full(n_rows, snapshot.data.number_of[image], np.int32),
        "model_round": np.full(n_rows, model_round, np.int32),
        "uniform": rng.random(n_rows),
    }


def _answered_as(
    snapshot: Snapshot,
    image: str,
    region_id: NDArray[np.int32],
    group: NDArray[np.int32] | None,
) -> NDArray[np.bool_]:
    """(P, C) bool: classes that answers in force give each region or a part of it."""
    answered_as = np.zeros((len(region_id), snapshot.data.n_classes), bool)
    for answer in snapshot.answers.get(image, ()):
        ids = np.array(answer.query.region.ids)
        if group is not None:
            ids = group[ids[ids < len(group)]]
        rows = np.isin(region_id, ids)
        for class_id in answer.class_ids:
            answered_as[rows, class_id] = True
    return answered_as


class EncodedRegions:
    """``encoded(image)`` are features of an image's base regions from a frozen encoder.

    Parameters
    ----------
    work : JobContext
    predictor : Predictor
        Of a frozen segmenter.
    """

    def __init__(self, work: JobContext, predictor: Predictor) -> None:
        from napari_al.learning.region_features import RegionFeatures

        trunk, encodings = predictor.segmenter.frozen, predictor.encodings
        if trunk is None or encodings is None:
            raise InputError("features of regions need a frozen segmenter (training.frozen = true)")
        predictor.segmenter.eval()
        self._maps, self._encodings = work.snapshot.maps, encodings
        names = work.snapshot.data.train
        chosen = names[:: -(-len(names) // N_IMAGES_OF_SCALE)]
        self._features = RegionFeatures(trunk.strides, map(encodings, chosen))

    def __call__(self, image: str) -> NDArray[np.float16]:
        """(n_base, D) float16."""
        region_map, n_regions = self._maps(image), self._maps.n_regions(image)
        return self._features(self._encodings(image), region_map, n_regions)
