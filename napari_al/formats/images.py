"""Picture files: their headers, their pixels, maps of ids.

Pixels come as they were meant, the same for every caller (`pillow_picture`, `tiff`); the header's
``notes`` say what is dropped or converted. Maps of ids come as they are stored. A file over
`MAX_PIXELS` or `MAX_BYTES` is refused from its header, before any pixel is decoded.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_al.errors import InputError
from napari_al.formats.pillow_picture import PILLOW_SUFFIXES, open_with_pillow, pillow_picture
from napari_al.formats.remote import fetch
from napari_al.formats.tiff import (
    TIFF_SUFFIXES,
    check_tiff_is_whole,
    stored_nodata,
    tiff_picture,
)
from napari_al.writing import new_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.pillow_picture import PillowPicture
    from napari_al.formats.tiff import Pages, Planes, TiffPicture

IMAGE_SUFFIXES = (*PILLOW_SUFFIXES, *TIFF_SUFFIXES)
ID_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""Of label images and masks, and `.zarr`; JPEG would change the ids."""

MAX_PIXELS = 8192 * 8192
"""Of one image that is read as a whole (`rasters` reads larger ones by parts): a model's
probabilities of every class for every pixel of more would not fit into memory."""
MAX_BYTES = 2**30
"""Of one decoded image (many channels)."""

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"

# What Pillow, tifffile and the decompressors are known to raise on damaged files.
DECODER_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its picture: size, channels as `read_image` gives them, pixel type.

    ``nodata`` is the value of pixels that hold nothing, where the file names one; ``notes`` say
    what of the file is left out; ``planes`` are the axes of a stack.
    """

    height: int
    width: int
    n_channels: int
    dtype: str
    nodata: float | None = None
    notes: tuple[str, ...] = ()
    planes: Planes = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


def read_header(path: Path, pages: Pages = "refuse") -> Header:
    """Read the header of a supported image, and see whether the file seems to be all there.

    Parameters
    ----------
    path : Path
    pages : {"refuse", "channels", "planes"}
        What pages of a TIFF are that do not say it.

    Raises
    ------
    InputError
        If it is no image that `read_image` reads, is a stack, too large or cut short.
    """
    try:
        check_file(path)
        if path.suffix.lower() in TIFF_SUFFIXES:
            header = _tiff_header(path, pages)
        else:
            header = _pillow_header(path)
            check_limits(path, header)
            if not _ends_well(path):
                read_image(path)  # odd, but mostly harmless: the decoder decides
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error
    check_limits(path, header)
    return header


def read_image(path: Path, pages: Pages = "refuse") -> NDArray[Any]:
    """Read a picture.

    Returns
    -------
    array (H, W, C), uint8, uint16 or float32
        Other whole numbers of a TIFF come as float32; floats may be NaN or infinite.

    Raises
    ------
    InputError
        As `read_header`, and for damaged pixels.
    """
    try:
        check_file(path)
        is_tiff = path.suffix.lower() in TIFF_SUFFIXES
        return _tiff_pixels(path, pages) if is_tiff else _pillow_pixels(path)
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error


def read_ids(path: Path) -> NDArray[Any]:
    """Read a map of class or object ids: one channel of whole numbers, or palette indices.

    Returns
    -------
    array (H, W), of an integer type

    Raises
    ------
    InputError
        Also for a colour picture or a JPEG, which hold no ids.
    """
    try:
        check_file(path)
        ids = _tiff_ids(path) if path.suffix.lower() in TIFF_SUFFIXES else _pillow_ids(path)
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error
    if ids.ndim == 3 and ids.shape[2] == 1:
        ids = ids[..., 0]
    if ids.ndim != 2:
        raise InputError(
            f"{path} is a colour picture, or has alpha; expected one channel that holds ids."
        )
    if ids.dtype == np.bool_:
        ids = ids.astype(np.uint8)
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{path} holds {ids.dtype} numbers; expected whole numbers (ids).")
    return ids


def nodata_of_ids(path: Path) -> int | None:
    """Return the value of pixels without data in a map of ids, by GDAL's tag; None without."""
    import tifffile

    if path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    with tifffile.TiffFile(path) as file:
        value = stored_nodata(file.series[0].keyframe)
    return int(value) if value is not None and value.is_integer() else None


