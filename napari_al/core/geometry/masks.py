"""A region's pixels as run lengths: small enough to keep with every answer.

An answer that carries its own geometry can be replayed without the region map that asked it, so
a log stays valid when superpixels are cut anew, merged or split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Mask:
    """A set of pixels of one image.

    Attributes
    ----------
    box : tuple of int
        ``(row0, col0, row1, col1)``, half open, in pixels; the tightest box.
    runs : tuple of int
        Lengths of alternating runs inside the box, row by row, the first one outside the mask.
    """

    box: tuple[int, int, int, int]
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        row0, col0, row1, col1 = self.box
        if row0 < 0 or col0 < 0 or row1 <= row0 or col1 <= col0:
            raise InputError(f"mask: a box (row0, col0, row1, col1) was expected, got {self.box}")
        if min(self.runs, default=0) < 0 or sum(self.runs) != (row1 - row0) * (col1 - col0):
            raise InputError("mask: the run lengths do not fill the box; the record is damaged")

    @classmethod
    def from_array(cls, inside: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> Mask:
        """Encode a (H, W) bool array whose first pixel lies at ``origin`` (row, column)."""
        rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size == 0:
            raise InputError("mask: a region needs at least one pixel, got an empty one")
        row0, row1 = int(rows[0]), int(rows[-1]) + 1
        col0, col1 = int(cols[0]), int(cols[-1]) + 1
        flat = inside[row0:row1, col0:col1].ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        runs = np.diff(np.concatenate(([0], changes, [flat.size])))
        if flat[0]:
            runs = np.concatenate(([0], runs))
        dr, dc = origin
        return cls((row0 + dr, col0 + dc, row1 + dr, col1 + dc), tuple(runs.tolist()))

    def crop(self) -> NDArray[np.bool_]:
        """(height, width) bool array of the box."""
        row0, col0, row1, col1 = self.box
        values = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(values, self.runs).reshape(row1 - row0, col1 - col0)

    def to_array(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) bool array of the whole image."""
        row0, col0, row1, col1 = self.box
        if row1 > shape[0] or col1 > shape[1]:
            raise InputError(
                f"mask: the box {self.box} does not fit an image of {shape[0]}x{shape[1]} pixels; "
                "was the image replaced by one of another size?"
            )
        out = np.zeros(shape, bool)
        out[row0:row1, col0:col1] = self.crop()
        return out

    def view(self, image: NDArray[Scalar]) -> NDArray[Scalar]:
        """The box's part of a (H, W, ...) array: a view, to read or paint through."""
        row0, col0, row1, col1 = self.box
        if row1 > image.shape[0] or col1 > image.shape[1]:
            raise InputError(
                f"mask: the box {self.box} does not fit an image of {image.shape[0]}x"
                f"{image.shape[1]} pixels; was the image replaced by one of another size?"
            )
        return image[row0:row1, col0:col1]

    def holds(self, pixel_rc: tuple[int, int]) -> bool:
        """Whether a (row, column) of the image is in the mask."""
        row0, col0, row1, col1 = self.box
        row, col = pixel_rc
        if not (row0 <= row < row1 and col0 <= col < col1):
            return False
        position = (row - row0) * (col1 - col0) + col - col0
        run = np.searchsorted(np.cumsum(self.runs), position, side="right")
        return bool(run % 2)

    def central_pixel(self) -> tuple[int, int]:
        """(row, column) of the pixel nearest to the centre of mass; the first one on a tie."""
        pixels = np.argwhere(self.crop())
        distance = ((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1)
        row, col = pixels[distance.argmin()]
        return int(row) + self.box[0], int(col) + self.box[1]

    @property
    def size(self) -> int:
        """Number of pixels."""
        return sum(self.runs[1::2])
