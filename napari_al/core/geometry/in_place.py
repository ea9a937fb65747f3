"""A block of a larger picture, where it lies, and the squares that a picture is cut into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from numpy.typing import NDArray

Read = Callable[[slice, slice], NDArray[Any]]
"""Gives the (h, w, C) pixels of rows and columns of a picture, in the units of its file."""


class InPlace(NamedTuple):
    """A block that can be read with what lies around it.

    ``picture_shape`` is the H, W of the picture in pixels, ``rows`` and ``cols`` are the block's.
    """

    read: Read
    picture_shape: tuple[int, int]
    rows: slice
    cols: slice


def squares(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of squares, cut off at the right and lower edge, row by row."""
    height, width = shape
    for top, left in product(range(0, height, side), range(0, width, side)):
        yield slice(top, min(top + side, height)), slice(left, min(left + side, width))
