"""Maps of pictures that were made part by part, put together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.in_place import squares
from napari_al.errors import InputError
from napari_al.formats.images import MAX_PIXELS
from napari_al.formats.parts.picture_parts import each_plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.parts.picture_parts import Part
    from napari_al.formats.tiff import Planes

    Plane = tuple[int, ...]

NONE = np.uint8(IGNORE)
"""What maps of classes have where there is none."""


@dataclass(frozen=True)
class Stitched:
    """A map of a picture, (H, W) a plane, mostly uint8, of which parts can be read.

    Attributes
    ----------
    shape : (int, int)
        H, W in pixels.
    planes : tuple of (str, int)
        Axes of a stack and their lengths; none of a single picture.
    read : callable
        ``read(rows, cols, plane)`` gives the (h, w) values of two slices with a start and a stop.
    """

    shape: tuple[int, int]
    planes: Planes
    read: Callable[[slice, slice, Plane], NDArray[Any]]

    @property
    def is_large(self) -> bool:
        """Whether a plane is not to be held in memory."""
        return self.shape[0] * self.shape[1] > MAX_PIXELS

    def whole(self, plane: Plane = ()) -> NDArray[Any]:
        """Return a plane.

        Raises
        ------
        InputError
            If it is too large.
        """
        height, width = self.shape
        if self.is_large:
            raise InputError(
                f"a map of {width} x {height} pixels is not written in this format; choose png (a "
                "TIFF in tiles for such a picture), geotiff or ngff"
            )
        return self.read(slice(0, height), slice(0, width), plane)

    def squares(self, side: int) -> Iterator[NDArray[Any]]:
        """Yield squares, cut off at the edges: plane by plane, row by row."""
        return (self.read(rows, cols, plane) for plane, rows, cols in self.places(side))

    def places(self, side: int) -> Iterator[tuple[Plane, slice, slice]]:
        """Yield the planes, rows and columns of these squares."""
        for plane in each_plane(self.planes):
            for rows, cols in squares(self.shape, side):
                yield plane, rows, cols


def single(values: NDArray[np.uint8] | Stitched) -> Stitched:
    """Return a map as one that parts are read of."""
    if isinstance(values, Stitched):
        return values
    return Stitched(values.shape, (), lambda rows, cols, _: values[rows, cols])


def stitched(
    parts: Iterable[Part],
    read_part: Callable[[Part], NDArray[Any]],
    missing: np.unsignedinteger = NONE,
) -> Stitched:
    """Put the maps of all parts of a picture together.

    Parameters
    ----------
    parts : iterable of Part
    read_part : callable
        Gives the map of a part; those of a row of blocks are kept.
    missing : unsigned number
        Where there is no part; of the maps' type.
    """
    of_plane: dict[Plane, list[Part]] = {}
    for part in parts:
        of_plane.setdefault(part.plane, []).append(part)
    first_cols = {part.cols.start for part in next(iter(of_plane.values()))}
    kept = lru_cache(maxsize=len(first_cols) + 1)(read_part)

    def read(rows: slice, cols: slice, plane: Plane) -> NDArray[Any]:
        out = np.full((rows.stop - rows.start, cols.stop - cols.start), missing)
        for part in of_plane.get(plane, ()):
            top, left, bottom, right = part.box
            first, last = max(top, rows.start), min(bottom, rows.stop)
            start, stop = max(left, cols.start), min(right, cols.stop)
            if first < last and start < stop:
                values = kept(part)[first - top : last - top, start - left : stop - left]
                out[
                    first - rows.start : last - rows.start, start - cols.start : stop - cols.start
                ] = values
        return out

    first = next(iter(of_plane.values()))[0]
    return Stitched(first.picture_shape, first.planes, read)
