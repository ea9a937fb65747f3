"""Training batches of a frozen segmenter: labelled pixels with the encoder's maps as channels.

Pixels are sampled once per training, spread over the labelled regions, and kept in memory. Each
batch samples regions and the same number of pixels from each (``px_of_region``), so that a region's
weight depends on how rare its classes are (``region_weights``), not on its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_al.learning.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_al.learning.batches import Sample

    Encode = Callable[[int, Sample], Sequence[Tensor]]

MEMORY_BYTES = 2**28
"""Memory for the maps of all sampled pixels."""
MAX_PX_OF_REGION = 64
"""Pixels sampled from a region."""
MIN_PX_OF_PART = 1024
"""A region is split only if it has this many times as many pixels."""
MAX_DRAWN_PX_OF_REGION = 8
"""Pixels of a region in a batch, where there are few regions."""
DRAWN_PX = 8000
"""Pixels of all labelled regions together: with many regions, fewer of each."""
PX_PER_CROP = 96
"""Pixels in a batch for each crop of ``batch_size``."""


@dataclass(frozen=True, slots=True)
class _ImagePixels:
    """Pixels of one image, region by region.

    ``maps`` is (P, n_maps) float16, ``class_ids`` (P,) uint8 or None, ``counts`` the number of
    pixels of each of the R regions, ``candidates`` (R, K) bool or None.
    """

    maps: NDArray[np.float16]
    class_ids: NDArray[np.uint8] | None
    counts: NDArray[np.intp]
    candidates: NDArray[np.bool_] | None


class PixelLoader:
    """Batches of labelled pixels; each depends on (seed, step, batch size) only.

    Parameters
    ----------
    n_samples : int
        Images.
    get_sample : callable
        Sample by index. ``region_map`` says which pixels belong together; without one every pixel
        is a region of its own.
    encode : callable
        The encoder's maps (D, ceil(H / s), ceil(W / s)) of a sample, by its index and itself.
    strides : sequence of int
        Of these maps.
    batch_size : int
        Crops; ``PX_PER_CROP`` pixels are drawn for each.
    seed : int

    Attributes
    ----------
    n_regions : int
        Labelled regions that are drawn from.
    """

    def __init__(
        self,
        n_samples: int,
        get_sample: Callable[[int], Sample],
        encode: Encode,
        strides: Sequence[int],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.batch_size = batch_size
        self.n_regions = 0
        self._seed = seed
        parts = []
        for index in range(n_samples):
            sample, rng = get_sample(index), np.random.default_rng([seed, index])
            part = _pixels(sample, lambda: encode(index, sample), strides, n_samples, rng)  # noqa: B023
            if part is not None:
                parts.append(part)
                self.n_regions += len(part.counts)
        self._is_empty = not parts
        if self._is_empty:
            return
        self._maps = torch.from_numpy(np.concatenate([part.maps for part in parts]))
        self._class_ids = _joined([part.class_ids for part in parts])
        self._candidates = _joined([part.candidates for part in parts])
        self._counts = np.concatenate([part.counts for part in parts])
        self._starts = np.cumsum(self._counts) - self._counts
        self._shares = np.cumsum(region_weights(self._classes()))

    def get(self, step: int) -> Batch:
        """The batch of a step: one row of pixels, (1, n_maps, 1, P); none without a label."""
        if self._is_empty:
            return Batch(torch.zeros(1, 0, 1, 0), None, None, None)
        rng = np.random.default_rng([self._seed, 0, step])
        n_of_region = min(px_of_region(self.n_regions), int(self._counts.max()))
        n_regions = self.batch_size * PX_PER_CROP // n_of_region
        regions = np.searchsorted(self._shares, rng.random(n_regions) * self._shares[-1])
        within = rng.random((len(regions), n_of_region)) * self._counts[regions, None]
        pixels = torch.from_numpy((self._starts[regions, None] + within.astype(np.intp)).ravel())
        # contiguous: torch samples noise seven times as slowly in another memory layout
        maps = self._maps[pixels].float().T.contiguous()[None, :, None]
        if self._candidates is not None:
            rows = torch.arange(len(regions)).repeat_interleave(n_of_region)
            return Batch(maps, None, rows[None, None], self._candidates[regions])
        class_ids = None if self._class_ids is None else self._class_ids[pixels].long()[None, None]
        return Batch(maps, class_ids, None, None)

    def _classes(self) -> NDArray[np.bool_]:
        """(R, K) the classes of each region: its candidates, or that of its first pixel."""
        if self._candidates is not None:
            return self._candidates.numpy()
        if self._class_ids is None:
            return np.ones((len(self._counts), 1), bool)
        first = self._class_ids.numpy()[self._starts]
        return np.asarray(first[:, None] == np.arange(first.max() + 1))

    def halve(self) -> None:
        """Make smaller batches from now on."""
        self.batch_size = max(1, self.batch_size // 2)

    def __enter__(self) -> PixelLoader:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def px_of_region(n_regions: int) -> int:
    """Pixels of a region in a batch: with many regions, other regions are more informative.

    Parameters
    ----------
    n_regions : int
        Labelled regions, >= 1.

    Returns
    -------
    int
        From 1 to ``MAX_DRAWN_PX_OF_REGION``.
    """
    return min(max(DRAWN_PX // n_regions, 1), MAX_DRAWN_PX_OF_REGION)


def region_weights(classes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Relative sampling weight of a region: the rarer its classes, the higher.

    Weights of 1 / n would overfit a class with two regions, equal weights would hardly ever sample
    it. The square root is between the two.

    Parameters
    ----------
    classes : (R, K) bool
        At least one in each row.

    Returns
    -------
    (R,) float64 > 0
        Mean of n ** -0.5 over a region's classes, n the number of regions with that class.
    """
    n_regions = np.maximum(classes.sum(axis=0), 1)
    return np.asarray((classes / np.sqrt(n_regions)).sum(axis=1) / classes.sum(axis=1))


