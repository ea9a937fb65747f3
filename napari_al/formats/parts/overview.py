"""A large picture as a whole, small: what is shown behind its blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_al.formats.images import is_too_large
from napari_al.formats.parts.rasters import (
    is_zarr,
    ngff_levels,
    open_raster,
    plane_index,
)
from napari_al.formats.tiff import TIFF_SUFFIXES, tiff_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.formats.parts.picture_parts import Part
    from napari_al.formats.tiff import Pages

MAX_SIDE = 4096
"""Of an overview, in pixels."""


def overview_of(data: DataFolder, name: str) -> NDArray[Any] | None:
    """Return the plane that a block is a part of, (h, w, C) by the rules, with sides up to 4096.

    The largest such resolution of a pyramid (OME-Zarr, TIFF); else, of a picture that is not too
    large to be read as a whole, every so many pixels; else None.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    part = data.part(name)
    if part is None or not part.is_block:
        return None
    path = data.files(name)["images"]
    pixels = _of_pyramid(path, part, data.rules.pages)
    if pixels is None:
        with open_raster(path, data.rules.pages) as raster:
            if is_too_large(raster.header):
                return None
            height, width = part.picture_shape
            pixels = raster.read(slice(0, height), slice(0, width), part.plane)
        step = -(-max(part.picture_shape) // MAX_SIDE)
        pixels = pixels[step // 2 :: step, step // 2 :: step]
    return data.rules.fitted(pixels)


def _of_pyramid(path: Path, part: Part, pages: Pages) -> NDArray[Any] | None:
    if is_zarr(path):
        for level in range(1, ngff_levels(path)):
            with open_raster(path, level=level) as raster:
                height, width = raster.shape
                if max(height, width) <= MAX_SIDE:
                    return raster.read(slice(0, height), slice(0, width), part.plane)
    elif path.suffix.lower() in TIFF_SUFFIXES:
        return _of_tiff(path, part, pages)
    return None


def _of_tiff(path: Path, part: Part, pages: Pages) -> NDArray[Any] | None:
    import tifffile

    with tifffile.TiffFile(path) as file:
        picture = tiff_picture(path, file, pages)
        for level in file.series[0].levels[1:]:
            if len(level.shape) != len(picture.roles):
                continue
            small = replace(picture, stored_shape=tuple(level.shape))
            height, width = small.shape
            if max(height, width) <= MAX_SIDE:
                rows, cols = slice(0, height), slice(0, width)
                index = plane_index(small.roles, rows, cols, small.n_samples, part.plane)
                return small.pixels(small.samples(level.asarray()[index]))
    return None
