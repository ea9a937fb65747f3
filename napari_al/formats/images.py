"""Picture files: their headers, their pixels, maps of ids.

Pixels come as they are stored, with three exceptions that are the same for every caller: alpha is
dropped; palettes, CMYK and YCbCr become RGB; and a JPEG is turned upright as its EXIF orientation
says, as labelling tools show it, so that labels have to fit the upright picture. (Orientation tags
of other formats are not looked at.)

Pillow reads JPEG, PNG and BMP, tifffile reads TIFF, and OpenCV the few kinds that neither does:
16-bit colour PNG and some compressed TIFF. A file over `MAX_PIXELS` or `MAX_BYTES` is refused from
its header, before any pixel is decoded.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from napari_al.errors import InputError
from napari_al.writing import new_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
ID_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""Of label images and masks; JPEG would change the ids."""

MAX_PIXELS = 8192 * 8192
"""Of one image that is read as a whole (`rasters` reads larger ones by parts): a model's
probabilities of every class for every pixel of more would not fit into memory."""
MAX_BYTES = 2**30
"""Of one decoded image (many channels)."""

TIFF_SUFFIXES = (".tif", ".tiff")
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP")
_EXIF_ORIENTATION = 0x0112
_TRANSPOSING = (5, 6, 7, 8)
_GREY_MODES = {"1": "uint8", "L": "uint8", "LA": "uint8", "La": "uint8", "I": "uint16"}
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
    """What a file says of its picture: size, channels as `read_image` gives them, pixel type."""

    height: int
    width: int
    n_channels: int
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


def read_header(path: Path) -> Header:
    """Read the header of a supported image, and see whether the file seems to be all there.

    Raises
    ------
    InputError
        If it is no image that `read_image` reads, is too large or is cut short.
    """
    try:
        check_file(path)
        if path.suffix.lower() in TIFF_SUFFIXES:
            header = _tiff_header(path)
        else:
            header = _pillow_header(path)
            _check_limits(path, header)
            if not _ends_well(path):
                read_image(path)  # odd, but mostly harmless: the decoder decides
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error
    _check_limits(path, header)
    return header


def read_image(path: Path) -> NDArray[Any]:
    """Read a picture.

    Returns
    -------
    array (H, W, C), uint8, uint16 or float32
        Other whole numbers of a TIFF come as float32.

    Raises
    ------
    InputError
        As `read_header`, and for damaged pixels or a float that is not finite.
    """
    try:
        check_file(path)
        is_tiff = path.suffix.lower() in TIFF_SUFFIXES
        pixels = _tiff_pixels(path) if is_tiff else _pillow_pixels(path)
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise InputError(f"{path} has pixels that are not finite numbers (NaN or infinity).")
    return pixels


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
        if path.suffix.lower() in TIFF_SUFFIXES:
            ids, _ = _tiff_raw(path)
        else:
            with Image.open(path, formats=_PILLOW_FORMATS) as picture:
                _check_limits(path, Header(picture.height, picture.width, 1, "int32"))
                if picture.format in ("JPEG", "MPO"):
                    raise InputError(f"{path} is a JPEG, which changes ids; save it as PNG.")
                ids = np.asarray(picture)
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error
    if ids.ndim == 3 and ids.shape[2] == 1:
        ids = ids[..., 0]
    if ids.ndim != 2:
        raise InputError(f"{path} is a colour picture; expected one channel that holds ids.")
    if ids.dtype == np.bool_:
        ids = ids.astype(np.uint8)
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{path} holds {ids.dtype} numbers; expected whole numbers (ids).")
    return ids


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


def check_file(path: Path) -> None:
    """Raise an InputError unless it is a file that is not empty."""
    if not path.is_file():
        what = "is a link to nothing" if path.is_symlink() else "is not a file"
        raise InputError(f"{path} {what}.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is an empty file.")


def _check_limits(path: Path, header: Header) -> None:
    n_pixels = header.height * header.width
    n_bytes = n_pixels * header.n_channels * np.dtype(header.dtype).itemsize
    if n_pixels == 0:
        raise InputError(f"{path} has no pixels.")
    if n_pixels > MAX_PIXELS or n_bytes > MAX_BYTES:
        raise InputError(
            f"{path} says that it is {header.width} x {header.height} pixels with "
            f"{header.n_channels} channels ({n_bytes / 2**30:.1f} GiB); at most {MAX_PIXELS:,} "
            f"pixels and {MAX_BYTES / 2**30:.0f} GiB are read. Cut it into tiles."
        )


