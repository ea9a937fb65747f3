"""One row a region: what is left of an image's probabilities once its pixels are dropped.

Every acquisition function, the merging of superpixels and the class frequencies of a pool are
arithmetic on these rows, so an image is passed over once and its probability map is never kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core.acquisition import bvsb_and_class
from napari_al.errors import InputError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_BLOCK_PX = 65_536  # pixels worked on at once on a CPU: what its caches hold
_RUN_PX = 256  # longest stretch that is summed in float32


@dataclass(frozen=True, slots=True)
class RegionTable:
    """The regions of one image (or of several, one after the other) under one model.

    A region without pixels has a row of zeros. A row takes ``12 + 12 C`` bytes: 240 for 19 classes.

    Attributes
    ----------
    size : int64 (R,)
        Pixels.
    mean_probs : float32 (R, C)
        Mean of the pixels' class probabilities: f(s) of Kim et al. 2023.
    mean_bvsb : float32 (R,)
        Mean of the pixels' best-versus-second-best ratios, in [0, 1]: u(s), eq. 5 there.
    class_histogram : int32 (R, C)
        Pixels whose most probable class is c (the lowest such class on a tie).
    bvsb_by_class : float32 (R, C)
        Sum of the ratios over those pixels.
    """

    size: NDArray[np.int64]
    mean_probs: NDArray[np.float32]
    mean_bvsb: NDArray[np.float32]
    class_histogram: NDArray[np.int32]
    bvsb_by_class: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.size)

    @property
    def n_classes(self) -> int:
        """C."""
        return int(self.mean_probs.shape[1])

    @property
    def dominant(self) -> NDArray[np.int64]:
        """(R,) the class that most pixels are predicted to be, the lowest such class on a tie.

        D_theta(s) of Cai et al. 2021 and Kim et al. 2023. 0 where a region has no pixels.
        """
        class_ids: NDArray[np.int64] = self.class_histogram.argmax(axis=1)
        return class_ids


@dataclass(slots=True)
class _Sums:
    """Sums over pixels in float64, with one row more than regions for the pixels of none."""

    probs: NDArray[np.float64]  # (C, R + 1)
    histogram: NDArray[np.int64]  # (R + 1, C)
    bvsb: NDArray[np.float64]  # (R + 1, C)


def region_table(
    probs: torch.Tensor, region_map: NDArray[np.integer[Any]] | torch.Tensor, n_regions: int
) -> RegionTable:
    """Reduce an image's class probabilities to one row a region, in one pass.

    Parameters
    ----------
    probs : (C, H, W) float tensor, on any device
        Class probabilities of each pixel. Only the table leaves the device.
    region_map : (H, W) integer array or tensor
        Region ids in 0..n_regions - 1; a pixel with a negative id belongs to no region.
    n_regions : int
        R. Ids that do not occur get rows of zeros.

    Raises
    ------
    InputError
        If shapes do not fit or an id is R or more.
    """
    if probs.ndim != 3 or probs.numel() == 0 or probs.shape[1:] != region_map.shape:
        raise InputError(
            "region_table: probs (C, H, W) and region_map (H, W) of one image were expected, got "
            f"{tuple(probs.shape)} and {tuple(region_map.shape)}"
        )
    highest = int(region_map.max())
    if highest >= n_regions:
        raise InputError(
            f"region_table: region ids below n_regions={n_regions} were expected, got {highest}; "
            "was the region map cut anew?"
        )
    probs = probs.detach()
    # On a CPU numpy needs a third of torch's time, on whose small operations threads only wait.
    sums = (_sums_on_cpu if probs.device.type == "cpu" else _sums_on_device)(
        probs, region_map, n_regions
    )
    histogram = sums.histogram[:n_regions]
    size = histogram.sum(axis=1)
    bvsb = sums.bvsb[:n_regions]
    divisor = np.maximum(size, 1)[:, None]
    return RegionTable(
        size=size,
        mean_probs=(sums.probs[:, :n_regions].T / divisor).astype(np.float32),
        mean_bvsb=(bvsb.sum(axis=1) / divisor[:, 0]).astype(np.float32),
        class_histogram=histogram.astype(np.int32),
        bvsb_by_class=bvsb.astype(np.float32),
    )


def merge_rows(table: RegionTable, group: NDArray[np.integer[Any]]) -> RegionTable:
    """Rows of the regions that merging makes: sums and size-weighted means, no pixels needed.

    Parameters
    ----------
    table : RegionTable of R rows
    group : (R,) int
        New region id of each row, from 0; ids that do not occur get rows of zeros. The ids that
        :func:`~napari_al.core.merging.adaptive_merge` gives work as they are; made contiguous with
        ``np.unique(ids, return_inverse=True)[1]`` they leave no such rows.

    Returns
    -------
    RegionTable
        ``max(group) + 1`` rows.
    """
    if group.shape != table.size.shape or (group.size and group.min() < 0):
        raise InputError(
            f"merge_rows: one id of 0 or more for each of the {len(table)} rows was expected, got "
            f"an array of shape {group.shape}"
        )
    order = np.argsort(group, kind="stable")
    present, first = np.unique(group[order], return_index=True)
    n_groups = int(present[-1]) + 1 if present.size else 0

    def add(values: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros((n_groups, *values.shape[1:]), values.dtype)
        if present.size:
            out[present] = np.add.reduceat(values[order], first, axis=0)
        return out

    size = add(table.size)
    divisor = np.maximum(size, 1)[:, None]
    weight = table.size.astype(np.float64)[:, None]
    return replace(
        table,
        size=size,
        mean_probs=(add(table.mean_probs * weight) / divisor).astype(np.float32),
        mean_bvsb=(add(table.mean_bvsb[:, None] * weight) / divisor)[:, 0].astype(np.float32),
        class_histogram=add(table.class_histogram),
        bvsb_by_class=add(table.bvsb_by_class.astype(np.float64)).astype(np.float32),
    )


def means_of_merged(
    means: NDArray[np.floating[Any]],
    size: NDArray[np.integer[Any]],
    group: NDArray[np.integer[Any]],
) -> NDArray[np.float32]:
    """Means of a pixel measure over merged regions from those over their parts.

    Parameters
    ----------
    means : (R, ...) float
        Of the parts.
    size : (R,) int
        Their pixels.
    group : (R,) int
        As of :func:`merge_rows`.

    Returns
    -------
    (G, ...) float32
    """
    sums = np.zeros((int(group.max(initial=-1)) + 1, *means.shape[1:]))
    n_pixels = np.bincount(group, size)
    weights = size.astype(np.float64).reshape(-1, *(1 for _ in means.shape[1:]))
    np.add.at(sums, group, means * weights)
    return (sums / np.maximum(n_pixels, 1).reshape(-1, *weights.shape[1:])).astype(np.float32)


def region_means(
    values: NDArray[np.floating[Any]], region_map: NDArray[np.integer[Any]], n_regions: int
) -> NDArray[np.float32]:
    """Mean of a pixel measure over each region.

    Parameters
    ----------
    values : (H, W) float
    region_map : (H, W) int
        As of :func:`region_table`.
    n_regions : int
        R.

    Returns
    -------
    (R,) float32
        0 for a region without pixels.
    """
    ids = np.where(region_map < 0, n_regions, region_map).ravel()
    sums = np.bincount(ids, values.ravel(), n_regions + 1)[:n_regions]
    size = np.bincount(ids, minlength=n_regions + 1)[:n_regions]
    return (sums / np.maximum(size, 1)).astype(np.float32)


def _sums_on_cpu(
    probs: torch.Tensor, region_map: NDArray[np.integer[Any]] | torch.Tensor, n_regions: int
) -> _Sums:
    n_classes = probs.shape[0]
    pixels = probs.float().contiguous().reshape(n_classes, -1).numpy()
    ids = np.asarray(region_map).ravel().astype(np.intp)
    ids[ids < 0] = n_regions
    ratio = np.empty(ids.size, np.float32)
    top: NDArray[Any] = np.empty(ids.size, np.uint8 if n_classes <= 256 else np.intp)
    for start in range(0, ids.size, _BLOCK_PX):
        block = slice(start, start + _BLOCK_PX)
        ratio[block], top[block] = bvsb_and_class(pixels[:, block])

    # Neighbours in a row mostly share their region: stretches are summed first, then regions.
    is_start = np.arange(ids.size) % _RUN_PX == 0
    is_start[1:] |= ids[1:] != ids[:-1]
    starts = np.flatnonzero(is_start)
    ids_of_runs = ids[starts]
    n_rows = n_regions + 1
    cell = ids * n_classes + top
    bvsb: NDArray[Any] = np.bincount(cell, ratio, n_rows * n_classes)
    return _Sums(
        probs=np.stack(
            [np.bincount(ids_of_runs, np.add.reduceat(p, starts), n_rows) for p in pixels]
        ),
        histogram=np.bincount(cell, minlength=n_rows * n_classes).reshape(n_rows, n_classes),
        bvsb=bvsb.reshape(n_rows, n_classes),
    )


def _sums_on_device(
    probs: torch.Tensor, region_map: NDArray[np.integer[Any]] | torch.Tensor, n_regions: int
) -> _Sums:
    import torch

    n_classes, n_rows = probs.shape[0], n_regions + 1
    ids = torch.as_tensor(region_map, device=probs.device).reshape(-1).long()
    ids = torch.where(ids < 0, n_regions, ids)

    def add(values: torch.Tensor, index: torch.Tensor, length: int) -> torch.Tensor:
        out = torch.zeros(length, dtype=torch.float64, device=probs.device)
        return out.scatter_add_(0, index, values.double())

    pixels = probs.float().reshape(n_classes, -1)
    ratio, top = bvsb_and_class(pixels)
    cell = ids * n_classes + top
    shape = (n_rows, n_classes)
    return _Sums(
        probs=torch.stack([add(p, ids, n_rows) for p in pixels]).cpu().numpy(),
        histogram=torch.bincount(cell, minlength=n_rows * n_classes).reshape(shape).cpu().numpy(),
        bvsb=add(ratio, cell, n_rows * n_classes).reshape(shape).cpu().numpy(),
    )
