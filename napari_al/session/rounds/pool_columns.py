"""Columns of a pool that need no model: ``methods.acquisition.ANY_COLUMNS``."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.session.log.snapshot import Snapshot


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
        "image": np.full(n_rows, snapshot.data.train.index(image), np.int32),
        "model_round": np.full(n_rows, model_round, np.int32),
        "uniform": rng.random(n_rows),
    }