def write_png(
    path: Path,
    ids: NDArray[np.uint8] | NDArray[np.uint16],
    palette: NDArray[np.uint8] | None = None,
) -> None:
    """Write a map of ids as PNG; a reader sees the old file or the whole new one.

    Parameters
    ----------
    ids : (H, W) uint8 or uint16
    palette : (256, 3) uint8, optional
        Colours that viewers show for the ids; the file then holds palette indices = ids.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written.
    """
    picture = Image.fromarray(np.ascontiguousarray(ids))
    if palette is not None:
        picture.putpalette(palette.tobytes())
    with new_file(path, durable=False) as part:
        picture.save(part, format="PNG")


# ---- checks


def is_too_large(header: Header) -> bool:
    """Whether a picture, or one plane of a stack, is not read as a whole."""
    return header.height * header.width > MAX_PIXELS or n_bytes(header) > MAX_BYTES


def n_bytes(header: Header) -> int:
    """Return the bytes of a picture's pixels, or of one plane of a stack."""
    n_values = header.height * header.width * header.n_channels
    return n_values * np.dtype(header.dtype).itemsize


def check_file(path: Path) -> None:
    """Raise an InputError unless it is a file that is not empty; have it fetched (`remote`)."""
    if not path.is_file():
        what = "is a link to nothing" if path.is_symlink() else "is not a file"
        raise InputError(f"{path} {what}.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is an empty file.")
    fetch(path)


def check_limits(path: Path, header: Header) -> None:
    """Raise an InputError unless it is a single picture that may be read as a whole."""
    if header.height * header.width == 0:
        raise InputError(f"{path} has no pixels.")
    if header.planes:
        raise InputError(f"{path} is a stack ({dict(header.planes)}); expected a single picture.")
    if is_too_large(header):
        raise InputError(
            f"{path} says that it is {header.width} x {header.height} pixels with "
            f"{header.n_channels} channels ({n_bytes(header) / 2**30:.1f} GiB); at most "
            f"{MAX_PIXELS:,} pixels and {MAX_BYTES / 2**30:.0f} GiB are read as a whole; save it "
            "as a tiled TIFF or as OME-Zarr."
        )


def cannot_read(path: Path, error: BaseException) -> InputError:
    """Return the error that says why a picture cannot be read."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return InputError(
            f"{path} says that it has more than the {MAX_PIXELS:,} pixels that are read as a "
            "whole; save it as a tiled TIFF or as OME-Zarr."
        )
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read (no permission).")
    return InputError(f"{path} is not a picture that can be read, or is damaged ({error}).")


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 12), os.SEEK_END)
        end = file.read()
    return end == _PNG_END or end.rstrip(b"\x00").endswith(_JPEG_END)


# ---- Pillow


def _pillow_header(path: Path) -> Header:
    with open_with_pillow(path) as file:
        return _header_of(pillow_picture(path, file))


def _pillow_pixels(path: Path) -> NDArray[Any]:
    with open_with_pillow(path) as file:
        picture = pillow_picture(path, file)
        check_limits(path, _header_of(picture))
        return picture.pixels()


def _pillow_ids(path: Path) -> NDArray[Any]:
    with open_with_pillow(path) as file:
        picture = pillow_picture(path, file)
        check_limits(path, _header_of(picture))
        return picture.ids()


def _header_of(picture: PillowPicture) -> Header:
    shape = picture.height, picture.width
    return Header(*shape, picture.n_channels, picture.dtype, notes=picture.notes)


# ---- TIFF


def _tiff_header(path: Path, pages: Pages) -> Header:
    import tifffile

    with tifffile.TiffFile(path) as file:
        picture = tiff_picture(path, file, pages)
        check_tiff_is_whole(path, file.series[0])
        return tiff_header(picture)


def tiff_header(picture: TiffPicture) -> Header:
    """Return what a file of several planes or of one says of its picture."""
    return Header(
        *picture.shape,
        picture.n_channels,
        picture.dtype.name,
        picture.nodata,
        picture.notes,
        picture.planes,
    )


def _tiff_pixels(path: Path, pages: Pages) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        picture = tiff_picture(path, file, pages)
        check_limits(path, _stored_header(picture))
        return picture.pixels(picture.samples(file.series[0].asarray()))


def _stored_header(picture: TiffPicture) -> Header:
    type_name = picture.stored_type.name
    return Header(*picture.shape, picture.n_samples, type_name, planes=picture.planes)


def _tiff_ids(path: Path) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        picture = tiff_picture(path, file)
        check_limits(path, _stored_header(picture))
        return picture.samples(file.series[0].asarray())
