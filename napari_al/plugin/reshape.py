"""Mending a bad superpixel: cut the queried region in two, or join a neighbour to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.session.log.records import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.session.log.records import Query

N_STEPS = 10


def split(query: Query, image: NDArray[np.uint8]) -> tuple[Query, Query]:
    """Cut a query's region in two by colour and place; the larger part comes first.

    Parameters
    ----------
    query : Query
    image : (H, W) or (H, W, 3) uint8, as it is shown.

    Raises
    ------
    InputError
        If the region is a single pixel.
    """
    region = query.region
    inside = region.mask.crop()
    rows, cols = np.nonzero(inside)
    if len(rows) < 2:
        raise InputError("A single pixel cannot be cut in two.")
    pixels: Any = region.mask.view(image)[inside]
    colours = pixels.reshape(len(rows), -1).astype(np.float64)
    features = np.column_stack([_spread(colours), 0.5 * _spread(np.column_stack([rows, cols]))])
    first = _two_means(features)
    if first.sum() * 2 < first.size:
        first = ~first
    return _part(query, rows, cols, first), _part(query, rows, cols, ~first)


def join(query: Query, region_map: NDArray[np.int32], position: tuple[int, int]) -> Query:
    """Add the region at a pixel to a query's region, or take it out again if it had been added.

    Parameters
    ----------
    query : Query
    region_map : (H, W) int32
        Of the base regions, -1 = none.
    position : row and column of the pixel.

    Raises
    ------
    InputError
        If there is no region at the pixel, or it is the only one of the query.
    """
    inside_image = all(0 <= p < n for p, n in zip(position, region_map.shape, strict=True))
    region_id = int(region_map[position]) if inside_image else -1
    if region_id < 0:
        raise InputError("There is no region there.")
    ids = set(query.region.ids) ^ {region_id}
    if not ids:
        raise InputError("This is the region asked about; Shift+click a neighbour.")
    mask = Mask.from_array(np.isin(region_map, sorted(ids)))
    return replace(query, region=Region(query.region.image, tuple(sorted(ids)), mask))


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre columns and scale all of them alike, so that the widest has deviation 1."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / max(float(centred.std(axis=0).max()), 1e-9))


def _two_means(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Two clusters, begun on both sides of the axis along which the points vary most."""
    axis = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][0]
    along = features @ axis
    first: NDArray[np.bool_] = along > np.median(along)
    if not first.any():
        first = np.arange(len(features)) < len(features) // 2
    for _ in range(N_STEPS):
        centres = [features[first].mean(axis=0), features[~first].mean(axis=0)]
        near = [((features - centre) ** 2).sum(axis=1) for centre in centres]
        nearer = near[0] < near[1]
        if nearer.all() or not nearer.any() or np.array_equal(nearer, first):
            break
        first = nearer
    return first


def _part(query: Query, rows: NDArray[Any], cols: NDArray[Any], chosen: NDArray[np.bool_]) -> Query:
    region = query.region
    row0, col0, row1, col1 = region.mask.box
    inside = np.zeros((row1 - row0, col1 - col0), bool)
    inside[rows[chosen], cols[chosen]] = True
    mask = Mask.from_array(inside, (row0, col0))
    return replace(query, region=replace(region, mask=mask))
