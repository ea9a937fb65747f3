"""What every segmenter is: raw images in, logits at the network's own stride out.

A segmenter is a trunk (a row of ``SEGMENTERS``) between an input normalisation that it carries
along and a classifier. It takes images of any size and channel count in the units of their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.errors import InputError
from napari_al.learning.compact import Compact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ClassifierName = Literal["linear", "cosine"]


class Trunk(Protocol):
    """What a network has to offer to become a segmenter (it is a ``torch.nn.Module``).

    Attributes
    ----------
    n_features : int
        Channels of its output.
    stride : int
        Input pixels per output pixel.
    multiple : int
        Inputs come with sides that are multiples of this (a multiple of ``stride``).
    """

    n_features: int
    stride: int
    multiple: int

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised to (N, n_features, H / stride, W / stride)."""
        ...


SEGMENTERS: Mapping[str, Callable[[int], Trunk]] = {"compact": Compact}
"""Trunk builders by name; each takes the number of image channels."""


class CosineClassifier(nn.Module):
    """logits = cos(feature, class weight) / temperature, without bias (Hwang et al. 2023)."""

    def __init__(self, n_features: int, n_classes: int, temperature: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_classes, n_features, 1, 1))
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, h, w) to (N, K, h, w) in [-1 / temperature, 1 / temperature]."""
        cosines = F.conv2d(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))
        return cosines / self.temperature


class Segmenter(nn.Module):
    """A trunk with its input normalisation and its classifier.

    Attributes
    ----------
    name : str
        Its row of ``SEGMENTERS``.
    n_channels, n_classes : int
    classifier_name : {"linear", "cosine"}
    temperature : float
        Of a cosine classifier.
    stride : int
        Input pixels per logit.
    mean, std : Tensor
        (1, n_channels, 1, 1) float32, in the images' units.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        trunk: Trunk,
        n_channels: int,
        n_classes: int,
        *,
        classifier: ClassifierName,
        temperature: float,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.name = name
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.classifier_name = classifier
        self.temperature = temperature
        self.stride = trunk.stride
        self.trunk = trunk
        self.classifier: nn.Module = (
            CosineClassifier(trunk.n_features, n_classes, temperature)
            if classifier == "cosine"
            else nn.Conv2d(trunk.n_features, n_classes, 1)
        )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def features(self, images: Tensor) -> Tensor:
        """The map that enters the classifier.

        Parameters
        ----------
        images : Tensor
            (N, n_channels, H, W) float, in the units of their files; H, W >= 1.

        Returns
        -------
        Tensor
            (N, D, ceil(H / stride), ceil(W / stride)), not normalised. Pixel (i, j) covers the
            input's rows ``i * stride`` to ``(i + 1) * stride`` and so for columns, so
            ``upsample`` brings it to the image's grid.
        """
        if images.shape[1] != self.n_channels:
            raise InputError(
                f"this model takes images of {self.n_channels} channel(s), got {images.shape[1]}; "
                "train a new model for them"
            )
        height, width = images.shape[-2:]
        # a pixel that is not a number counts as one of the mean value
        normalised = torch.nan_to_num((images - self.mean) / self.std, 0.0, 0.0, 0.0)
        multiple = self.trunk.multiple
        pad = (0, -width % multiple, 0, -height % multiple)
        padded = F.pad(normalised, pad, mode="replicate") if any(pad) else normalised
        # on CPUs several times faster than the other layout (the upsampling above all)
        out = self.trunk(padded.contiguous(memory_format=torch.channels_last))
        # not -(-n // stride): in an exported ONNX graph a division rounds towards 0
        n_rows, n_cols = (((n + self.stride - 1) // self.stride) for n in (height, width))
        return out[..., :n_rows, :n_cols]

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, n_classes, h, w) of features (N, D, h, w)."""
        return cast("Tensor", self.classifier(features))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_classes, ceil(H / stride), ceil(W / stride)) of raw images (N, C, H, W)."""
        return self.classify(self.features(images))


def upsample(maps: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Bring maps at a network's stride to the image's grid.

    Parameters
    ----------
    maps : Tensor
        (N, D, ceil(H / stride), ceil(W / stride)).
    stride : int
        Image pixels per map pixel.
    size : (int, int)
        H, W in pixels.

    Returns
    -------
    Tensor
        (N, D, H, W), bilinear.
    """
    height, width = maps.shape[-2:]
    whole = F.interpolate(
        maps, size=(height * stride, width * stride), mode="bilinear", align_corners=False
    )
    return whole[..., : size[0], : size[1]]


def build_segmenter(
    name: str,
    n_channels: int,
    n_classes: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    classifier: ClassifierName = "linear",
    temperature: float = 0.1,
) -> Segmenter:
    """A new segmenter with weights drawn from ``seed``.

    Parameters
    ----------
    name : str
        A row of ``SEGMENTERS``.
    n_channels, n_classes : int
        Of the images, and how many class ids there are.
    mean, std : sequence of float
        One per channel, in the images' units (``weights.input_statistics``); std > 0.
    seed : int
    classifier : {"linear", "cosine"}
    temperature : float
        Of a cosine classifier, > 0.

    Raises
    ------
    InputError
        For an unknown name or classifier, or statistics that do not fit ``n_channels``.
    """
    if name not in SEGMENTERS:
        raise InputError(f"segmenter={name!r}: expected one of {', '.join(SEGMENTERS)}")
    if classifier not in get_args(ClassifierName):
        raise InputError(
            f"classifier={classifier!r}: expected one of {', '.join(get_args(ClassifierName))}"
        )
    if n_channels < 1 or n_classes < 1:
        raise InputError(
            f"a segmenter needs images of at least 1 channel and at least 1 class, got "
            f"{n_channels} and {n_classes}"
        )
    if len(mean) != n_channels or len(std) != n_channels or min(std) <= 0 or temperature <= 0:
        raise InputError(
            f"a segmenter for {n_channels} channel(s) needs as many means and positive standard "
            f"deviations and a positive temperature, got {list(mean)}, {list(std)}, {temperature}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Segmenter(
            name,
            SEGMENTERS[name](n_channels),
            n_channels,
            n_classes,
            classifier=classifier,
            temperature=temperature,
            mean=mean,
            std=std,
        )
