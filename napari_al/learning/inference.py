"""Class probabilities (and features) of whole images, in bounded memory for large ones.

A large image is processed in tiles. A tile's outer ``MARGIN_PX`` are dropped because the network
lacks their context, and over ``RAMP_PX`` neighbouring tiles are blended to avoid seams. If the
receptive field does not exceed the margin, the result equals that of a single pass.

A block of a larger picture (``InPlace``), and for a frozen encoder a picture of over ``LARGE_PX``,
is processed square by square. Around each, a frozen encoder is given ``CONTEXT_PX``: as far as
EfficientNet-Lite sees, so that the result is that of a single pass. That takes three times as long.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_al.core.geometry.in_place import InPlace, squares
from napari_al.learning.in_place import maps_around, probs_of
from napari_al.learning.networks.frozen import Ensemble
from napari_al.learning.networks.resampling import upsample
from napari_al.learning.precision import half_precision, in_half, network_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_al.core.geometry.in_place import Read
    from napari_al.learning.segmenter import Segmenter

MAX_WHOLE_PX = 2**21
"""Images up to this many pixels (1024 x 2048) go through the network in one piece."""
STEP_PX = 1024
"""From a tile to the next one."""
MARGIN_PX = 64
RAMP_PX = 64
LARGE_PX = 2**24
"""Larger pictures (4096 x 4096) are labelled in blocks, which their predictions are to fit."""
CONTEXT_PX = 448
"""Around a square of a frozen encoder's maps."""


class Block(NamedTuple):
    """Class probabilities (K, h, w) float32 of a part of an image, on the network's device."""

    rows: slice
    cols: slice
    probs: Tensor


def predict_probs(
    segmenter: Segmenter, image: NDArray[np.generic] | InPlace, device: torch.device
) -> Tensor:
    """Class probabilities of one image.

    Parameters
    ----------
    segmenter : Segmenter
        Is moved to ``device``.
    image : (H, W, C) array, or InPlace
        In the units of its file.
    device : torch.device

    Returns
    -------
    Tensor
        (K, H, W) float32 on ``device``: the softmax of bilinearly upsampled logits.
    """
    return predict_features(segmenter, image, device)[0]


