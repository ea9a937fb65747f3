"""Feature vectors of regions from a frozen encoder, for distances between regions.

An encoder's maps have hundreds of channels of different ranges. Each channel is scaled to standard
deviation 1 and all are projected at random to ``N_DIMENSIONS``, which preserves distances to about
10 % (Johnson and Lindenstrauss), so that the regions of a large pool fit into memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_al.learning.networks.resampling import upsample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

N_DIMENSIONS = 64


class RegionFeatures:
    """``features(maps, region_map, n_regions)`` are the feature vectors of an image's regions.

    Parameters
    ----------
    strides : sequence of int
        Of the encoder's maps, finest first.
    some : iterable of list of Tensor
        Maps (D, h, w) of a few images, which the deviation of each channel is taken from.
    """

    def __init__(self, strides: Sequence[int], some: Iterable[Sequence[Tensor]]) -> None:
        self._strides = tuple(strides)
        sums: list[Tensor] = []
        n = 0
        for maps in some:
            n += 1
            moments = [
                torch.stack([part.float().mean(dim=(1, 2)), part.float().square().mean(dim=(1, 2))])
                for part in maps
            ]
            sums = [a + b for a, b in zip(sums, moments, strict=True)] if sums else moments
        generator = torch.Generator().manual_seed(0)
        self._projections = []
        for total in sums:
            mean, square = total.cpu() / n
            deviation = (square - mean**2).clamp_min(0).sqrt()
            scale = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-6), 0)
            drawn = torch.randn(N_DIMENSIONS, len(mean), generator=generator)
            self._projections.append(drawn * scale / N_DIMENSIONS**0.5)

    def __call__(
        self, maps: Sequence[Tensor], region_map: NDArray[np.integer[Any]], n_regions: int
    ) -> NDArray[np.float16]:
        """Features of an image's regions.

        Parameters
        ----------
        maps : sequence of (D, h, w) Tensor
        region_map : (H, W) int
            Ids below ``n_regions``; negative where there is none.
        n_regions : int
            R.

        Returns
        -------
        (R, N_DIMENSIONS) float16
            Means over the region's pixels at the finest stride; 0 for a region without pixels.
        """
        stride = self._strides[0]
        size = (maps[0].shape[1], maps[0].shape[2])
        # the projection is linear, so it is applied before upsampling, to fewer pixels
        projected = torch.zeros(N_DIMENSIONS, *size, device=maps[0].device)
        for part, own, matrix in zip(maps, self._strides, self._projections, strict=True):
            values = torch.einsum("kd,dhw->khw", matrix.to(part.device), part.float())
            projected += upsample(values[None], own // stride, size)[0]
        flat = projected.flatten(1).cpu().numpy()
        ids = region_map[stride // 2 :: stride, stride // 2 :: stride]
        rows = np.full(size, -1, np.int64)  # the last row or column may contain no block centre
        rows[: ids.shape[0], : ids.shape[1]] = ids
        inside = np.flatnonzero(rows.ravel() >= 0)
        order = inside[np.argsort(rows.ravel()[inside], kind="stable")]
        present, first = np.unique(rows.ravel()[order], return_index=True)
        features = np.zeros((n_regions, N_DIMENSIONS), np.float32)
        if len(present):
            counts = np.diff([*first, len(order)])
            features[present] = np.add.reduceat(flat[:, order], first, axis=1).T / counts[:, None]
        ids, pixels = np.unique(region_map, return_index=True)
        is_missed = (ids >= 0) & ~np.isin(ids, present)  # too small for a centre
        r, c = np.divmod(pixels[is_missed], region_map.shape[1])
        features[ids[is_missed]] = flat[:, (r // stride) * size[1] + c // stride].T
        return features.astype(np.float16)
