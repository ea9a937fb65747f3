"""Segmenters whose encoder is frozen: an ensemble of small networks learns on its maps.

The encoder's output for an image is the same in every round, so it is cached: one map per stride,
each at its own size. The small networks see one pixel at a time; a round trains them on labelled
pixels only (``labelled_pixels.py``), which takes seconds without a GPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.learning.networks.resampling import upsample

if TYPE_CHECKING:
    from collections.abc import Sequence

N_HIDDEN = 128
"""Hidden units of one member of the ensemble, where labels are few."""
N_FEATURES = 64
"""Of one member of the ensemble."""
DROPOUT = 0.1
UNKNOWN_LOGIT = -100.0
"""Of classes that have not been trained on; finite, so that it can be interpolated."""


class Encoder(Protocol):
    """Protocol of an encoder, a ``torch.nn.Module`` that returns feature maps.

    Attributes
    ----------
    channels, strides : tuple of int
        Of its maps; the first is the finest, and every stride is a multiple of it.
    multiple : int
        Inputs come with sides that are multiples of this.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) normalised to maps (N, channels[i], H / strides[i], W / strides[i])."""
        ...


class PixelNetwork(nn.Module):
    """Two layers applied to each pixel: values of all maps in, features out."""

    def __init__(self, n_maps: int, n_hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_maps, n_hidden, 1)
        self.dropout = nn.Dropout(DROPOUT)
        self.second = nn.Conv2d(n_hidden, N_FEATURES, 1)

    def forward(self, maps: Sequence[Tensor], factors: Sequence[int]) -> Tensor:
        """Features (N, N_FEATURES, h, w) of normalised maps, ``factors[i]`` coarser than (h, w).

        The first layer is linear, so that it commutes with bilinear upsampling: it is applied to
        each map at its own stride, where there are fewer pixels, and its outputs are added up.
        """
        size = (maps[0].shape[2], maps[0].shape[3])
        weights = torch.split(self.first.weight, [part.shape[1] for part in maps], dim=1)
        hidden = F.conv2d(maps[0], weights[0], self.first.bias)
        for part, weight, factor in zip(maps[1:], weights[1:], factors[1:], strict=True):
            hidden += upsample(F.conv2d(part, weight), factor, size)
        hidden = self.dropout(F.relu(hidden, inplace=True))
        return F.relu(cast("Tensor", self.second(hidden)), inplace=True)


class FrozenTrunk(nn.Module):
    """A fixed encoder and a trainable ensemble of pixel networks.

    Parameters
    ----------
    encoder : Encoder
    n_members : int
        Pixel networks. They differ by their first weights, by dropout and by noise.
    noise : float
        Standard deviation of the noise that is added to the maps, normalised to deviation 1, while
        the networks learn: with few answers they would learn the labelled pixels by heart.
    n_hidden : int
        Hidden units of each network.

    Attributes
    ----------
    scale_dropout : float
        While the networks learn, the chance that a pixel's map of one stride is hidden, each by
        itself. A network that always sees all maps relies on the coarse ones, which say where the
        pixel is and are alike in a whole region, so that few answers are learnt by heart.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        n_members: int = 1,
        noise: float = 0.0,
        n_hidden: int = N_HIDDEN,
    ) -> None:
        super().__init__()
        self.channels, self.strides = encoder.channels, encoder.strides
        self.stride, self.multiple = encoder.strides[0], encoder.multiple
        self.n_maps = sum(encoder.channels)
        self.n_members, self.noise, self.n_hidden = n_members, noise, n_hidden
        self.scale_dropout = 0.0
        self.n_features = n_members * N_FEATURES
        self.encoder = cast("nn.Module", encoder).requires_grad_(False).eval()
        self.norm = nn.BatchNorm2d(self.n_maps, affine=False)
        self.members = nn.ModuleList(PixelNetwork(self.n_maps, n_hidden) for _ in range(n_members))

    def train(self, mode: bool = True) -> FrozenTrunk:
        """Switch the pixel networks to training mode; the encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def refine(self, maps: Sequence[Tensor]) -> Tensor:
        """Features (N, n_features, h, w), the members' one after the other, of the encoder's maps.

        While learning, ``maps`` is one tensor (N, n_maps, 1, P): all maps at P pixels.
        """
        normalised = [self.norm(maps[0])] if len(maps) == 1 else self._normalised(maps)
        factors = [stride // self.stride for stride in self.strides[: len(maps)]]
        members = (member(self._disturbed(normalised), factors) for member in self.members)
        return torch.cat(list(members), dim=1)

    def map_sizes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Channels and sides of the encoder's maps of an image."""
        return [
            (n, math.ceil(height / stride), math.ceil(width / stride))
            for n, stride in zip(self.channels, self.strides, strict=True)
        ]

    def _normalised(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Normalise each map by its part of the input statistics."""
        means = torch.split(cast("Tensor", self.norm.running_mean), list(self.channels))
        variances = torch.split(cast("Tensor", self.norm.running_var), list(self.channels))
        # the layout in which upsampling is fast on CPUs; sums of two layouts are slow
        channels_last = [part.contiguous(memory_format=torch.channels_last) for part in maps]
        return [
            F.batch_norm(part, mean, variance, eps=self.norm.eps)
            for part, mean, variance in zip(channels_last, means, variances, strict=True)
        ]

    def _disturbed(self, maps: list[Tensor]) -> list[Tensor]:
        """In training mode, add noise and hide maps (scale dropout)."""
        if not self.training:
            return maps
        if self.noise:
            maps = [part + self.noise * torch.randn_like(part) for part in maps]
        if self.scale_dropout and len(self.channels) > 1:
            pixels = maps[0]
            shape = (len(pixels), len(self.channels), *pixels.shape[2:])
            is_seen = torch.rand(shape, device=pixels.device) >= self.scale_dropout
            n_channels = torch.tensor(self.channels, device=pixels.device)
            maps = [pixels * is_seen.repeat_interleave(n_channels, dim=1)]
        return maps


class Ensemble(nn.Module):
    """One classifier for each member; the members' features come one after the other."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor) -> Tensor:
        """Each member's logits, for training: (N, members * D, h, w) to (members * N, K, h, w)."""
        return torch.cat(self._logits(features))

    def mean_log_probs(self, features: Tensor, n_known: int) -> Tensor:
        """Logits (N, K, h, w) whose softmax is the members' mean probability.

        Classes from ``n_known`` on are not predicted by any member.
        """
        logits = self._logits(features)
        mean = _mean_log_probs(self._log_probs(logits, n_known))
        return F.pad(mean, (0, 0, 0, 0, 0, logits[0].shape[1] - n_known), value=UNKNOWN_LOGIT)

    def disagreement(self, features: Tensor, n_known: int) -> Tensor:
        """(N, 1, h, w) entropy of the members' mean less the mean of their entropies, in nats.

        0 where all predict the same, at most log of the number of members: BALD's mutual
        information of Houlsby et al. 2011, with members in the place of draws from a posterior.
        """
        log_probs = self._log_probs(self._logits(features), n_known)
        mean = _mean_log_probs(log_probs)
        of_mean = -(mean.exp() * mean).sum(dim=1, keepdim=True)
        of_members = -(log_probs.exp() * log_probs).sum(dim=2, keepdim=True).mean(dim=0)
        return (of_mean - of_members).clamp_min(0)

    def _log_probs(self, logits: Sequence[Tensor], n_known: int) -> Tensor:
        """(members, N, n_known, h, w)."""
        return torch.stack([part[:, :n_known].log_softmax(dim=1) for part in logits])

    def _logits(self, features: Tensor) -> list[Tensor]:
        parts = features.chunk(len(self.members), dim=1)
        return [member(part) for member, part in zip(self.members, parts, strict=True)]


def _mean_log_probs(log_probs: Tensor) -> Tensor:
    """Logarithm of the mean over the first axis of probabilities."""
    return log_probs.logsumexp(dim=0) - math.log(len(log_probs))


class Head(nn.Module):
    """The part of a frozen segmenter after the encoder, which a round trains.

    It is a view: its parameters are the segmenter's own.
    """

    stride = 1

    def __init__(self, trunk: FrozenTrunk, classifier: nn.Module) -> None:
        super().__init__()
        self.n_members = trunk.n_members
        self.norm, self.members, self.classifier = trunk.norm, trunk.members, classifier
        self._refine = trunk.refine

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (members * N, K, 1, P) of maps at P pixels (N, n_maps, 1, P)."""
        return cast("Tensor", self.classifier(self._refine([pixels])))