def _pixels(
    sample: Sample,
    encode: Callable[[], Sequence[Tensor]],
    strides: Sequence[int],
    n_images: int,
    rng: np.random.Generator,
) -> _ImagePixels | None:
    """Sample an image's share of the pixels; None if none is labelled."""
    labelled = np.flatnonzero(sample.labelled())
    if not len(labelled):
        return None
    maps = encode()
    bytes_of_pixel = 2 * sum(part.shape[0] for part in maps)
    n_share = max(1, MEMORY_BYTES // (bytes_of_pixel * n_images))
    ids = labelled if sample.region_map is None else sample.region_map.ravel()[labelled]
    order = rng.permutation(len(labelled))
    order = order[np.argsort(ids[order], kind="stable")]
    region_ids, starts, counts = np.unique(ids[order], return_index=True, return_counts=True)
    region_ids, starts, counts = _large_ones_in_parts(region_ids, starts, counts)
    if len(region_ids) > n_share:
        chosen = np.sort(rng.choice(len(region_ids), n_share, replace=False))
        region_ids, starts, counts = region_ids[chosen], starts[chosen], counts[chosen]
    counts = np.minimum(counts, np.clip(n_share // len(region_ids), 1, MAX_PX_OF_REGION))
    taken = [order[start : start + n] for start, n in zip(starts, counts, strict=True)]
    pixels = labelled[np.concatenate(taken)]
    candidates = None if sample.candidates is None else sample.candidates[region_ids]
    return _ImagePixels(
        at_pixels(maps, strides, pixels, sample.image.shape[1]).astype(np.float16),
        None if sample.class_map is None else sample.class_map.ravel()[pixels],
        counts,
        candidates,
    )


def _large_ones_in_parts(
    ids: NDArray[np.generic], starts: NDArray[np.intp], counts: NDArray[np.intp]
) -> tuple[NDArray[np.generic], NDArray[np.intp], NDArray[np.intp]]:
    """Split regions that are far larger than others into parts that count as regions.

    Regions of one kind stay whole. Where all pixels are labelled, sizes differ without limit (sky,
    a sign), and a large region is worth more than a small one.
    """
    usual_px = max(MIN_PX_OF_PART, float(np.median(counts)))
    n_parts = np.maximum(np.round(counts / usual_px), 1).astype(np.intp)
    part = np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    ids, starts, counts, n_parts = (np.repeat(v, n_parts) for v in (ids, starts, counts, n_parts))
    first, end = part * counts // n_parts, (part + 1) * counts // n_parts
    return ids, starts + first, end - first


def at_pixels(
    maps: Sequence[Tensor], strides: Sequence[int], pixels: NDArray[np.intp], width: int
) -> NDArray[np.float32]:
    """(P, n_maps) values of maps at flat indices of an image: bilinear, as ``upsample`` does."""
    rows, cols = np.divmod(pixels, width)
    values = []
    for part, stride in zip(maps, strides, strict=True):
        # grid_sample counts from -1 to 1 between the outer edges
        x = (cols + 0.5) * 2 / (part.shape[2] * stride) - 1
        y = (rows + 0.5) * 2 / (part.shape[1] * stride) - 1
        grid = torch.from_numpy(np.stack([x, y], axis=-1)).to(part.device, torch.float32)
        sampled = F.grid_sample(
            part[None].float(), grid[None, None], padding_mode="border", align_corners=False
        )
        values.append(sampled[0, :, 0])
    return torch.cat(values).T.cpu().numpy()


def _joined(parts: Sequence[NDArray[np.generic] | None]) -> Tensor | None:
    held = [part for part in parts if part is not None]
    return torch.from_numpy(np.concatenate(held)) if held else None
