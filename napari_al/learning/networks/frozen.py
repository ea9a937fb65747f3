"""Segmenters whose encoder never changes: only a small head, pixel by pixel, learns.

What the encoder makes of an image is the same in every round, so it can be kept; a round then
trains on the labelled pixels alone, which takes seconds without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.learning.batches import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIP_PX = 1024
"""Labelled pixels of an image that a round learns from, at most; drawn once a round."""
MEMORY_BYTES = 2**28
"""For strips that are held from step to step."""
N_HIDDEN = 128
DROPOUT = 0.1


Encode = Callable[[int, Sample], Tensor]


class Encoder(Protocol):
    """What makes maps of images (it is a ``torch.nn.Module``).

    Attributes
    ----------
    n_maps : int
        Channels of its output.
    stride, multiple : int
        As of a trunk.
    """

    n_maps: int
    stride: int
    multiple: int

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, n_maps, H / stride, W / stride)."""
        ...


class FrozenTrunk(nn.Module):
    """An encoder that stays as it is, and a head of 1x1 convolutions that learns."""

    n_features = 64

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.n_maps, self.stride, self.multiple = encoder.n_maps, encoder.stride, encoder.multiple
        self.encoder = cast("nn.Module", encoder).requires_grad_(False).eval()
        self.head = nn.Sequential(
            nn.BatchNorm2d(encoder.n_maps),
            nn.Conv2d(encoder.n_maps, N_HIDDEN, 1),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Conv2d(N_HIDDEN, self.n_features, 1),
            nn.ReLU(),
        )

    def train(self, mode: bool = True) -> FrozenTrunk:
        """Train the head; the encoder stays as for prediction."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, n_features, H / stride, W / stride)."""
        return cast("Tensor", self.head(self.encoder(images)))


class Head(nn.Module):
    """A frozen segmenter from the encoder's maps on: what a round trains.

    It is a view: its parameters are the segmenter's own.
    """

    stride = 1

    def __init__(self, head: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.head, self.classifier = head, classifier

    def forward(self, maps: Tensor) -> Tensor:
        """Logits (N, K, 1, P) of maps at P pixels (N, n_maps, 1, P)."""
        return cast("Tensor", self.classifier(self.head(maps)))


def strips(
    get_sample: Callable[[int], Sample],
    encode: Encode,
    n_maps: int,
    *,
    stride: int,
    seed: int,
) -> Callable[[int], Sample]:
    """Samples that hold an image's labelled pixels in a row, with the encoder's maps as channels.

    Parameters
    ----------
    get_sample : callable
        As ``train`` takes it.
    encode : callable
        The encoder's (n_maps, h, w) of a sample, by its index and itself.
    n_maps, stride : int
        Of the encoder.
    seed : int
        Of the pixels drawn where an image has more than ``STRIP_PX``.
    """

    @lru_cache(maxsize=max(1, MEMORY_BYTES // (STRIP_PX * n_maps * 2)))
    def get_strip(index: int) -> Sample:
        sample = get_sample(index)
        pixels = np.flatnonzero(sample.labelled())
        if not len(pixels):  # one without a label, so that there is one
            pixels, maps = np.zeros(1, np.intp), torch.zeros(n_maps, 1, 1)
        else:
            maps = encode(index, sample)
        if len(pixels) > STRIP_PX:
            rng = np.random.default_rng([seed, index])
            pixels = np.sort(rng.choice(pixels, STRIP_PX, replace=False))
        return Sample(
            _at_pixels(maps, stride, pixels, sample.image.shape[:2]).astype(np.float16),
            None if sample.class_map is None else sample.class_map.ravel()[pixels][None],
            None if sample.region_map is None else sample.region_map.ravel()[pixels][None],
            sample.candidates,
        )

    return get_strip


def _at_pixels(
    maps: Tensor, stride: int, pixels: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """(1, P, n_maps) values of maps at flat indices of an image: bilinear, as ``upsample`` does."""
    rows, cols = np.divmod(pixels, shape[1])
    height, width = maps.shape[-2:]
    # grid_sample counts from -1 to 1 between the outer edges
    x = (cols + 0.5) * 2 / (width * stride) - 1
    y = (rows + 0.5) * 2 / (height * stride) - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1)).to(maps.device, torch.float32)
    values = F.grid_sample(
        maps[None].float(), grid[None, None], padding_mode="border", align_corners=False
    )
    return values[0].permute(1, 2, 0).cpu().numpy()
