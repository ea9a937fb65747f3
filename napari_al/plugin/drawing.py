"""Polygons drawn in a rectangle: from their corners to a precise answer and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.session.log.records import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def pieces_of(
    polygons: Sequence[NDArray[np.float64]],
    class_ids: Sequence[int],
    rest: int | None,
    mask: Mask,
) -> tuple[tuple[Piece, ...], Clicks]:
    """Return the pieces that polygons cut out of a region, and the clicks they took.

    Parameters
    ----------
    polygons : (V, 2) arrays of corners (row, column), in pixels, centre of the first pixel at 0.
    class_ids : class of each polygon; later polygons lie over earlier ones.
    rest : class of the pixels that no polygon covers; None leaves them without a label.
    mask : the region.

    Returns
    -------
    pieces : tuple of Piece
        Without pixels in common; polygons of which nothing is left have none.
    clicks : Clicks
        c_p: corners inside the region's box; c_i: crossings of polygons with the box; c_c: one
        for each polygon and one for the rest (Cai et al. 2021, "annotation cost").
    """
    row0, col0, _, _ = mask.box
    inside = mask.crop()
    owner = np.where(inside, -1, -2)
    for index, corners in enumerate(polygons):
        owner[inside & _filled(corners - (row0, col0), inside.shape)] = index
    pieces = [
        Piece(class_id, Mask.from_array(owner == index, (row0, col0)))
        for index, class_id in enumerate(class_ids)
        if (owner == index).any()
    ]
    has_rest = rest is not None and bool((owner == -1).any())
    if rest is not None and has_rest:
        pieces.append(Piece(rest, Mask.from_array(owner == -1, (row0, col0))))
    crossed = [_corners_and_crossings(corners, mask.box) for corners in polygons]
    clicks = Clicks(
        class_clicks=len(polygons) + has_rest,
        polygon_clicks=sum(n_corners for n_corners, _ in crossed),
        intersection_clicks=sum(n_crossings for _, n_crossings in crossed),
    )
    return tuple(pieces), clicks


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
