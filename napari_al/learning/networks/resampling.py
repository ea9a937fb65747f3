"""Resample feature maps from one grid to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def to_size(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize maps by an integer factor: means of blocks to shrink, bilinear to enlarge."""
    factor = maps.shape[2] // size[0]
    if factor > 1:
        return F.avg_pool2d(maps, factor)
    if factor == 1:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def upsample(maps: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Upsample maps at a network's stride to the image's grid, or to that of finer maps.

    Parameters
    ----------
    maps : Tensor
        (N, D, ceil(H / stride), ceil(W / stride)).
    stride : int
        Pixels of the result per map pixel.
    size : (int, int)
        H, W in pixels.

    Returns
    -------
    Tensor
        (N, D, H, W), bilinear.
    """
    height, width = maps.shape[-2:]
    if stride > 1:
        # several times as fast in this memory layout on CPUs
        maps = F.interpolate(
            maps.contiguous(memory_format=torch.channels_last),
            size=(height * stride, width * stride),
            mode="bilinear",
            align_corners=False,
        )
    return maps[..., : size[0], : size[1]]