def cannot_read(path: Path, error: BaseException) -> InputError:
    """Return the error that says why a picture cannot be read."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return InputError(
            f"{path} says that it has more than the {MAX_PIXELS:,} pixels that are read. "
            "Cut it into tiles."
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
    with Image.open(path, formats=_PILLOW_FORMATS) as picture:
        width, height = picture.size
        if _orientation(picture) in _TRANSPOSING:
            width, height = height, width
        if picture.mode.startswith("I;16"):
            return Header(height, width, 1, "uint16")
        if picture.mode in _GREY_MODES:
            return Header(height, width, 1, _GREY_MODES[picture.mode])
        return Header(height, width, 3, "uint16" if _is_16_bit_colour(path) else "uint8")


def _pillow_pixels(path: Path) -> NDArray[Any]:
    with Image.open(path, formats=_PILLOW_FORMATS) as picture:
        _check_limits(path, Header(picture.height, picture.width, 3, "uint8"))
        if picture.mode.startswith("I"):
            return np.asarray(picture).astype(np.uint16)[..., None]
        if _is_16_bit_colour(path):
            return _opencv_pixels(path)[..., :3]
        upright = ImageOps.exif_transpose(picture) if _orientation(picture) > 1 else picture
        if picture.mode in _GREY_MODES:
            return np.array(upright.convert("L"))[..., None]
        return np.array(upright.convert("RGB"))


def _orientation(picture: Image.Image) -> int:
    if picture.format not in ("JPEG", "MPO"):
        return 1
    found = picture.getexif().get(_EXIF_ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def _is_16_bit_colour(path: Path) -> bool:
    """Whether it is a PNG of 16 bits and several channels, which Pillow would cut to 8 bits."""
    with path.open("rb") as file:
        start = file.read(26)
    return start.startswith(b"\x89PNG") and start[24] == 16 and start[25] != 0


# ---- tifffile


def _tiff_header(path: Path) -> Header:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sizes, at = tiff_layout(path, series)
        check_tiff_is_whole(path, series.keyframe)
        n_channels = sizes.pop(at) - n_alpha_of(series.keyframe)
        return Header(sizes[0], sizes[1], n_channels, _pixel_type(series.dtype).name)


def _tiff_pixels(path: Path) -> NDArray[Any]:
    pixels, n_alpha = _tiff_raw(path)
    return in_pixel_type(pixels[..., : pixels.shape[2] - n_alpha])


def _tiff_raw(path: Path) -> tuple[NDArray[Any], int]:
    """Return the pixels (H, W, C) as they are stored, and how many last channels are alpha."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sizes, at = tiff_layout(path, series)
        height, width = sizes[:at] + sizes[at + 1 :]
        _check_limits(path, Header(height, width, sizes[at], series.dtype.name))
        n_alpha = n_alpha_of(series.keyframe)
        try:
            pixels = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return _opencv_pixels(path), n_alpha  # a compression that tifffile cannot undo alone
        return np.moveaxis(pixels.reshape(sizes), at, -1), n_alpha


def tiff_layout(path: Path, series: Any) -> tuple[list[int], int]:
    """Return the sizes of the three axes of a TIFF, and which of them is the channels.

    Pages without a name for their axis are channels; or, where the picture's last side is the
    shortest, rows: that is how an (H, W, C) array is written unless its writer says that C are
    samples.
    """
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    axes = "".join(axis for axis, _ in kept)
    sizes = [size for _, size in kept]
    if axes == "YX":
        return [*sizes, 1], 2
    if len(axes) != 3 or set(axes) - set("YXSCQI") or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"{path} is a stack (axes {series.axes}, sizes {series.shape}); expected one picture: "
            "rows, columns and channels. Save each slice as its own file."
        )
    at = next(i for i, axis in enumerate(axes) if axis not in "YX")
    if axes[at] in "QI" and sizes[2] < sizes[0]:
        at = 2
    return sizes, at


def check_tiff_is_whole(path: Path, page: Any) -> None:
    """Find out whether the file has all the bytes that a page refers to."""
    ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if max(ends, default=0) > path.stat().st_size:
        raise InputError(f"{path} is cut short: its last rows are missing.")


def n_alpha_of(page: Any) -> int:
    """Return how many of a page's last samples are alpha: of RGB at most one, else none."""
    is_rgb = page.photometric is not None and page.photometric.name == "RGB"
    return int(is_rgb and page.samplesperpixel == 4)


def in_pixel_type(stored: NDArray[Any]) -> NDArray[Any]:
    """Return pixels in the type in which they are handed out; a bilevel picture is 0 and 255."""
    if stored.dtype == np.bool_:
        return stored.astype(np.uint8) * np.uint8(255)
    return np.ascontiguousarray(stored, dtype=_pixel_type(stored.dtype))


def _pixel_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which pixels of a stored type are handed out."""
    if stored == np.bool_ or stored == np.uint8:
        return np.dtype(np.uint8)
    if stored == np.uint16:
        return np.dtype(np.uint16)
    if stored.kind in "iuf":
        return np.dtype(np.float32)
    raise InputError(f"pixels of type {stored} cannot be used; expected whole numbers or floats")


# ---- OpenCV


def _opencv_pixels(path: Path) -> NDArray[Any]:
    """Return the pixels (H, W, C) as they are stored, in RGB order."""
    from napari_al.core.opencv import cv2  # only here: opening napari does not load it

    coded = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        pixels = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError(f"{path} is damaged ({error.err}).") from error
    if pixels is None:
        raise InputError(f"{path} is not a picture that can be read, or is damaged.")
    pixels = np.asarray(pixels).reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] in (3, 4):
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels
