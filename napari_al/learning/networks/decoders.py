"""Decoders, which combine a backbone's maps into one: DeepLabv3+, SegFormer, a light head."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.learning.networks.resampling import to_size

if TYPE_CHECKING:
    from napari_al.learning.networks.backbones import Backbone
    from napari_al.learning.networks.efficientnet_lite import EfficientNetLite

ASPP_RATES = (6, 12, 18)
"""Dilations at output stride 16 (Chen et al. 2017)."""
N_LOW = 48
"""Channels that the decoder takes from stride 4 (Chen et al. 2018)."""


def _conv(n_in: int, n_out: int, size: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def _separable(n_in: int, n_out: int, dilation: int = 1) -> nn.Sequential:
    """A 3x3 convolution as one per channel and one across channels (Chen et al. 2018)."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_in, 3, padding=dilation, dilation=dilation, groups=n_in, bias=False),
        nn.BatchNorm2d(n_in),
        nn.ReLU(inplace=True),
        *_conv(n_in, n_out),
    )


class DeepLabV3Plus(nn.Module):
    """Atrous spatial pyramid pooling at stride 16, a decoder at stride 4 (Chen et al. 2018)."""

    n_features = 256

    def __init__(self, backbone: Backbone | EfficientNetLite) -> None:
        super().__init__()
        n_low, n_high = backbone.channels[0], backbone.channels[-1]
        self.stride, self.multiple = backbone.strides[0], backbone.multiple
        self.backbone = backbone
        self.branches = nn.ModuleList(
            [_conv(n_high, 256), *(_separable(n_high, 256, rate) for rate in ASPP_RATES)]
        )
        # no batch normalisation: with one image there is a single pixel
        self.image_wide = nn.Sequential(nn.Conv2d(n_high, 256, 1), nn.ReLU(inplace=True))
        self.project = _conv(5 * 256, 256)
        self.low = _conv(n_low, N_LOW)
        self.decoder = nn.Sequential(_separable(256 + N_LOW, 256), _separable(256, 256))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, 256, H / 4, W / 4)."""
        maps = self.backbone(images)
        low, high = maps[0], maps[-1]
        wide = self.image_wide(high.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *high.shape[-2:])
        pyramid = torch.cat([*(branch(high) for branch in self.branches), wide], dim=1)
        low = self.low(low)
        joined = torch.cat([to_size(self.project(pyramid), low.shape[-2:]), low], dim=1)
        return cast("Tensor", self.decoder(joined))


class SegFormer(nn.Module):
    """All maps through one linear layer each, brought to stride 4 and mixed (Xie et al. 2021)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.n_features = backbone.config["decoder_hidden_size"]
        self.stride, self.multiple = backbone.strides[0], backbone.multiple
        self.backbone = backbone
        self.linear = nn.ModuleList(nn.Conv2d(n, self.n_features, 1) for n in backbone.channels)
        self.fuse = _conv(len(backbone.channels) * self.n_features, self.n_features)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, n_features, H / 4, W / 4)."""
        maps = self.backbone(images)
        parts = [layer(one) for layer, one in zip(self.linear, maps, strict=True)]
        size = parts[0].shape[-2:]
        return cast("Tensor", self.fuse(torch.cat([to_size(one, size) for one in parts], dim=1)))


class LightHead(nn.Module):
    """Patch tokens, twice as fine, through one 3x3 convolution."""

    n_features = 256

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.stride, self.multiple = backbone.strides[0] // 2, backbone.multiple
        self.backbone = backbone
        self.reduce = _conv(backbone.channels[0], 256)
        self.mix = _conv(256, 256, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, 256, 2 H / patch, 2 W / patch)."""
        (tokens,) = self.backbone(images)
        fine = F.interpolate(
            self.reduce(tokens), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return cast("Tensor", self.mix(fine))
