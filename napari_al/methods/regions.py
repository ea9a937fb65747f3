"""The regions column: base regions of an image, and merging them by what a model says.

``core/superpixels.py`` cuts images, ``core/merging.py`` holds the merging of Kim et al. 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.merging import adaptive_merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_al.core.regions import RegionTable
    from napari_al.methods.settings import RegionSettings
    from napari_al.methods.table import Method

LARGE = 10
"""Parts of labels that are larger than this many superpixels of mean size are cut."""


def base_regions(
    method: Method,
    settings: RegionSettings,
    read_image: Callable[[], NDArray[np.generic]],
    objects: NDArray[np.int32] | None = None,
    labels: NDArray[np.uint8] | None = None,
) -> NDArray[np.int32]:
    """Cut an image into the method's base regions.

    Parameters
    ----------
    method, settings
    read_image : callable
        Returns the (H, W, C) image; called where superpixels are cut.
    objects : (H, W) int32, optional
        Object ids, 0 = none: the regions of ``regions="masks"``. What lies outside of them is cut
        into superpixels, except for correction queries, which are about objects alone.
    labels : (H, W) uint8, optional
        Labels to correct, IGNORE = none: these make the objects where there are none given, the
        4-connected parts of each class. Of a part of more than ``LARGE`` superpixels (of their
        mean size), each superpixel's share is an object, so that one answer does not change most
        of an image.

    Returns
    -------
    (H, W) int32
        Region ids from 0, -1 = no region.
    """
    from napari_al.core.superpixels import superpixels

    def cut(kind: Literal["seeds", "slic", "grid"]) -> NDArray[np.int32]:
        return superpixels(
            read_image(),
            kind,
            n_per_image=settings.n_per_image,
            side_px=settings.side_px,
            seeds_hue=settings.seeds_hue,
        )

    if method.regions != "masks":
        return cut(method.regions)
    if objects is None and labels is not None:
        limit = LARGE * labels.size / settings.n_per_image
        objects = _parts_of(labels, limit, lambda: cut("seeds"))
    if objects is None:
        raise ValueError("regions='masks' needs the objects of the image, or its labels")
    regions = contiguous(objects)
    is_whole = method.query == "correction" or regions.min() >= 0
    return regions if is_whole else _filled_up(regions, cut("seeds"))


def merged_regions(
    table: RegionTable, region_map: NDArray[np.int32], epsilon: float
) -> NDArray[np.int32]:
    """Merge neighbouring base regions that a model finds alike (Kim et al. 2023, Algorithm 2).

    Parameters
    ----------
    table : RegionTable of R rows
    region_map : (H, W) int32
        Ids of these rows.
    epsilon : float
        Limit of the Jensen-Shannon distance to the seed.

    Returns
    -------
    (R,) int32
        For each base region the id of the seed of its merged region.
    """
    return adaptive_merge(table.mean_probs, table.mean_bvsb, adjacency(region_map), epsilon)


def contiguous(objects: NDArray[np.int32]) -> NDArray[np.int32]:
    """(H, W) object ids, 0 = none, as region ids 0..R-1, -1 = none, in ascending order."""
    ids, inverse = np.unique(objects, return_inverse=True)
    offset = 1 if ids[0] == 0 else 0
    return (inverse.reshape(objects.shape) - offset).astype(np.int32)


def _parts_of(
    labels: NDArray[np.uint8], limit: float, cut: Callable[[], NDArray[np.int32]]
) -> NDArray[np.int32]:
    """(H, W) ids of the connected parts of labels, 0 = none; those above ``limit`` pixels cut."""
    from skimage.measure import label

    parts: NDArray[np.int32] = label(labels, background=IGNORE, connectivity=1).astype(np.int32)
    is_large = np.bincount(parts.ravel()) > limit
    is_large[0] = False
    if is_large.any():
        inside, superpixels = is_large[parts], cut()
        pairs = parts[inside].astype(np.int64) * (superpixels.max() + 1) + superpixels[inside]
        _, number = np.unique(pairs, return_inverse=True)
        parts[inside] = len(is_large) + number
    return parts


def _filled_up(objects: NDArray[np.int32], superpixels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Make regions of the superpixels where there is no object, with ids after the objects'."""
    rest = objects < 0
    _, number = np.unique(superpixels[rest], return_inverse=True)
    filled = objects.copy()
    filled[rest] = objects.max() + 1 + number
    return filled
