"""Class probabilities (and features) of whole images, in bounded memory for large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_al.learning.segmenter import Segmenter, upsample

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_WHOLE_PX = 2**21
"""Images up to this many pixels (1024 x 2048) go through the network in one piece."""
TILE_PX = 1024
OVERLAP_PX = 128
"""Larger images go in square tiles; their logits fade into each other over the overlap."""


def predict_probs(segmenter: Segmenter, image: NDArray[np.generic], device: torch.device) -> Tensor:
    """Class probabilities of one image.

    Parameters
    ----------
    segmenter : Segmenter
        Is moved to ``device``.
    image : (H, W, C) array
        In the units of its file.
    device : torch.device

    Returns
    -------
    Tensor
        (K, H, W) float32 on ``device``: the softmax of bilinearly upsampled logits.
    """
    return predict_features(segmenter, image, device)[0]


def predict_features(
    segmenter: Segmenter, image: NDArray[np.generic], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Class probabilities of one image and the features that they come from.

    Returns
    -------
    probs : Tensor
        (K, H, W) float32, as of ``predict_probs``.
    features : Tensor
        (D, ceil(H / stride), ceil(W / stride)) float32, what ``Segmenter.features`` gives;
        ``segmenter.upsample`` brings it to the image's grid.
    """
    was_training = segmenter.training
    segmenter.to(device).eval()
    try:
        with torch.no_grad():  # not inference_mode: what comes out may be learnt from
            features = _features(segmenter, image, device)
            logits = segmenter.classify(features)
            size = (image.shape[0], image.shape[1])
            return upsample(logits, segmenter.stride, size)[0].softmax(dim=0), features[0]
    finally:
        segmenter.train(was_training)


def _features(segmenter: Segmenter, image: NDArray[np.generic], device: torch.device) -> Tensor:
    """(1, D, h, w) features, from one pass or blended from tiles."""
    height, width = image.shape[:2]
    if height * width <= MAX_WHOLE_PX:
        return segmenter.features(_to_tensor(image, device))
    stride = segmenter.stride
    blended = total = torch.zeros(-(-height // stride), -(-width // stride), device=device)
    for top, bottom in _spans(height, stride):
        for left, right in _spans(width, stride):
            piece = segmenter.features(_to_tensor(image[top:bottom, left:right], device))
            if blended is total:
                blended = piece.new_zeros(*piece.shape[:2], *total.shape)
            h, w = piece.shape[-2:]
            weight = _fade(h, stride, device)[:, None] * _fade(w, stride, device)
            i, j = top // stride, left // stride
            blended[..., i : i + h, j : j + w] += piece * weight
            total[i : i + h, j : j + w] += weight
    return blended / total


def _spans(length: int, stride: int) -> list[tuple[int, int]]:
    """Half open spans of TILE_PX that overlap by OVERLAP_PX or more and start on the stride."""
    step = (TILE_PX - OVERLAP_PX) // stride * stride
    starts = range(0, max(length - OVERLAP_PX, 1), step)
    return [(start, min(start + TILE_PX, length)) for start in starts]


def _fade(n: int, stride: int, device: torch.device) -> Tensor:
    """(n,) weights that rise from both ends over the overlap, so that no seam shows."""
    from_end = torch.arange(1, n + 1, device=device)
    return torch.minimum(from_end, from_end.flip(0)).clamp(max=OVERLAP_PX // stride).float()


def _to_tensor(image: NDArray[np.generic], device: torch.device) -> Tensor:
    """(H, W, C) of any dtype to (1, C, H, W) float32; channels last, as convolutions like it."""
    pixels = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    return pixels.to(device).permute(2, 0, 1)[None]