def predict_features(
    segmenter: Segmenter, image: NDArray[np.generic] | InPlace, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Class probabilities of one image and the features they are computed from.

    Returns
    -------
    probs : Tensor
        (K, H, W) float32, as of ``predict_probs``.
    features : Tensor
        (D, ceil(H / stride), ceil(W / stride)) float32, what ``Segmenter.features`` gives;
        ``segmenter.upsample`` brings it to the image's grid.
    """
    # not inference_mode: the result may be used in training
    with _evaluating(segmenter, device), torch.no_grad():
        if isinstance(image, InPlace):
            maps = _maps_around(segmenter, image, device)
            features = maps[0] if segmenter.frozen is None else segmenter.refine(maps)
            return probs_of(segmenter, image, features)
        features = _whole(segmenter, segmenter.features, image, device)
        return _probs(segmenter, features, (image.shape[0], image.shape[1])), features[0]


def encode(
    segmenter: Segmenter, image: NDArray[np.generic] | InPlace, device: torch.device
) -> list[Tensor]:
    """Encoder maps of a frozen segmenter for one image; thread-safe.

    Parameters
    ----------
    segmenter : Segmenter
        On ``device`` already. Neither that nor its mode is changed here: its head may be learning
        in another thread, and moving a network touches the gradients of all of it.
    image : (H, W, C) array, or InPlace
    device : torch.device

    Returns
    -------
    list of Tensor
        (D, ceil(H / s), ceil(W / s)) float32 on ``device``, one for each stride s of the encoder;
        of a block, of the rows and columns ``around`` it (``in_place.py``).
    """
    if segmenter.frozen is None:
        raise ValueError(f"{segmenter.name} has no frozen encoder")
    if isinstance(image, InPlace):
        with torch.no_grad():
            return [part[0] for part in _maps_around(segmenter, image, device)]
    size = (image.shape[0], image.shape[1])
    with torch.no_grad(), half_precision(device):
        if math.prod(size) <= MAX_WHOLE_PX:
            return [part[0].float() for part in segmenter.encode(_to_tensor(image, device))]
        maps = [torch.zeros(shape, device=device) for shape in segmenter.frozen.map_sizes(*size)]
        for top in range(0, size[0], block_px(segmenter)):
            for left in range(0, size[1], block_px(segmenter)):
                _add_tile(segmenter, image, (top, left), maps)
    return maps


def predict_encoded(
    segmenter: Segmenter,
    maps: Sequence[Tensor],
    image: tuple[int, int] | InPlace,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """``predict_features`` from what ``encode`` gave for an image of size (H, W) or a block."""
    with _evaluating(segmenter, device), torch.no_grad():
        features = segmenter.refine([part.to(device, torch.float32)[None] for part in maps])
        if isinstance(image, InPlace):
            return probs_of(segmenter, image, features)
        return _probs(segmenter, features, image), features[0]


def predict_disagreement(segmenter: Segmenter, features: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W) how much the networks of an ensemble disagree, in nats (``Ensemble.disagreement``).

    Parameters
    ----------
    segmenter : Segmenter
        With several members.
    features : Tensor
        (D, h, w) that it gave for an image (``predict_features``).
    size : (int, int)
        H, W of the image.
    """
    if not isinstance(segmenter.classifier, Ensemble):
        raise ValueError(f"{segmenter.name} is no ensemble")
    with torch.no_grad():
        of_pixels = segmenter.classifier.disagreement(features[None], segmenter.n_known)
        return upsample(of_pixels, segmenter.stride, size)[0, 0]


def class_map_of(probs: Tensor) -> NDArray[np.uint8]:
    """(H, W) the most probable class of each pixel of (C, H, W), the lowest one on a tie."""
    # max is six times as fast as argmax on CPUs
    return probs.max(dim=0).indices.to("cpu", torch.uint8).numpy()


@torch.no_grad()
def predict_blocks(
    segmenter: Segmenter, read: Read, size: tuple[int, int], device: torch.device
) -> Iterator[Block]:
    """Class probabilities of an image of any size, block by block.

    Parameters
    ----------
    segmenter : Segmenter
        Is moved to ``device``.
    read : callable
        Gives the (h, w, C) pixels of rows and columns, in the units of their file.
    size : (int, int)
        H, W in pixels.
    device : torch.device

    Yields
    ------
    Block
        The whole, up to ``MAX_WHOLE_PX``; else squares of ``block_px``, row by row, cut off at the
        right and lower edge.
    """
    height, width = size
    stride, step = segmenter.stride, block_px(segmenter)
    with _evaluating(segmenter, device):
        if height * width > LARGE_PX and segmenter.frozen is not None:
            for rows, cols in squares(size, step):
                square = InPlace(read, size, rows, cols)
                yield Block(rows, cols, predict_features(segmenter, square, device)[0])
            return
        if height * width <= MAX_WHOLE_PX:
            rows, cols = slice(0, height), slice(0, width)
            logits = in_half(segmenter, _to_tensor(read(rows, cols), device))
            yield Block(rows, cols, segmenter.probabilities(upsample(logits, stride, size))[0])
            return
        for band in _bands(segmenter, segmenter, read, size, device):
            top = band.top * stride
            rows = slice(top, min(top + step, height))
            above = band.own.start * stride
            for left in range(0, width, step):
                cols = slice(left, min(left + step, width))
                before = min(left // stride, 1)  # one more map pixel on each side, for upsampling
                part = band.maps[..., left // stride - before : -(-cols.stop // stride) + 1]
                skip = before * stride
                grid = (above + rows.stop - top, skip + cols.stop - left)
                logits = upsample(part, stride, grid)[..., above:, skip:]
                yield Block(rows, cols, segmenter.probabilities(logits)[0])


def block_px(segmenter: Segmenter) -> int:
    """Side of the blocks that a large image is predicted in: a multiple of 16, as TIFF wants."""
    grain = math.lcm(segmenter.trunk.multiple, 16)
    return max(STEP_PX // grain, 1) * grain


def n_blocks(segmenter: Segmenter, size: tuple[int, int]) -> int:
    """Number of blocks that ``predict_blocks`` yields for an image of size (H, W)."""
    if math.prod(size) <= MAX_WHOLE_PX:
        return 1
    return math.prod(-(-length // block_px(segmenter)) for length in size)


# ---- inside


def _probs(segmenter: Segmenter, features: Tensor, size: tuple[int, int]) -> Tensor:
    logits = upsample(segmenter.classify(features), segmenter.stride, size)
    return segmenter.probabilities(logits)[0]


def _maps_around(segmenter: Segmenter, block: InPlace, device: torch.device) -> list[Tensor]:
    """(1, D, h, w) encoder maps, or the features of others, of what is around a block."""
    shape = block.picture_shape
    context_px = MARGIN_PX if segmenter.frozen is None else CONTEXT_PX
    if math.prod(shape) <= MAX_WHOLE_PX:
        context_px = max(shape)

    def run(pixels: NDArray[np.generic]) -> list[Tensor]:
        images = _to_tensor(pixels, device)
        if segmenter.frozen is None:
            return [in_half(segmenter.features, images)]
        with half_precision(device):
            return [part.float() for part in segmenter.encode(images)]

    return maps_around(segmenter, run, block, step_px=block_px(segmenter), context_px=context_px)


def _whole(
    segmenter: Segmenter,
    run: Callable[[Tensor], Tensor],
    image: NDArray[np.generic],
    device: torch.device,
) -> Tensor:
    """(1, D, h, w) maps that ``run`` computes for an image, in one pass or in tiles."""
    size = (image.shape[0], image.shape[1])
    if math.prod(size) <= MAX_WHOLE_PX:
        return in_half(run, _to_tensor(image, device))
    bands = _bands(segmenter, run, lambda *part: image[part], size, device)
    return torch.cat([band.maps[..., band.own, :] for band in bands], dim=2)


def _add_tile(
    segmenter: Segmenter,
    image: NDArray[np.generic],
    start: tuple[int, int],
    maps: Sequence[Tensor],
) -> None:
    """Add the weighted encoder maps of the tile at a pixel to the maps of the whole image."""
    if segmenter.frozen is None:
        return
    strides, device = segmenter.frozen.strides, maps[0].device
    axes = [
        [_tile(segmenter, at // stride, length, device, stride) for stride in strides]
        for at, length in zip(start, image.shape[:2], strict=True)
    ]
    (rows, _), (cols, _) = axes[0][0], axes[1][0]
    pieces = segmenter.encode(_to_tensor(image[rows, cols], device))
    for piece, whole, stride, (_, down), (_, across) in zip(
        pieces, maps, strides, *axes, strict=True
    ):
        top, left = rows.start // stride, cols.start // stride
        height, width = piece.shape[-2:]
        whole[:, top : top + height, left : left + width] += piece[0] * down[:, None] * across


class _Band(NamedTuple):
    """A step's rows of maps (1, D, n, W / stride).

    ``own`` of the n rows begin at the image's map row ``top``; there is one more above and below
    them unless the image ends there.
    """

    top: int
    own: slice
    maps: Tensor


def _bands(
    segmenter: Segmenter,
    run: Callable[[Tensor], Tensor],
    read: Read,
    size: tuple[int, int],
    device: torch.device,
) -> Iterator[_Band]:
    """Blended maps that ``run`` computes for an image's tiles, one row of tiles after the other."""
    stride, n_own = segmenter.stride, block_px(segmenter) // segmenter.stride
    n_rows, n_cols = (-(-length // stride) for length in size)
    above = carried = None  # of the row of tiles before: its last own row, and what fades out
    for top in range(0, n_rows, n_own):
        rows, row_weights = _tile(segmenter, top, size[0], device, stride)
        blended = torch.zeros(n_cols, device=device)
        for left in range(0, n_cols, n_own):
            cols, col_weights = _tile(segmenter, left, size[1], device, stride)
            piece = in_half(run, _to_tensor(read(rows, cols), device))
            around = (cols.start // stride, n_cols - cols.start // stride - piece.shape[3])
            blended = blended + F.pad(piece * row_weights[:, None] * col_weights, around)
        blended = blended[..., top - rows.start // stride :, :]
        if carried is not None:
            blended[..., : carried.shape[2], :] += carried
        own = blended[..., : n_own + 1, :]
        n_above = int(above is not None)
        maps = own if above is None else torch.cat((above, own), dim=2)
        yield _Band(top, slice(n_above, n_above + min(n_own, own.shape[2])), maps)
        above, carried = own[..., n_own - 1 : n_own, :].clone(), blended[..., n_own:, :].clone()


def _tile(
    segmenter: Segmenter, start: int, length: int, device: torch.device, stride: int
) -> tuple[slice, Tensor]:
    """Pixels along one axis of the tile whose own map pixels begin at ``start``; their weights.

    The weights, one a map pixel, are 1 over the tile's own map pixels, but that it fades in over
    the first and out over as many beyond the last; those of all tiles add up to 1 everywhere.
    """
    multiple = segmenter.trunk.multiple
    n_ramp = -(-RAMP_PX // stride)
    margin = -(-MARGIN_PX // multiple) * multiple
    stop = start + block_px(segmenter) // stride
    first_px = max(start * stride - margin, 0)
    pixels = slice(first_px, min((stop + n_ramp) * stride + margin, length))
    at = torch.arange(first_px // stride, -(-pixels.stop // stride), device=device)
    fade_in = ((at - start) / n_ramp).clamp(0, 1) if start else torch.ones_like(at)
    return pixels, fade_in - ((at - stop) / n_ramp).clamp(0, 1)


@contextmanager
def _evaluating(segmenter: Segmenter, device: torch.device) -> Iterator[None]:
    """Context: the network is on the device and in evaluation mode."""
    was_training = segmenter.training
    if was_training or segmenter.mean.device != device:
        network_to(segmenter, device)
        segmenter.eval()
    try:
        yield
    finally:
        if was_training:
            segmenter.train()


def _to_tensor(image: NDArray[np.generic], device: torch.device) -> Tensor:
    """(H, W, C) of any dtype to (1, C, H, W) float32; channels last, as convolutions like it."""
    pixels = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    return pixels.to(device).permute(2, 0, 1)[None]
