"""Parts of pictures as images of a data folder: blocks of large pictures, planes of stacks.

What is asked, trained and scored is an image; one that is too large for that, or has several
planes, is listed as its parts, each an image of its own with a name that says where it lies:
``slide@y02048x00000``, ``stack@t0z03``, ``volume@z03y0000x2048``. What has to do with the picture
as a whole (reading, what a network sees around a block, files that go out) is told by `Part`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_al.formats.images import Header
    from napari_al.formats.tiff import Planes

BLOCK_PX = 2048
"""Side of a block: whole cells of most networks' maps."""
MIN_SHARE = 0.25
"""Least side of the last block along an axis; what is less joins the one before."""
MAX_PARTS = 100_000
"""Of one picture; a file that says it is larger is not to be believed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of one plane of a picture.

    Attributes
    ----------
    picture : str
        Name of the picture.
    picture_shape : (int, int)
        Its H, W in pixels.
    box : (int, int, int, int)
        First row and column, and those after the last.
    plane : tuple of int
        Index along each of the axes of a stack.
    planes : tuple of (str, int)
        These axes and their lengths.
    """

    picture: str
    picture_shape: tuple[int, int]
    box: tuple[int, int, int, int]
    plane: tuple[int, ...] = ()
    planes: tuple[tuple[str, int], ...] = ()

    @property
    def rows(self) -> slice:
        """Rows of the picture."""
        return slice(self.box[0], self.box[2])

    @property
    def cols(self) -> slice:
        """Columns of the picture."""
        return slice(self.box[1], self.box[3])

    @property
    def shape(self) -> tuple[int, int]:
        """H, W of the part in pixels."""
        top, left, bottom, right = self.box
        return bottom - top, right - left

    @property
    def is_block(self) -> bool:
        """Whether there is more of its plane around it."""
        return self.shape != self.picture_shape

    @property
    def name(self) -> str:
        """Of the part as an image; in the order of their names, parts come plane by plane."""
        if not self.is_block:
            return part_name(self.picture, self.planes, self.plane)
        axes = (*self.planes, *zip("yx", self.picture_shape, strict=True))
        return part_name(self.picture, axes, (*self.plane, *self.box[:2]))


def part_name(picture: str, axes: Planes, at: tuple[int, ...]) -> str:
    """Return the name of a part that begins at an index along each axis of a length."""
    digits = (len(str(length - 1)) for _, length in axes)
    indices = (f"{axis}{i:0{n}}" for (axis, _), i, n in zip(axes, at, digits, strict=True))
    return f"{picture}@{''.join(indices)}"


def by_picture(parts: Iterable[Part | None]) -> dict[str, list[Part]]:
    """Return parts by the name of their picture; None is passed over."""
    pictures: dict[str, list[Part]] = {}
    for part in parts:
        if part is not None:
            pictures.setdefault(part.picture, []).append(part)
    return pictures


def each_plane(planes: Planes) -> Iterator[tuple[int, ...]]:
    """Yield the planes of a stack in the order in which they are stored; one, (), without axes."""
    return product(*(range(length) for _, length in planes))


def is_cut(header: Header, block_px: int) -> bool:
    """Whether a picture is cut into blocks of a side: if it has over four times their pixels."""
    return header.height * header.width > 4 * block_px**2


def parts_of(picture: str, header: Header, block_px: int | None) -> list[Part]:
    """Return the parts that a picture is listed as; none if it is one image.

    Parameters
    ----------
    picture : str
        Its name.
    header : Header
    block_px : int, optional
        Side of a block; without it, no picture is cut into blocks (``is_cut``).

    Raises
    ------
    InputError
        If there are more than `MAX_PARTS`.
    """
    height, width = header.shape
    side = block_px if block_px is not None and is_cut(header, block_px) else None
    if side is None and not header.planes:
        return []
    n = math.prod(length for _, length in header.planes)
    if side is not None:
        n *= max(height // side, 1) * max(width // side, 1)
    if n > MAX_PARTS:
        raise InputError(
            f"{picture} says that it is {width} x {height} pixels, planes {dict(header.planes)}: "
            f"{n:,} parts; at most {MAX_PARTS:,} are read."
        )
    return [
        Part(picture, header.shape, (top, left, bottom, right), plane, header.planes)
        for plane in each_plane(header.planes)
        for top, bottom in _spans(height, side)
        for left, right in _spans(width, side)
    ]


def block_at(part: Part, pixel_rc: tuple[int, int], block_px: int) -> Part | None:
    """Return the block that holds a pixel of the plane that a block is of; None beyond that.

    Parameters
    ----------
    part : Part
        A block.
    pixel_rc : (int, int)
        Row and column, counted from the first pixel of the block.
    block_px : int
        Side of the picture's blocks.
    """
    spans = []
    for first, at, length in zip(part.box, pixel_rc, part.picture_shape, strict=False):
        found = (span for span in _spans(length, block_px) if span[0] <= first + at < span[1])
        spans.append(next(found, None))
    rows, cols = spans
    if rows is None or cols is None:
        return None
    return replace(part, box=(rows[0], cols[0], rows[1], cols[1]))


def _spans(length: int, side: int | None) -> Iterator[tuple[int, int]]:
    """Cut a length into sides of blocks; all but the last are equal."""
    step = length if side is None else side
    n = max(math.ceil(length / step - MIN_SHARE), 1)
    for i in range(n):
        yield i * step, length if i == n - 1 else (i + 1) * step
