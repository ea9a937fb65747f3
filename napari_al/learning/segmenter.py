"""The segmenter: raw images in, logits at the network's stride out.

A segmenter consists of an input normalisation, a trunk (a row of ``catalogue.py``) and a
classifier. It takes images of any size and channel count, in the units of their files.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.learning.networks.catalogue import segmenter_info
from napari_al.learning.networks.compact import Compact
from napari_al.learning.networks.efficientnet_lite import (
    N_STAGES,
    N_STAGES_FROZEN,
    EfficientNetLite,
    load_weights,
)
from napari_al.learning.networks.filters import Filters
from napari_al.learning.networks.frozen import N_HIDDEN, Ensemble, FrozenTrunk, Head
from napari_al.learning.networks.two_scales import TwoScales

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_al.learning.networks.backbones import Backbone
    from napari_al.learning.networks.catalogue import SegmenterInfo
    from napari_al.learning.networks.frozen import Encoder

ClassifierName = Literal["linear", "cosine"]
MAX_DEVIATION = 10.0
"""Largest distance of a normalised pixel from the mean, in standard deviations; clipped."""


class Trunk(Protocol):
    """Protocol of a network between normalisation and classifier, a ``torch.nn.Module``.

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
        Its row of the catalogue.
    n_channels, n_classes : int
    classifier_name : {"linear", "cosine"}
    temperature : float
        Of a cosine classifier.
    stride : int
        Input pixels per logit.
    mean, std : Tensor
        (1, n_channels, 1, 1) float32, in the images' units.
    n_known : int
        Classes that it has been trained on; those after them are not predicted.
    merged : dict of int to int
        Classes whose probability counts for another one (``class_rows.fit_classes`` sets both).
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
        self.n_known = n_classes
        self.merged: dict[int, int] = {}
        self.stride = trunk.stride
        self.trunk = trunk
        self.classifier = self._new_classifier()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def features(self, images: Tensor) -> Tensor:
        """The feature map, which is the classifier's input.

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
        if self.frozen is not None:
            return self.refine(self.encode(images))
        trunk = cast("nn.Module", self.trunk)
        return self._through(lambda padded: [trunk(padded)], [self.stride], images)[0]

    @property
    def backbone(self) -> Backbone | EfficientNetLite | None:
        """The part that can have pretrained weights, if there is one."""
        from napari_al.learning.networks.backbones import Backbone

        parts = self.trunk.modules() if isinstance(self.trunk, nn.Module) else ()
        return next((part for part in parts if isinstance(part, Backbone | EfficientNetLite)), None)

    @property
    def frozen(self) -> FrozenTrunk | None:
        """The trunk if its encoder is frozen, else None."""
        return self.trunk if isinstance(self.trunk, FrozenTrunk) else None

    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps of a frozen encoder: (N, D, ceil(H / s), ceil(W / s)) at each of its strides."""
        trunk = self._frozen_trunk()
        return self._through(trunk.encoder, trunk.strides, images)

    def refine(self, maps: Sequence[Tensor]) -> Tensor:
        """Features from encoder maps; ``refine(encode(images))`` equals ``features(images)``."""
        return self._frozen_trunk().refine(maps)

    def head(self) -> Head:
        """The trainable part of a frozen segmenter, applied to encoder maps."""
        return Head(self._frozen_trunk(), self.classifier)

    def _frozen_trunk(self) -> FrozenTrunk:
        if self.frozen is None:
            raise ValueError(f"{self.name} has no frozen encoder")
        return self.frozen

    def _new_classifier(self) -> nn.Module:
        if self.frozen is None:
            return self._one_classifier(self.trunk.n_features)
        n_members = self.frozen.n_members
        n_features = self.frozen.n_features // n_members
        return Ensemble([self._one_classifier(n_features) for _ in range(n_members)])

    def _one_classifier(self, n_features: int) -> nn.Module:
        if self.classifier_name == "cosine":
            return CosineClassifier(n_features, self.n_classes, self.temperature)
        return nn.Conv2d(n_features, self.n_classes, 1)

    def _through(
        self,
        network: Callable[[Tensor], Sequence[Tensor]],
        strides: Sequence[int],
        images: Tensor,
    ) -> list[Tensor]:
        """Normalise, pad to the trunk's multiple, and crop the padding from the result."""
        if images.shape[1] != self.n_channels:
            raise InputError(
                f"this model takes images of {self.n_channels} channel(s), got {images.shape[1]}; "
                "train a new model for them"
            )
        height, width = images.shape[-2:]
        # NaN pixels get the mean value
        normalised = torch.nan_to_num((images - self.mean) / self.std, 0.0, 0.0, 0.0)
        # extreme outliers carry no signal and would dominate their surroundings
        normalised = normalised.clamp(-MAX_DEVIATION, MAX_DEVIATION)
        multiple = self.trunk.multiple
        # not -size % multiple: of quotients torch.export gets sizes that it can simplify
        right, below = ((n + multiple - 1) // multiple * multiple - n for n in (width, height))
        pad = (0, right, 0, below)
        padded = F.pad(normalised, pad, mode="replicate") if any(pad) else normalised
        # several times faster than the other memory layout on CPUs (upsampling above all)
        out = network(padded.contiguous(memory_format=torch.channels_last))
        # not -(-n // stride): in an exported ONNX graph a division rounds towards 0
        return [
            maps[..., : (height + stride - 1) // stride, : (width + stride - 1) // stride]
            for maps, stride in zip(out, strides, strict=True)
        ]

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, n_classes, h, w) of features (N, D, h, w)."""
        if isinstance(self.classifier, Ensemble):
            return self.classifier.mean_log_probs(features, self.n_known)
        return cast("Tensor", self.classifier(features))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Class probabilities of logits (N, n_classes, H, W).

        Those of merged classes are added up; deleted classes have none.
        """
        probs = logits[:, : self.n_known].softmax(dim=1)
        if self.n_known < self.n_classes:
            probs = F.pad(probs, (0, 0, 0, 0, 0, self.n_classes - self.n_known))
        for merged, counts_as in self.merged.items():
            if counts_as != IGNORE:
                probs[:, counts_as] += probs[:, merged]
            probs[:, merged] = 0
        if IGNORE in self.merged.values():
            probs = probs / probs.sum(dim=1, keepdim=True).clamp_min(torch.finfo(probs.dtype).tiny)
        return probs

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_classes, ceil(H / stride), ceil(W / stride)) of raw images (N, C, H, W)."""
        return self.classify(self.features(images))


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
    frozen: bool = False,
    n_members: int = 1,
    noise: float = 0.0,
    n_hidden: int = N_HIDDEN,
    backbone: Mapping[str, Any] | Path | None = None,
) -> Segmenter:
    """A new segmenter with weights drawn from ``seed``.

    Parameters
    ----------
    name : str
        A row of the catalogue.
    n_channels, n_classes : int
        Of the images, and how many class ids there are.
    mean, std : sequence of float
        One per channel, in the images' units (``normalisation.py``); std > 0.
    seed : int
    classifier : {"linear", "cosine"}
    temperature : float
        Of a cosine classifier, > 0.
    frozen : bool
        Leave the backbone as it is and train small networks on its maps, pixel by pixel.
    n_members, noise, n_hidden
        Of a frozen segmenter's ensemble (``frozen.FrozenTrunk``).
    backbone : Path or mapping, optional
        Where the backbone's weights are (``pretrained.find_weights``), or its config for random
        ones; by default random ones with the config of the row.

    Raises
    ------
    InputError
        For an unknown name or classifier, statistics that do not fit ``n_channels``, a package that
        is not installed, or weights that cannot be used.
    """
    info = segmenter_info(name)
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
            _trunk(
                info,
                n_channels,
                frozen,
                backbone,
                partial(FrozenTrunk, n_members=n_members, noise=noise, n_hidden=n_hidden),
            ),
            n_channels,
            n_classes,
            classifier=classifier,
            temperature=temperature,
            mean=mean,
            std=std,
        )


def _trunk(
    info: SegmenterInfo,
    n_channels: int,
    frozen: bool,
    weights: Mapping[str, Any] | Path | None,
    freeze: Callable[[Any], FrozenTrunk],
) -> Trunk:
    if info.family == "compact":
        if frozen:
            raise InputError(
                "frozen=True needs a backbone that has learnt before; compact learns as a whole "
                "(filters, and the rows with weights, can be frozen)"
            )
        return Compact(n_channels)
    if info.family == "filters":
        return freeze(Filters(n_channels))
    from napari_al.learning.networks import decoders

    if info.family == "efficientnet-lite":
        if info.two_scales and not frozen:
            raise InputError(
                f"{info.name} is always frozen; set training.frozen=true, or take "
                f"efficientnet-lite{info.size}"
            )
        network = EfficientNetLite(
            info.size, n_channels, dilated=not frozen, n_stages=_n_stages(weights, frozen)
        )
        if isinstance(weights, Path):
            load_weights(network, weights)
        if not frozen:
            return cast("Trunk", decoders.DeepLabV3Plus(network))
        encoder = cast("Encoder", network)
        return freeze(TwoScales(encoder) if info.two_scales else encoder)
    backbone = _transformers_backbone(info, n_channels, weights)
    if frozen:
        return freeze(backbone)
    families = {
        "deeplabv3plus": decoders.DeepLabV3Plus,
        "segformer": decoders.SegFormer,
        "dino": decoders.LightHead,
    }
    return cast("Trunk", families[info.family](backbone))


def _n_stages(weights: Mapping[str, Any] | Path | None, frozen: bool) -> int:
    """Stages of an EfficientNet-Lite: what a model file says, where older ones have all."""
    if isinstance(weights, Path | None):
        return N_STAGES_FROZEN if frozen else N_STAGES
    n_stages = weights.get("n_stages", N_STAGES)
    if not isinstance(n_stages, int):  # it is read from a file
        raise ValueError(f"n_stages is {n_stages!r}")
    return n_stages


def _transformers_backbone(
    info: SegmenterInfo, n_channels: int, weights: Mapping[str, Any] | Path | None
) -> Backbone:
    from napari_al.learning.networks import backbones

    if isinstance(weights, Path):
        return backbones.pretrained_backbone(info, weights, n_channels)
    return backbones.new_backbone(info, info.config if weights is None else weights, n_channels)
