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
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.images import (
    DECODER_ERRORS,
    IMAGE_SUFFIXES,
    MAX_BYTES,
    MAX_PIXELS,
    TIFF_SUFFIXES,
    cannot_read,
    check_file,
    check_tiff_is_whole,
    in_pixel_type,
    n_alpha_of,
    read_header,
    read_image,
    tiff_layout,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Part = Callable[[tuple[int | slice, ...]], NDArray[Any]]

RASTER_SUFFIXES = (*IMAGE_SUFFIXES, ".zarr")
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
    read : callable
        ``read(rows, cols)`` gives the (h, w, C) pixels of two slices with a start and a stop, in
        the types of ``read_image``; an InputError if they are damaged.
    """

    shape: tuple[int, int]
    n_channels: int
    read: Callable[[slice, slice], NDArray[Any]]


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """Open a picture for reading by parts.

    Raises
    ------
    InputError
        If it is none, is a stack, or cannot be read by parts and is too large as a whole.
    """
    with ExitStack() as stack:
        with _decoding(path):
            raster = _open(path, stack)

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


def _open(path: Path, stack: ExitStack) -> Raster:
    if path.suffix.lower() == ".zarr" or (path.is_dir() and path.parent.suffix.lower() == ".zarr"):
        return _open_ome_zarr(path)
    check_file(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        raster = _open_large_tiff(path, stack)
        if raster is not None:
            return raster
    header = read_header(path)
    whole = cache(partial(read_image, path))
    return Raster(header.shape, header.n_channels, lambda rows, cols: whole()[rows, cols])


def _raster(part: Part, roles: str, shape: tuple[int, ...], n_channels: int) -> Raster:
    """Make the raster of an array: ``roles`` says of each axis whether it is y, x, c or alone."""

    def read(rows: slice, cols: slice) -> NDArray[Any]:
        of_role: dict[str, int | slice] = {"y": rows, "x": cols, "c": slice(0, n_channels), "-": 0}
        pixels = in_pixel_type(part(tuple(of_role[role] for role in roles)))
        kept = roles.replace("-", "")
        if "c" not in kept:
            kept, pixels = kept + "c", pixels[..., None]
        return pixels.transpose([kept.index(role) for role in "yxc"])

    return Raster((shape[roles.index("y")], shape[roles.index("x")]), n_channels, read)


# ---- TIFF


def _open_large_tiff(path: Path, stack: ExitStack) -> Raster | None:
    """Open a TIFF by parts; None if it may be read as a whole."""
    import tifffile

    file = stack.enter_context(tifffile.TiffFile(path))
    series = file.series[0]
    sizes, at = tiff_layout(path, series)
    height, width = sizes[:at] + sizes[at + 1 :]
    if height * width <= MAX_PIXELS and series.nbytes <= MAX_BYTES:
        return None
    check_tiff_is_whole(path, series.keyframe)
    roles = _tiff_roles(series, at)
    n_channels = sizes[at] - n_alpha_of(series.keyframe)
    if series.dataoffset is None:
        stored = zarr_for(path).open(series.aszarr(level=0), mode="r")
        return _of_zarr(path, stored, roles, n_channels)
    dtype = series.dtype.newbyteorder(file.byteorder)

    def part(index: tuple[int | slice, ...]) -> NDArray[Any]:
        # mapped anew for each part: a map that stays fills the memory with all that was read
        mapped = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
        return np.array(mapped[index], series.dtype)

    return _raster(part, roles, series.shape, n_channels)


def _tiff_roles(series: Any, channels_at: int) -> str:
    """What each axis of a TIFF's array is; ``channels_at`` as `tiff_layout` gives it."""
    names = iter("yx"[:channels_at] + "c" + "yx"[channels_at:])
    axes = zip(series.axes, series.shape, strict=True)
    return "".join(next(names) if size > 1 or axis in "YX" else "-" for axis, size in axes)


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
    return _of_zarr(path, stored, roles, sizes.get("c", 1))


def _of_zarr(path: Path, stored: Any, roles: str, n_channels: int) -> Raster:
    """Read an array of zarr's by parts."""
    chunk_bytes = int(np.prod(stored.chunks)) * stored.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise InputError(
            f"{path} is compressed in pieces of {chunk_bytes / 2**20:.0f} MiB; at most "
            f"{MAX_CHUNK_BYTES / 2**20:.0f} MiB are unpacked at a time. Save it in smaller tiles."
        )
    raster = _raster(lambda index: stored[index], roles, stored.shape, n_channels)
    width = raster.shape[1]
    if stored.chunks[roles.index("x")] < width:
        return raster

    @lru_cache(maxsize=1)  # its pieces go over the whole width: unpack each once, not for each tile
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
