"""``filters``: colour and texture at six scales, from fixed filters; only a small head learns.

Needs no pretrained weights. A pixel's features depend on its surroundings up to about 100 pixels
away, not on its position in the image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.learning.networks.resampling import to_size

N_LEVELS = 6
"""Scales, each twice as coarse as the one before: pixels to blocks of 32."""
N_ORIENTATIONS = 4
_TINY = 1e-6


class Filters(nn.Module):
    """A pyramid of means, with simple filters on each of its levels.

    Per level: the difference to a blurred level (blobs and edges, signed) and the local standard
    deviation of each channel; the two eigenvalues of the structure tensor (Di Zenzo 1986: how
    strong and how directed edges are, all channels together); the energy of a pair of Gabor filters
    in four orientations, on the mean of the channels. From stride 4 on also the level itself.

    Parameters
    ----------
    n_channels : int
    """

    strides = (4,)
    multiple = 2 ** (N_LEVELS - 1)
    blur_kernel: Tensor
    gabor: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        per_level = 2 * n_channels + 2 + N_ORIENTATIONS
        self.channels = (N_LEVELS * per_level + (N_LEVELS - 2) * n_channels,)
        binomial = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        # computed when the network is built, hence not saved with the model
        self.register_buffer("blur_kernel", binomial[:, None] * binomial, persistent=False)
        self.register_buffer("gabor", _gabor_pairs()[:, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) normalised, sides multiples of 32, to one map (N, D, H / 4, W / 4)."""
        stride = self.strides[0]
        size = (images.shape[2] // stride, images.shape[3] // stride)
        maps, level = [], images
        for index in range(N_LEVELS):
            if index:
                level = F.avg_pool2d(level, 2)
            maps += [to_size(part, size) for part in self._filtered(level)]
            if 2**index >= stride:
                maps.append(to_size(level, size))
        return [torch.cat(maps, dim=1)]

    def _filtered(self, level: Tensor) -> list[Tensor]:
        mean = self._blur(level)
        deviation = (self._blur(level**2) - mean**2).clamp(min=_TINY).sqrt()
        grey = level.mean(dim=1, keepdim=True)
        responses = F.conv2d(F.pad(grey, (3, 3, 3, 3), mode="replicate"), self.gabor)
        even, odd = responses.chunk(2, dim=1)
        energy = self._blur((even**2 + odd**2 + _TINY).sqrt())
        return [level - mean, deviation, self._edges(level), energy]

    def _edges(self, level: Tensor) -> Tensor:
        """(N, 2, h, w): square roots of the structure tensor's eigenvalues, the larger first."""
        padded = F.pad(level, (1, 1, 1, 1), mode="replicate")
        across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
        down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
        products = torch.stack([across**2, down**2, across * down], dim=1).mean(dim=2)
        xx, yy, xy = self._blur(products).unbind(dim=1)
        half, spread = (xx + yy) / 2, (((xx - yy) / 2) ** 2 + xy**2 + _TINY**2).sqrt()
        return torch.stack([half + spread, half - spread], dim=1).clamp(min=_TINY).sqrt()

    def _blur(self, maps: Tensor) -> Tensor:
        n_maps = maps.shape[1]
        kernel = self.blur_kernel.expand(n_maps, 1, 5, 5)
        return F.conv2d(F.pad(maps, (2, 2, 2, 2), mode="replicate"), kernel, groups=n_maps)


def _gabor_pairs() -> Tensor:
    """(2 * N_ORIENTATIONS, 7, 7): even filters, then odd ones; wavelength 4 pixels, no mean."""
    rows, cols = torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij")
    window = torch.exp(-(rows**2 + cols**2) / (2 * 1.5**2))
    angles = [math.pi * index / N_ORIENTATIONS for index in range(N_ORIENTATIONS)]
    phases = [math.pi / 2 * (cols * math.cos(a) + rows * math.sin(a)) for a in angles]
    waves = torch.stack([wave(phase) for wave in (torch.cos, torch.sin) for phase in phases])
    without_mean = waves - (waves * window).sum((1, 2), keepdim=True) / window.sum()
    filters = without_mean * window
    return filters / filters.abs().sum((1, 2), keepdim=True)
