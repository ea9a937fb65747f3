"""Polygons drawn in a region: the masks that they cut out of it, and what drawing them cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def cut_by_polygons(
    polygons: Sequence[NDArray[np.float64]],
    class_ids: Sequence[int],
    rest: int | None,
    mask: Mask,
) -> tuple[tuple[tuple[int, Mask], ...], Clicks]:
    """Return the parts that polygons cut out of a region, and the clicks that drawing took.

    Parameters
    ----------
    polygons : sequence of (V, 2) float arrays
        Corners (row, column) in pixels; the centre of the first pixel is at 0.
    class_ids : sequence of int
        Class of each polygon; later polygons lie over earlier ones.
    rest : int or None
        Class of the pixels that no polygon covers; None leaves them without a label.
    mask : Mask
        The region.

    Returns
    -------
    parts : tuple of (class id, Mask)
        Disjoint; a polygon that is entirely covered by later ones has no part.
    clicks : Clicks
        c_p: corners inside the region's box; c_i: crossings of polygons with the box; c_c: one
        for each polygon and one for the rest (Cai et al. 2021, "annotation cost").
    """
    row0, col0, _, _ = mask.box
    inside = mask.crop()
    owner = np.where(inside, -1, -2)
    for index, corners in enumerate(polygons):
        owner[inside & _filled(corners - (row0, col0), inside.shape)] = index
    parts = [
        (class_id, Mask.from_array(owner == index, (row0, col0)))
        for index, class_id in enumerate(class_ids)
        if (owner == index).any()
    ]
    has_rest = rest is not None and bool((owner == -1).any())
    if rest is not None and has_rest:
        parts.append((rest, Mask.from_array(owner == -1, (row0, col0))))
    crossed = [_corners_and_crossings(corners, mask.box) for corners in polygons]
    clicks = Clicks(
        class_clicks=len(polygons) + has_rest,
        polygon_clicks=sum(n_corners for n_corners, _ in crossed),
        intersection_clicks=sum(n_crossings for _, n_crossings in crossed),
    )
    return tuple(parts), clicks


def _filled(corners: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    from skimage.draw import polygon2mask

    filled: NDArray[np.bool_] = polygon2mask(shape, corners)
    return filled


def _corners_and_crossings(
    corners: NDArray[np.float64], box: tuple[int, int, int, int]
) -> tuple[int, int]:
    """Count the corners inside a box and the crossings of the outline with the box's sides."""
    low = np.array(box[:2]) - 0.5
    high = np.array(box[2:]) - 0.5
    n_inside = int(((corners > low) & (corners < high)).all(axis=1).sum())
    step = np.roll(corners, -1, axis=0) - corners
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low, to_high = (low - corners) / step, (high - corners) / step
    parallel = step == 0
    beside = parallel & ((corners <= low) | (corners >= high))
    enter = np.where(parallel, -np.inf, np.fmin(to_low, to_high)).max(axis=1)
    leave = np.where(parallel, np.inf, np.fmax(to_low, to_high)).min(axis=1)
    through = (enter < leave) & (leave > 0) & (enter < 1) & ~beside.any(axis=1)
    n_crossings = (through & (enter > 0)).sum() + (through & (leave < 1)).sum()
    return n_inside, int(n_crossings)
