"""An encoder that sees the image as it is and at twice the size, for objects of few pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_al.learning.networks.frozen import Encoder


class TwoScales(nn.Module):
    """An encoder's maps of the image, then those of the image at twice the size.

    The finest map of the larger image is averaged to the finest stride of the smaller one: at half
    of that, everything after it would take four times as long.

    Parameters
    ----------
    encoder : Encoder
        Whose strides double from map to map.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = cast("nn.Module", encoder)
        self.multiple = encoder.multiple
        self.channels = encoder.channels * 2
        self.strides = (*encoder.strides, encoder.strides[0], *encoder.strides[:-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) normalised, as of ``frozen.Encoder``."""
        larger = F.interpolate(images, scale_factor=2.0, mode="bilinear", align_corners=False)
        finest, *others = self.encoder(larger)
        return [*self.encoder(images), F.avg_pool2d(finest, 2), *others]
