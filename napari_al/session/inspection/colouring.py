"""Class maps and code maps for display: merged regions, sets of classes as stripes, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.geometry.colouring import colour_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_STRIPES = 60
"""Stripes of several classes: this many across the shorter side of an image."""


def looked_up(
    of_base: NDArray[Any], region_map: NDArray[np.int32], elsewhere: float
) -> NDArray[Any]:
    """Return each pixel's value: that of its base region."""
    return np.append(of_base, of_base.dtype.type(elsewhere))[region_map]


def cells(group: NDArray[np.integer[Any]], region_map: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Colours 1.. of merged regions, 0 where a region was not merged.

    Parameters
    ----------
    group : (R,) of each base region the id of its merged one
    region_map : (H, W) base region ids
    """
    merged = looked_up(group, region_map, -1)
    n_parts = np.bincount(group, minlength=len(group))
    colours = colour_regions(adjacency(merged), len(group)) + np.uint8(1)
    colours[n_parts < 2] = 0
    return looked_up(colours[group], region_map, 0)


def striped(
    region_map: NDArray[np.int32], candidates: NDArray[np.bool_], width_px: int
) -> NDArray[np.uint8]:
    """(H, W) class map of regions with several classes each, as diagonal stripes.

    Parameters
    ----------
    region_map : (H, W) int32, -1 = none
    candidates : (R, C) bool
        The classes of each region; one without any stays IGNORE.
    width_px : int
        Of a stripe, along a row.
    """
    n_of = candidates.sum(axis=1)
    stripe = np.add.outer(np.arange(region_map.shape[0]), np.arange(region_map.shape[1]))
    stripe //= max(1, width_px)
    inside = (region_map >= 0) & np.append(n_of > 0, False)[region_map]
    regions = region_map[inside]
    place = stripe[inside] % n_of[regions]
    in_order = np.argsort(~candidates, axis=1, kind="stable")
    class_map = np.full(region_map.shape, IGNORE, np.uint8)
    class_map[inside] = in_order[regions, place]
    return class_map


def stripe_px(shape: tuple[int, int]) -> int:
    """Return the width of stripes in an image of this (H, W)."""
    return max(2, min(shape) // N_STRIPES)


def errors(class_map: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where a class is not the true one."""
    judged = (truth != IGNORE) & (class_map != IGNORE)
    wrong: NDArray[np.uint8] = (judged & (class_map != truth)).astype(np.uint8)
    return wrong
