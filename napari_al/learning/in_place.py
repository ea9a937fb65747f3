"""Blocks of larger pictures, which a network sees with what lies around them.

A block's maps are made square by square, each with so many pixels of context, and reach one cell of
the coarsest map beyond the block, where there is more: interpolation to finer maps needs it.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from napari_al.learning.networks.resampling import upsample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_al.core.geometry.in_place import InPlace
    from napari_al.learning.segmenter import Segmenter


def around(segmenter: Segmenter, block: InPlace) -> tuple[slice, slice]:
    """Rows and columns of a block's picture that its maps are made of."""
    cell = segmenter.trunk.multiple
    spans = zip((block.rows, block.cols), block.picture_shape, strict=True)
    rows, cols = (_grown(span, cell, cell, length) for span, length in spans)
    return rows, cols


def maps_around(
    segmenter: Segmenter,
    run: Callable[[NDArray[np.generic]], list[Tensor]],
    block: InPlace,
    *,
    step_px: int,
    context_px: int,
) -> list[Tensor]:
    """Maps of what is `around` a block.

    Parameters
    ----------
    segmenter : Segmenter
    run : callable
        Gives the maps (1, D, ceil(h / s), ceil(w / s)) of (h, w, C) pixels: those of a frozen
        encoder at each of its strides s, or else the features.
    block : InPlace
    step_px : int
        Side of a square, a multiple of the network's cells.
    context_px : int
        Around a square, as far as the picture goes.

    Returns
    -------
    list of Tensor
        (1, D, ceil(H / s), ceil(W / s)) of the H x W pixels around the block.
    """
    strides = (segmenter.stride,) if segmenter.frozen is None else segmenter.frozen.strides
    cell, outer = segmenter.trunk.multiple, around(segmenter, block)
    context_px = -(-context_px // cell) * cell
    maps: list[Tensor] = []
    for own in product(*map(partial(_steps, step_px), outer, (block.rows, block.cols))):
        seen = [
            _grown(span, context_px, cell, length)
            for span, length in zip(own, block.picture_shape, strict=True)
        ]
        for i, (piece, stride) in enumerate(zip(run(block.read(*seen)), strides, strict=True)):
            if len(maps) == i:
                sides = (-(-(span.stop - span.start) // stride) for span in outer)
                maps.append(piece.new_zeros(1, piece.shape[1], *sides))
            (y, top), (x, left) = (
                ((inner.start - whole.start) // stride, (inner.start - read.start) // stride)
                for inner, whole, read in zip(own, outer, seen, strict=True)
            )
            height, width = (-(-(span.stop - span.start) // stride) for span in own)
            inner = piece[..., top : top + height, left : left + width]
            maps[i][..., y : y + height, x : x + width] = inner
    return maps


def probs_of(segmenter: Segmenter, block: InPlace, features: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (K, H, W) and features (D, h, w) of a block, from features around it."""
    stride, before, shape = segmenter.stride, [], []
    for own, outer in zip((block.rows, block.cols), around(segmenter, block), strict=True):
        before.append(own.start - outer.start)
        shape.append(own.stop - own.start)
    (above, left), (height, width) = before, shape
    grid = (above + height, left + width)
    logits = upsample(segmenter.classify(features), stride, grid)[..., above:, left:]
    (own_features,) = of_block([features[0]], [stride], segmenter, block)
    return segmenter.probabilities(logits)[0], own_features


def of_block(
    maps: Sequence[Tensor], strides: Sequence[int], segmenter: Segmenter, block: InPlace
) -> list[Tensor]:
    """Cut maps (D, h, w) of what is around a block down to the block itself."""
    spans = list(zip((block.rows, block.cols), around(segmenter, block), strict=True))
    cut = []
    for part, stride in zip(maps, strides, strict=True):
        (top, height), (left, width) = (
            ((own.start - outer.start) // stride, -(-(own.stop - own.start) // stride))
            for own, outer in spans
        )
        cut.append(part[:, top : top + height, left : left + width])
    return cut


def _steps(step_px: int, outer: slice, own: slice) -> list[slice]:
    """Cut what is around a block along one axis in steps of the block."""
    edges = [outer.start, *range(own.start + step_px, own.stop, step_px), outer.stop]
    return list(map(slice, edges[:-1], edges[1:]))


def _grown(span: slice, px: int, cell: int, length: int) -> slice:
    """A span with so many pixels more on each side, as far as there are: whole cells before it."""
    return slice(span.start - min(px, span.start // cell * cell), min(span.stop + px, length))
