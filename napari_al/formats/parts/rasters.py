"""Pictures of any size, and stacks of them, read by parts.

======================  ==========================================================================
what `images` reads     as a whole; the last one is kept
TIFF over its limits,   uncompressed: from the file; else page by page, or, where a page is over
stacks of TIFF          the limits, by zarr (an extra)
OME-Zarr, a folder      of Zarr format 2 or 3, its largest resolution: by zarr
======================  ==========================================================================

A picture has rows, columns and channels; a stack has planes besides, along time or z.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.images import (
    DECODER_ERRORS,
    IMAGE_SUFFIXES,
    Header,
    cannot_read,
    check_file,
    check_limits,
    is_too_large,
    read_header,
    read_ids,
    read_image,
    tiff_header,
)
from napari_al.formats.remote import fetch_folder
from napari_al.formats.tiff import (
    TIFF_SUFFIXES,
    check_tiff_is_whole,
    pixel_type,
    tiff_picture,
    type_notes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.tiff import Pages, Planes

    Plane = tuple[int, ...]
    Part = Callable[[tuple[slice, ...]], NDArray[Any]]
    """Reads a part of a stored array: a slice with start and stop for each of its axes."""

RASTER_SUFFIXES = (*IMAGE_SUFFIXES, ".zarr")
MAX_CHUNK_BYTES = 2**28
"""Of one compressed piece of a picture, which has to be unpacked as a whole."""


@dataclass(frozen=True)
class Raster:
    """A picture of which parts can be read while it is open.

    Attributes
    ----------
    header : Header
    read : callable
        ``read(rows, cols, plane)`` gives the (h, w, C) pixels of two slices with a start and a
        stop; of a stack, those of the plane at an index along each of ``planes``. An InputError if
        they are damaged.
    """

    header: Header
    read: Callable[..., NDArray[Any]]

    @property
    def shape(self) -> tuple[int, int]:
        """H, W in pixels."""
        return self.header.shape

    @property
    def n_channels(self) -> int:
        """Of the picture."""
        return self.header.n_channels

    @property
    def dtype(self) -> str:
        """Of the pixels: ``"uint8"``, ``"uint16"`` or ``"float32"``; of ids: as stored."""
        return self.header.dtype

    @property
    def planes(self) -> Planes:
        """Axes of a stack and their lengths; none of a single picture."""
        return self.header.planes


@contextmanager
def open_raster(
    path: Path, pages: Pages = "refuse", *, ids: bool = False, level: int = 0
) -> Iterator[Raster]:
    """Open a picture for reading by parts.

    Parameters
    ----------
    path : Path
    pages : {"refuse", "channels", "planes"}
        As of `read_image`.
    ids : bool
        Read ids as they are stored (`read_ids`), one channel, instead of pixels.
    level : int
        Of OME-Zarr: which of its resolutions, the largest being 0.

    Raises
    ------
    InputError
        If it is none, or cannot be read by parts and is too large as a whole.
    """
    with ExitStack() as stack:
        with _decoding(path):
            raster = (
                _open_zarr(path, ids, level) if is_zarr(path) else _open(path, pages, ids, stack)
            )

        def read(rows: slice, cols: slice, plane: Plane = ()) -> NDArray[Any]:
            with _decoding(path):
                return raster.read(rows, cols, plane)

        yield replace(raster, read=read)


def read_whole(path: Path, pages: Pages = "refuse") -> NDArray[Any]:
    """Read a picture as `read_image` does, also of OME-Zarr."""
    return _whole_of_zarr(path, ids=False) if is_zarr(path) else read_image(path, pages)


def read_whole_ids(path: Path) -> NDArray[Any]:
    """Read a map of ids as `read_ids` does, also of OME-Zarr."""
    return _whole_of_zarr(path, ids=True)[..., 0] if is_zarr(path) else read_ids(path)


def _whole_of_zarr(path: Path, *, ids: bool) -> NDArray[Any]:
    with open_raster(path, ids=ids) as raster:
        check_limits(path, raster.header)
        return raster.read(*(slice(0, length) for length in raster.shape))


def raster_header(path: Path, pages: Pages = "refuse") -> Header:
    """Read what a file says of its picture, of any size, or of its stack.

    Raises
    ------
    InputError
        As of `open_raster`.
    """
    if not is_zarr(path):
        try:
            return read_header(path, pages)
        except InputError:  # also of what only `open_raster` reads: stacks and large pictures
            if path.suffix.lower() not in TIFF_SUFFIXES:
                raise
    with open_raster(path, pages) as raster:
        return raster.header


def is_zarr(path: Path) -> bool:
    """Whether a path is of a Zarr folder or of a picture in one."""
    return path.suffix.lower() == ".zarr" or (
        path.parent.suffix.lower() == ".zarr" and path.is_dir()
    )


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error


def _open(path: Path, pages: Pages, ids: bool, stack: ExitStack) -> Raster:
    check_file(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        raster = _open_tiff(path, pages, ids, stack)
        if raster is not None:
            return raster
    whole = partial(_whole, path, path.stat().st_mtime_ns, pages, ids)
    if ids:
        found = whole()
        header = Header(found.shape[0], found.shape[1], 1, found.dtype.name)
    else:
        header = read_header(path, pages)
    return Raster(header, lambda rows, cols, _: whole()[rows, cols].copy())


@lru_cache(maxsize=1)
def _whole(path: Path, _time_ns: int, pages: Pages, ids: bool) -> NDArray[Any]:
    """Read what is wanted part by part, but can only be decoded as a whole."""
    return read_ids(path)[..., None] if ids else read_image(path, pages)


# ---- TIFF


def _open_tiff(path: Path, pages: Pages, ids: bool, stack: ExitStack) -> Raster | None:
    """Open a TIFF by parts; None if it is read as a whole."""
    import tifffile

    file = stack.enter_context(tifffile.TiffFile(path))
    series = file.series[0]
    picture = tiff_picture(path, file, pages)
    header = tiff_header(picture)
    too_large = is_too_large(header)
    if not too_large and not header.planes:
        return None
    check_tiff_is_whole(path, series)
    by_zarr = series.dataoffset is None and too_large
    if by_zarr:
        stored = zarr_for(path).open(series.aszarr(level=0), mode="r")
        part = _part_of_zarr(path, stored)
    elif series.dataoffset is None:
        part = _part_of_pages(series)
    else:
        dtype = series.dtype.newbyteorder(file.byteorder)

        def part(index: tuple[slice, ...]) -> NDArray[Any]:
            # mapped anew for each part: a map that stays fills the memory with all that was read
            mapped = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
            return np.array(mapped[index], series.dtype)

    def read(rows: slice, cols: slice, plane: Plane) -> NDArray[Any]:
        found = part(plane_index(picture.roles, rows, cols, picture.n_samples, plane))
        samples = picture.samples(found)
        return samples if ids else picture.pixels(samples)

    if ids:
        header = _of_ids(path, header, series.dtype, picture.n_samples)
    raster = Raster(header, read)
    return _with_whole_rows(raster, stored.chunks[picture.roles.index("x")]) if by_zarr else raster


def _part_of_pages(series: Any) -> Part:
    """Read a stack whose pages are compressed: those that a part lies in, each as a whole."""
    n_leading = len(series.shape) - len(series.keyframe.shape)
    leading = series.shape[:n_leading]
    numbers = np.arange(int(np.prod(leading))).reshape(leading)

    def part(index: tuple[slice, ...]) -> NDArray[Any]:
        chosen = numbers[index[:n_leading]]
        found = np.stack([series.pages[int(i)].asarray() for i in chosen.ravel()])
        shaped = found.reshape(*chosen.shape, *found.shape[1:])
        return np.asarray(shaped[tuple([slice(None)] * n_leading + [*index[n_leading:]])])

    return part


def plane_index(
    roles: str, rows: slice, cols: slice, n_samples: int, plane: Plane
) -> tuple[slice, ...]:
    """Return the part of a stored array; ``roles`` of its axes: y, x, c, t, z or alone (-)."""
    of_role = {"y": rows, "x": cols, "c": slice(0, n_samples), "-": slice(0, 1)}
    at = iter(plane)
    return tuple(
        of_role[role] if role in of_role else slice((i := next(at)), i + 1) for role in roles
    )


def _of_ids(path: Path, header: Header, dtype: np.dtype[Any], n_samples: int) -> Header:
    """Return the header of stored ids."""
    if n_samples != 1 or dtype.kind not in "uib":
        raise InputError(
            f"{path} holds {n_samples} channels of {dtype}; expected one of whole numbers (ids)."
        )
    return replace(header, n_channels=1, dtype=dtype.name)


# ---- Zarr


def _open_zarr(path: Path, ids: bool, level: int) -> Raster:
    group, picture = ngff_picture(path)
    stored = group[picture["datasets"][level]["path"]]
    names = ngff_axes(picture, stored.ndim)
    sizes = dict(zip(names, stored.shape, strict=True))
    others = [name for name, size in sizes.items() if name not in "yxctz" and size > 1]
    if others or not {"y", "x"} <= set(sizes):
        raise InputError(
            f"{path} has the axes {sizes}; expected rows, columns and channels, and z and time of "
            "a stack."
        )
    roles = "".join("-" if n not in "yxc" and size == 1 else n for n, size in sizes.items())
    planes = tuple((name, size) for name, size in sizes.items() if name in roles and name in "tz")
    n_channels, dtype = sizes.get("c", 1), stored.dtype if ids else pixel_type(stored.dtype)
    notes = () if ids else type_notes(stored.dtype)
    header = Header(sizes["y"], sizes["x"], n_channels, dtype.name, notes=notes, planes=planes)
    if ids:
        header = _of_ids(path, header, stored.dtype, n_channels)
    part = _part_of_zarr(path, stored)
    kept = "".join(role for role in roles if role in "yxc")
    dropped = tuple(i for i, role in enumerate(roles) if role not in kept)

    def read(rows: slice, cols: slice, plane: Plane) -> NDArray[Any]:
        found = part(plane_index(roles, rows, cols, n_channels, plane)).squeeze(dropped)
        if "c" not in kept:
            return np.ascontiguousarray(found.transpose(*map(kept.index, "yx"))[..., None], dtype)
        return np.ascontiguousarray(found.transpose(*map(kept.index, "yxc")), dtype)

    return _with_whole_rows(Raster(header, read), stored.chunks[roles.index("x")])


def ngff_picture(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the group of an OME-Zarr picture and what it says of it (the first "multiscales").

    Raises
    ------
    InputError
        If there is none, or a folder of bioformats2raw holds several: each is to be named.
    """
    fetch_folder(path)
    group = zarr_for(path).open_group(path, mode="r")
    attributes = dict(group.attrs.get("ome", group.attrs))
    if "bioformats2raw.layout" in attributes and "multiscales" not in attributes:
        series = sorted((name for name in group.group_keys() if name.isdecimal()), key=int)
        if len(series) > 1:
            raise InputError(
                f"{path} holds {len(series)} pictures ({', '.join(series)}); name one of them: "
                f"{path / series[0]}, or a link to it whose name ends in .zarr."
            )
        if series:
            group = group[series[0]]
            attributes = dict(group.attrs.get("ome", group.attrs))
    if "multiscales" not in attributes:
        raise InputError(f"{path} is no OME-Zarr picture: its attributes name no multiscales.")
    return group, attributes["multiscales"][0]


def ngff_levels(path: Path) -> int:
    """Return how many resolutions an OME-Zarr has."""
    return len(ngff_picture(path)[1]["datasets"])


def ngff_axes(picture: dict[str, Any], n_axes: int) -> list[str]:
    """Return the names of an OME-Zarr picture's axes, as stored."""
    axes = picture.get("axes") or "tczyx"[-n_axes:]
    return [axis if isinstance(axis, str) else axis["name"] for axis in axes]


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
    def whole_rows(start: int, stop: int, plane: Plane) -> NDArray[Any]:
        return raster.read(slice(start, stop), slice(0, width), plane)

    return replace(
        raster,
        read=lambda rows, cols, plane: whole_rows(rows.start, rows.stop, plane)[:, cols],
    )


def zarr_for(path: Path) -> Any:
    """Import zarr, or say that the file needs it."""
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            f"{path}: by parts it is read and written with zarr: pip install 'napari-al[zarr]'"
        ) from error
    return zarr
