"""How alike an image's pixels are, by features of a coarser grid that are never upsampled whole.

A network's features lie on a grid of some pixels' stride; upsampled to the image they would take
gigabytes. The dot product with a bilinear mean of vectors is the bilinear mean of the dot products,
so those can be upsampled instead, and the squared length of such a mean is made of dot products of
neighbouring cells. Both are exact, and in float64, so that equal features have equal similarities.
Only the cells around the wanted pixels are touched, in numpy: such boxes of cells are too small for
a GPU, or for torch's threads, which wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

Similarity = Literal["cosine", "dot"]
"""``cosine``: of the upsampled features (Hwang et al. 2023, equation 11). ``dot``: dot product of
features that were brought to length 1 before they were upsampled and not after, which the authors'
code takes for the cosine on Cityscapes; it is smaller where neighbouring cells differ."""

TINY = 1e-12
MAX_CELLS = 2**15
"""Cells worked on at once: 64 MiB of float64 at 256 features a cell."""


class FeatureMap:
    """Features of an image's pixels, between cells bilinear (as with ``align_corners=False``).

    Parameters
    ----------
    features : (D, ceil(H / stride), ceil(W / stride)) float tensor
        On any device, of any float type. It is not copied.
    shape : (int, int)
        H, W in pixels.
    stride : int
        Pixels per cell; cell (i, j) covers rows ``i * stride`` to ``(i + 1) * stride``.
    similarity : {"cosine", "dot"}
        See ``Similarity``.

    Raises
    ------
    InputError
        If the sizes do not fit together.
    """

    def __init__(
        self,
        features: Tensor,
        shape: tuple[int, int],
        *,
        stride: int = 1,
        similarity: Similarity = "cosine",
    ) -> None:
        expected = (-(-shape[0] // stride), -(-shape[1] // stride))
        if features.ndim != 3 or tuple(features.shape[1:]) != expected:
            raise InputError(
                f"features of {shape[0]}x{shape[1]} pixels at stride {stride} are expected as "
                f"(D, {expected[0]}, {expected[1]}), got {tuple(features.shape)}"
            )
        self._features = features.detach()
        for dim in (1, 2):  # a pixel lies between cells, so there have to be two each way
            if features.shape[dim] == 1:
                self._features = self._features.repeat_interleave(2, dim)
        self._width = shape[1]
        self._stride = stride
        self._similarity = similarity

    def similarities(
        self, prototypes: NDArray[np.int64], pixels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """How alike pixels are to prototypes.

        Parameters
        ----------
        prototypes, pixels : (K,) and (n,) int64
            Flat pixel indices.

        Returns
        -------
        (K, n) float32
            In [-1, 1]; 0 where there is a feature of length 0.
        """
        vectors = self._vectors(self._between(prototypes))
        between = self._between(pixels)
        out = np.empty((len(prototypes), len(pixels)), np.float32)
        for piece in _pieces(between, np.arange(len(pixels))):
            out[:, piece] = self._compare(vectors, between.only(piece))
        return out.clip(-1, 1, out=out)

    def _between(self, pixels: NDArray[np.int64]) -> _Between:
        n_rows, n_cols = self._features.shape[1:]
        row, down = _place(pixels // self._width, self._stride, n_rows)
        col, right = _place(pixels % self._width, self._stride, n_cols)
        up, left = 1 - down, 1 - right
        return _Between(row, col, np.stack([up * left, up * right, down * left, down * right]))

    def _vectors(self, between: _Between) -> NDArray[np.float64]:
        """(D, K) features of a few pixels, of length 1 unless for dot products."""
        corners = np.stack(
            [
                self._box(row, row + 2, col, col + 2)
                for row, col in zip(between.row, between.col, strict=True)
            ],
            axis=2,
        )
        vectors: NDArray[np.float64] = (corners * between.weights).sum(axis=1)
        return vectors if self._similarity == "dot" else _normalised(vectors)

    def _box(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.float64]:
        """(D, n) features of a box of cells, row by row, of length 1 for dot products."""
        box = self._features[:, top:bottom, left:right].double().cpu().numpy()
        cells = box.reshape(len(box), -1)
        return _normalised(cells) if self._similarity == "dot" else cells

    def _compare(self, vectors: NDArray[np.float64], between: _Between) -> NDArray[np.float64]:
        """(K, n) similarity of ``vectors`` (D, K) and pixels, whose cells are read as one box."""
        top, left = between.row.min(), between.col.min()
        bottom, right = between.row.max() + 2, between.col.max() + 2
        cells = self._box(top, bottom, left, right)
        width = int(right - left)
        first = (between.row - top) * width + between.col - left
        at = np.stack([first, first + 1, first + width, first + width + 1])
        # not a matrix product: BLAS would wake its threads for one this small, and wait for them
        dots = np.stack([np.einsum("d,dn->n", vector, cells) for vector in vectors.T])
        mean: NDArray[np.float64] = (dots[:, at] * between.weights).sum(axis=1)
        if self._similarity == "cosine":
            mean /= np.sqrt(_squared_length(cells, width, at, between.weights).clip(TINY))
        return mean


@dataclass(frozen=True, slots=True)
class _Between:
    """Which four cells each of n pixels lies between.

    ``row`` and ``col`` (n,) int64 are those of the upper left one, ``weights`` (4, n) float64 upper
    left, upper right, lower left, lower right.
    """

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    weights: NDArray[np.float64]

    def only(self, chosen: NDArray[np.int64]) -> _Between:
        return _Between(self.row[chosen], self.col[chosen], self.weights[:, chosen])


def _place(
    position_px: NDArray[np.int64], stride: int, n_cells: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cell before each pixel along one axis, and how far towards the next one, in [0, 1]."""
    centre = ((position_px + 0.5) / stride - 0.5).clip(0, n_cells - 1)
    cell = np.minimum(centre.astype(np.int64), n_cells - 2)
    return cell, centre - cell


def _pieces(between: _Between, chosen: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Divide pixels until the box of cells around each part is small enough."""
    row, col = between.row[chosen], between.col[chosen]
    height, width = np.ptp(row) + 2, np.ptp(col) + 2
    if height * width <= MAX_CELLS:
        yield chosen
        return
    along = row if height >= width else col
    first = along <= (along.min() + along.max()) // 2
    yield from _pieces(between, chosen[first])
    yield from _pieces(between, chosen[~first])


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors along the first axis brought to length 1."""
    squares = np.einsum("d...,d...->...", vectors, vectors)
    units: NDArray[np.float64] = vectors / np.sqrt(squares.clip(TINY))
    return units


def _squared_length(
    cells: NDArray[np.float64],
    width: int,
    at: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) squared length of the means of four of ``cells`` (D, h * width), those ``at`` (4, n).

    |sum_i w_i f_i|^2 = sum_ij w_i w_j f_i . f_j: dot products of cells that are neighbours.
    """
    offsets = (0, 1, width, width + 1)
    products: dict[int, NDArray[np.float64]] = {}
    total: NDArray[np.float64] = np.zeros_like(weights[0])
    for i, j in combinations_with_replacement(range(4), 2):
        apart = offsets[j] - offsets[i]
        if apart not in products:
            n_pairs = cells.shape[1] - apart
            products[apart] = np.einsum("dn,dn->n", cells[:, :n_pairs], cells[:, apart:])
        total += (1 if i == j else 2) * weights[i] * weights[j] * products[apart][at[i]]
    return total
