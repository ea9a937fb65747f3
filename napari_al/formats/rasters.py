"""Pictures of any size, read by parts: also those too large to be read as a whole.

======================  ==========================================================================
what `images` reads     as a whole
TIFF over its limits    uncompressed: from the file; compressed or in tiles: by zarr (an extra)
OME-Zarr, a folder      of Zarr format 2 or 3, its largest resolution: by zarr
======================  ==========================================================================

As everywhere, a picture has rows, columns and channels; stacks are refused.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.images import (
    DECODER_ERRORS,
    IMAGE_SUFFIXES,
    MAX_BYTES,
    MAX_PIXELS,
    cannot_read,
    check_file,
    read_header,
    read_image,
)
from napari_al.formats.tiff import TIFF_SUFFIXES, check_tiff_is_whole, pixel_type, tiff_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.tiff import Pages

    Part = Callable[[tuple[int | slice, ...]], NDArray[Any]]

RASTER_SUFFIXES = (*IMAGE_SUFFIXES, ".zarr")
_UNITS = {
    "µm": "micrometer", "um": "micrometer", "micron": "micrometer", "microns": "micrometer",
    "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter", "Å": "angstrom",
    "pm": "picometer", "inch": "inch", "in": "inch",
}  # fmt: skip
"""NGFF's names of the units that TIFF files name."""
MAX_CHUNK_BYTES = 2**28
"""Of one compressed piece of a picture, which has to be unpacked as a whole."""


@dataclass(frozen=True)
class Raster:
    """A picture of which parts can be read while it is open.

    Attributes
    ----------
    shape : (int, int)
        H, W in pixels.
    n_channels : int
    dtype : str
        Of the pixels: ``"uint8"``, ``"uint16"`` or ``"float32"``.
    read : callable
        ``read(rows, cols)`` gives the (h, w, C) pixels of two slices with a start and a stop; an
        InputError if they are damaged.
    nodata : float or None
        Value of pixels that hold nothing, where the file names one.
    """

    shape: tuple[int, int]
    n_channels: int
    dtype: str
    read: Callable[[slice, slice], NDArray[Any]]
    nodata: float | None = None


@contextmanager
def open_raster(path: Path, pages: Pages = "refuse") -> Iterator[Raster]:
    """Open a picture for reading by parts; ``pages`` as of `read_image`.

    Raises
    ------
    InputError
        If it is none, is a stack, or cannot be read by parts and is too large as a whole.
    """
    with ExitStack() as stack:
        with _decoding(path):
            raster = _open(path, pages, stack)

        def read(rows: slice, cols: slice) -> NDArray[Any]:
            with _decoding(path):
                return raster.read(rows, cols)

        yield replace(raster, read=read)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error


