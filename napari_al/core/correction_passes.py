"""The passes over an image's pixels that ``correction.correction_table`` is made of.

On a CPU the pixels are worked on in blocks that its caches hold, by as many threads as torch would
use: a block is too small for torch to divide it further, whose threads wait for each other at
every small operation. Other devices take the image in one piece. Results do not depend on the
number of threads, to the last bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from napari_al.core import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Result = TypeVar("Result")

BLOCK_PX = 2**15
"""torch divides operations on more than 32768 values among its threads."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """An image's pixels.

    Attributes
    ----------
    probs : (C, P) tensor
    ids : (P,) int64 tensor
        Segment ids; pixels of no segment have the last one, ``n_rows - 1``.
    labels : (P,) uint8 tensor
        Current classes, or IGNORE.
    n_rows : int
        Segments, and one.
    """

    probs: Tensor
    ids: Tensor
    labels: Tensor
    n_rows: int

    @classmethod
    def of(
        cls,
        probs: Tensor,
        segment_map: NDArray[np.integer[Any]],
        n_segments: int,
        class_map: NDArray[np.uint8],
    ) -> Pixels:
        """Pixels of (C, H, W) probabilities and (H, W) maps; negative segment ids are none."""
        # copies: torch warns of arrays that may not be written to
        ids = torch.from_numpy(np.array(segment_map, np.int32)).to(probs.device).flatten()
        labels = torch.from_numpy(np.array(class_map)).to(probs.device).flatten()
        ids = ids.where(ids >= 0, n_segments).long()
        return cls(probs.detach().flatten(1), ids, labels, n_segments + 1)

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.probs)

    def each_block(self, work: Callable[[slice], Result]) -> Iterator[Result]:
        """Results of ``work`` on each block of pixels, in their order."""
        n_px = len(self.ids)
        step = BLOCK_PX if self.ids.device.type == "cpu" else n_px
        blocks = [slice(start, start + step) for start in range(0, n_px, step)]
        with ThreadPoolExecutor(torch.get_num_threads(), "pixels") as threads:
            yield from threads.map(work, blocks)


@dataclass(frozen=True, slots=True)
class FirstPass:
    """Results of the first pass.

    Attributes
    ----------
    predicted : (P,) uint8 tensor
        Most probable class, the lowest one on a tie.
    shrink : (P,) float32 tensor
        1 / |p|.
    dominant : (n_rows,) int64 tensor
        The class most pixels of a segment are predicted to be, the lowest one on a tie.
    """

    predicted: Tensor
    shrink: Tensor
    dominant: Tensor


def first_pass(pixels: Pixels) -> FirstPass:
    """First pass."""
    n_cells = pixels.n_rows * pixels.n_classes

    def work(block: slice) -> tuple[Tensor, Tensor, Tensor]:
        p = pixels.probs[:, block]
        predicted = _predicted_class(p)
        cells = pixels.ids[block] * pixels.n_classes + predicted
        return predicted, _inverse_norm(p), torch.bincount(cells, minlength=n_cells)

    tops: list[Tensor] = []
    shrinks: list[Tensor] = []
    histogram = pixels.ids.new_zeros(n_cells)
    for top, shrink, counts in pixels.each_block(work):
        tops.append(top)
        shrinks.append(shrink)
        histogram += counts
    dominant = histogram.view(pixels.n_rows, -1).argmax(dim=1)
    return FirstPass(torch.cat(tops), torch.cat(shrinks), dominant)


def sum_probs(pixels: Pixels, seen: FirstPass) -> tuple[Tensor, Tensor]:
    """(C, n_rows) float64 sums of p over each segment, and over its dominant part."""

    def work(block: slice) -> tuple[Tensor]:
        ids = pixels.ids[block]
        in_part = seen.predicted[block] == seen.dominant.index_select(0, ids)
        cells = ids + pixels.n_rows * in_part
        return (_sum_columns(pixels.probs[:, block], cells, 2 * pixels.n_rows),)

    (sums,) = _add_up(pixels.each_block(work))
    part = sums[:, pixels.n_rows :]
    return sums[:, : pixels.n_rows] + part, part


def similarity(pixels: Pixels, seen: FirstPass, vectors: Tensor) -> Tensor:
    """(P,) float32 cosine of p with the pixel's segment's column of ``vectors`` (C, n_rows)."""
    units = _units(vectors)

    def work(block: slice) -> Tensor:
        return _cosine(pixels.probs[:, block], seen.shrink[block], units, pixels.ids[block])

    return torch.cat(list(pixels.each_block(work)))


def first_largest(values: Tensor, ids: Tensor, n_rows: int) -> Tensor:
    """(n_rows,) index of each segment's first largest value (P,); P where it has no pixel."""
    largest = values.new_full((n_rows,), -torch.inf)
    largest.scatter_reduce_(0, ids, values, "amax")
    at = (values == largest.index_select(0, ids)).nonzero()[:, 0]
    first = at.new_full((n_rows,), len(ids))
    return first.scatter_reduce_(0, ids[at], at, "amin")


