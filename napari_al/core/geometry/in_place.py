"""A block of a larger picture, where it lies."""

from __future__ import annotations

from collections.abc import Callable
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