def _open(path: Path, pages: Pages, stack: ExitStack) -> Raster:
    if path.suffix.lower() == ".zarr" or (path.is_dir() and path.parent.suffix.lower() == ".zarr"):
        return _open_ome_zarr(path)
    check_file(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        raster = _open_large_tiff(path, pages, stack)
        if raster is not None:
            return raster
    header = read_header(path, pages)
    whole = cache(partial(read_image, path, pages))
    return Raster(
        header.shape,
        header.n_channels,
        header.dtype,
        lambda rows, cols: whole()[rows, cols],
        header.nodata,
    )


# ---- size of a pixel


class PixelSize(NamedTuple):
    """Height and width of a pixel in a unit by NGFF's name (``"micrometer"``; None: not named)."""

    y: float
    x: float
    unit: str | None


def pixel_size(path: Path) -> PixelSize | None:
    """Return how large a pixel of OME-Zarr, OME-TIFF or ImageJ's TIFF is; None: not said.

    The resolution of other TIFFs is that of a printer, as a rule, and is passed over.
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            found = _size_of_tiff(path)
        elif ".zarr" in (path.suffix.lower(), path.parent.suffix.lower()):
            found = _size_of_zarr(path)
        else:
            return None
    except (*DECODER_ERRORS, LookupError, TypeError):  # damaged: the picture is worth more
        return None
    return found if found is not None and 0 < min(found[:2]) <= max(found[:2]) < np.inf else None


def _size_of_tiff(path: Path) -> PixelSize | None:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if file.ome_metadata:
            images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
            pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
            if "PhysicalSizeX" not in pixels or "PhysicalSizeY" not in pixels:
                return None
            unit = str(pixels.get("PhysicalSizeXUnit", "µm"))
            if pixels.get("PhysicalSizeYUnit", "µm") != unit:
                return None
            y, x = float(pixels["PhysicalSizeY"]), float(pixels["PhysicalSizeX"])
            return PixelSize(y, x, _UNITS.get(unit, unit))
        unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
        if unit not in _UNITS:
            return None
        per_x, per_y = file.pages.first.resolution
        return PixelSize(1 / per_y, 1 / per_x, _UNITS[unit])


def _size_of_zarr(path: Path) -> PixelSize | None:
    group = zarr_for(path).open_group(path, mode="r")
    picture = dict(group.attrs.get("ome", group.attrs))["multiscales"][0]
    axes = {axis["name"]: i for i, axis in enumerate(picture["axes"])}
    scale = np.ones(len(axes))
    for holder in (picture["datasets"][0], picture):
        for transform in holder.get("coordinateTransformations", ()):
            if transform["type"] == "scale":
                scale *= transform["scale"]
    y, x = scale[axes["y"]], scale[axes["x"]]
    units = {picture["axes"][axes[name]].get("unit") for name in "yx"}
    return PixelSize(float(y), float(x), units.pop() if len(units) == 1 else None)


# ---- TIFF


def _open_large_tiff(path: Path, pages: Pages, stack: ExitStack) -> Raster | None:
    """Open a TIFF by parts; None if it may be read as a whole."""
    import tifffile

    file = stack.enter_context(tifffile.TiffFile(path))
    series = file.series[0]
    picture = tiff_picture(path, file, pages)
    height, width = picture.shape
    if height * width <= MAX_PIXELS and series.nbytes <= MAX_BYTES:
        return None
    check_tiff_is_whole(path, series)
    if series.dataoffset is None:
        stored = zarr_for(path).open(series.aszarr(level=0), mode="r")
        part = _part_of_zarr(path, stored)
    else:
        dtype = series.dtype.newbyteorder(file.byteorder)

        def part(index: tuple[int | slice, ...]) -> NDArray[Any]:
            # mapped anew for each part: a map that stays fills the memory with all that was read
            mapped = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
            return np.array(mapped[index], series.dtype)

    def read(rows: slice, cols: slice) -> NDArray[Any]:
        index = _index(picture.roles, rows, cols, picture.n_samples)
        return picture.pixels(picture.samples(part(index)))

    raster = Raster(picture.shape, picture.n_channels, picture.dtype.name, read, picture.nodata)
    if series.dataoffset is None:
        return _with_whole_rows(raster, stored.chunks[picture.roles.index("x")])
    return raster


def _index(roles: str, rows: slice, cols: slice, n_samples: int) -> tuple[slice, ...]:
    """Return the part of a stored array; ``roles`` says of each axis: y, x, c or alone (-)."""
    of_role = {"y": rows, "x": cols, "c": slice(0, n_samples), "-": slice(0, 1)}
    return tuple(of_role[role] for role in roles)


# ---- Zarr


def _open_ome_zarr(path: Path) -> Raster:
    group = zarr_for(path).open_group(path, mode="r")
    attributes = dict(group.attrs.get("ome", group.attrs))
    if "multiscales" not in attributes:
        raise InputError(f"{path} is no OME-Zarr picture: its attributes name no multiscales.")
    picture = attributes["multiscales"][0]
    stored = group[picture["datasets"][0]["path"]]
    axes = picture.get("axes") or "tczyx"[-stored.ndim :]
    names = [axis if isinstance(axis, str) else axis["name"] for axis in axes]
    sizes = dict(zip(names, stored.shape, strict=True))
    alone = [name for name, size in sizes.items() if name not in ("y", "x", "c") and size == 1]
    if set(sizes) - {"y", "x", "c", *alone} or not {"y", "x"} <= set(sizes):
        raise InputError(
            f"{path} is a stack (axes {sizes}); expected one picture: rows, columns and channels."
        )
    roles = "".join("-" if name in alone else name for name in names)
    n_channels, dtype = sizes.get("c", 1), pixel_type(stored.dtype)
    part = _part_of_zarr(path, stored)
    kept = roles.replace("-", "")

    def read(rows: slice, cols: slice) -> NDArray[Any]:
        found = part(_index(roles, rows, cols, n_channels))
        found = found.squeeze(tuple(i for i, role in enumerate(roles) if role == "-"))
        if "c" not in kept:
            return np.ascontiguousarray(found.transpose(*map(kept.index, "yx"))[..., None], dtype)
        return np.ascontiguousarray(found.transpose(*map(kept.index, "yxc")), dtype)

    shape = (stored.shape[roles.index("y")], stored.shape[roles.index("x")])
    raster = Raster(shape, n_channels, dtype.name, read)
    return _with_whole_rows(raster, stored.chunks[roles.index("x")])


def _part_of_zarr(path: Path, stored: Any) -> Part:
    """Read an array of zarr's by parts, unless its pieces are too large."""
    chunk_bytes = int(np.prod(stored.chunks)) * stored.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise InputError(
            f"{path} is compressed in pieces of {chunk_bytes / 2**20:.0f} MiB; at most "
            f"{MAX_CHUNK_BYTES / 2**20:.0f} MiB are unpacked at a time. Save it in smaller tiles."
        )
    return lambda index: stored[index]


def _with_whole_rows(raster: Raster, chunk_width: int) -> Raster:
    """Read rows as a whole where the stored pieces are as wide: each is unpacked once."""
    width = raster.shape[1]
    if chunk_width < width:
        return raster

    @lru_cache(maxsize=1)
    def whole_rows(start: int, stop: int) -> NDArray[Any]:
        return raster.read(slice(start, stop), slice(0, width))

    return replace(raster, read=lambda rows, cols: whole_rows(rows.start, rows.stop)[:, cols])


def zarr_for(path: Path) -> Any:
    """Import zarr, or say that the file needs it."""
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            f"{path}: by parts it is read and written with zarr: pip install 'napari-al[zarr]'"
        ) from error
    return zarr
