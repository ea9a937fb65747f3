"""Repairing bad superpixels: cut a region in two, or join a neighbouring region to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

N_STEPS = 10
"""Iterations of two-means at most."""


def split(mask: Mask, image: NDArray[np.uint8]) -> tuple[Mask, Mask]:
    """Cut a region in two by colour and position (two-means); the larger part comes first.

    Parameters
    ----------
    mask : Mask
    image : (H, W) or (H, W, 3) uint8, as displayed.

    Raises
    ------
    InputError
        If the region is a single pixel.
    """
    inside = mask.crop()
    rows, cols = np.nonzero(inside)
    if len(rows) < 2:
        raise InputError("A single pixel cannot be cut in two.")
    pixels: Any = mask.view(image)[inside]
    colours = pixels.reshape(len(rows), -1).astype(np.float64)
    features = np.column_stack([_scaled(colours), 0.5 * _scaled(np.column_stack([rows, cols]))])
    first = _two_means(features)
    if first.sum() * 2 < first.size:
        first = ~first
    parts = []
    for chosen in (first, ~first):
        part = np.zeros_like(inside)
        part[rows[chosen], cols[chosen]] = True
        parts.append(Mask.from_array(part, mask.box[:2]))
    return parts[0], parts[1]


def toggle_region(
    ids: Iterable[int], region_map: NDArray[np.int32], pixel_rc: tuple[int, int]
) -> tuple[tuple[int, ...], Mask]:
    """Join the base region at a pixel to a region, or remove it if it is part of that already.

    Parameters
    ----------
    ids : iterable of int
        Base regions that the region consists of.
    region_map : (H, W) int32
        Base regions; -1 = none.
    pixel_rc : tuple of int
        Row and column of the pixel.

    Returns
    -------
    ids : tuple of int
        Ascending.
    mask : Mask
        Of all of them.

    Raises
    ------
    InputError
        If there is no region at the pixel, or nothing would be left.
    """
    inside_image = all(0 <= p < n for p, n in zip(pixel_rc, region_map.shape, strict=True))
    region_id = int(region_map[pixel_rc]) if inside_image else -1
    if region_id < 0:
        raise InputError("There is no region there.")
    joined = sorted(set(ids) ^ {region_id})
    if not joined:
        raise InputError("This is the region asked about; Shift+click a neighbour.")
    return tuple(joined), Mask.from_array(np.isin(region_map, joined))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre the columns; scale them by one factor so that the largest deviation is 1."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / max(float(centred.std(axis=0).max()), 1e-9))


def _two_means(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points are in the first of two clusters, begun along the main axis."""
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