def cil(pixels: Pixels, seen: FirstPass, at: Tensor | slice) -> tuple[Tensor, Tensor]:
    """(n,) float32 CIL(x) of the pixels ``at``, and the (n,) int64 class that it is about.

    That is the pixel's label, or its predicted class where it has none.
    """
    labels = pixels.labels[at]
    current = seen.predicted[at].where(labels == IGNORE, labels).long()
    p = pixels.probs[:, at].gather(0, current[None])[0]
    return (1 - p.float()).clamp_(0, 1), current


def sum_cil(
    pixels: Pixels, seen: FirstPass, alike: Tensor, at: Tensor, own_column: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Last pass: histograms of labels, and sums of CIL.

    Parameters
    ----------
    alike : (P,) float32
        cos(p(x), f(m')).
    at : (n_rows,) int64
        Representative pixels.
    own_column : bool
        Whether pixels without a label are summed in a column of their own.

    Returns
    -------
    histogram : (n_rows, C + 1) int64
        Pixels by label; last column: without one.
    plain, by_cosine : (n_rows,) float64
        Sums of CIL(x), and of cos(p(x_r), p(x)) CIL(x).
    by_class : (n_rows, C + 1) float64
        Sums of cos(p(x), f(m')) CIL(x) by current class.
    """
    n_rows, n_columns = pixels.n_rows, pixels.n_classes + 1
    units = _units(pixels.probs[:, at])

    def work(block: slice) -> tuple[Tensor, ...]:
        ids, labels = pixels.ids[block], pixels.labels[block]
        p, shrink = pixels.probs[:, block], seen.shrink[block]
        loss, current = cil(pixels, seen, block)
        weighed = _cosine(p, shrink, units, ids).mul_(loss).double()
        column = labels.where(labels != IGNORE, n_columns - 1)
        cells = ids * n_columns
        of_column = cells + (column if own_column else current)
        return (
            torch.bincount(cells + column, minlength=n_rows * n_columns),
            torch.bincount(ids, loss.double(), n_rows),
            torch.bincount(ids, weighed, n_rows),
            torch.bincount(of_column, (alike[block] * loss).double(), n_rows * n_columns),
        )

    histogram, plain, by_cosine, by_class = _add_up(pixels.each_block(work))
    return histogram.view(n_rows, -1), plain, by_cosine, by_class.view(n_rows, -1)


def _add_up(parts: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Sums of each place of tuples of tensors, floats in float64."""
    totals = tuple(x.double() if x.is_floating_point() else x for x in next(parts))
    for part in parts:
        for total, x in zip(totals, part, strict=True):
            total += x
    return totals


def _predicted_class(p: Tensor) -> Tensor:
    """(n,) uint8 row of the first largest entry of each column of ``p`` (C, n)."""
    top = torch.zeros_like(p[0], dtype=torch.uint8)
    best = p[0]
    for class_id, row in enumerate(p[1:], start=1):
        top = torch.maximum(top, (row > best).view(torch.uint8).mul_(class_id))
        best = torch.maximum(best, row)
    return top


def _inverse_norm(p: Tensor) -> Tensor:
    """(n,) float32 1 / |p| of each column of ``p`` (C, n)."""
    squares = torch.zeros_like(p[0], dtype=torch.float32)
    for row in p:
        squares.addcmul_(row.float(), row.float())
    return squares.clamp_(min=torch.finfo(torch.float32).tiny).rsqrt_()


def _units(vectors: Tensor) -> Tensor:
    """``vectors`` (C, R) brought to length 1, float32; zero stays zero."""
    vectors = vectors.float()
    return vectors * _inverse_norm(vectors)


def _cosine(p: Tensor, shrink: Tensor, units: Tensor, ids: Tensor) -> Tensor:
    """(n,) float32 cosine of each column of ``p`` (C, n) with that of ``units`` in ``ids``."""
    total = torch.zeros_like(shrink)
    for unit, row in zip(units, p, strict=True):
        total.addcmul_(unit.index_select(0, ids), row.float())
    return total.mul_(shrink).clamp_(0, 1)


def _sum_columns(p: Tensor, cells: Tensor, n_cells: int) -> Tensor:
    """(C, n_cells) float32 sums of the columns of ``p`` (C, n) by ``cells`` (n,)."""
    out = torch.zeros(len(p), n_cells, device=p.device)
    if p.device.type != "cpu":
        return out.index_add_(1, cells, p.float())
    # neighbours mostly share their cell: stretches are summed first, which is three times as quick
    starts = torch.cat([cells.new_zeros(1), (cells[1:] != cells[:-1]).nonzero()[:, 0] + 1])
    stretches = np.add.reduceat(p.float().numpy(), starts.numpy(), axis=1)
    return out.index_add_(1, cells[starts], torch.from_numpy(stretches))
