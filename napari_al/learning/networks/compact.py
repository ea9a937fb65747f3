"""``compact``: a small encoder-decoder that learns from scratch in a minute on two CPU cores."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


def _conv(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.first = _conv(n_channels, n_channels)
        self.second = nn.Sequential(
            nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.second(self.first(maps)))


class Compact(nn.Module):
    """Plain convolutions at strides 4 to 32, image-wide context, a sum of scales at stride 8.

    Images are halved first: in the same time this allows more steps and a wider receptive field,
    which matter most on two CPU cores.
    """

    n_features = 64
    stride = 8
    multiple = 64

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(n_channels, 24, stride=2), _conv(24, 48, stride=2))
        self.stage8 = _Block(48)
        self.stage16 = nn.Sequential(_conv(48, 96, stride=2), _Block(96))
        self.stage32 = nn.Sequential(_conv(96, 160, stride=2), _Block(160))
        self.context = nn.Conv2d(160, 160, 1)
        self.lateral32 = _conv(160, 64, 1)
        self.lateral16 = _conv(96, 64, 1)
        self.lateral8 = _conv(48, 64, 1)
        self.merge16 = _conv(64, 64)
        self.merge8 = _conv(64, 64)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised, sides multiples of 64, to (N, 64, H / 8, W / 8)."""
        at8 = self.stage8(self.stem(F.avg_pool2d(images, 2)))
        at16 = self.stage16(at8)
        at32 = self.stage32(at16)
        at32 = at32 + self.context(at32.mean(dim=(2, 3), keepdim=True))
        out = self.merge16(self.lateral16(at16) + _double(self.lateral32(at32)))
        return cast("Tensor", self.merge8(self.lateral8(at8) + _double(out)))


def _double(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
