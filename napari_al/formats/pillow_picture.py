"""What Pillow reads: JPEG, PNG, BMP, WebP and, where its codec is there, JPEG 2000.

Pixels come as they were meant: alpha is dropped; palettes, CMYK and YCbCr become RGB; 1, 2 or 4
bits a sample are spread over 0 to 255; and a JPEG is turned upright as its EXIF orientation says,
as labelling tools show it. (Orientation tags of other formats are not applied.) Colours of more
than 8 bits, which Pillow would cut to 8, are decoded by imagecodecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, features

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_OF_CODECS = {".webp": "webp", ".jp2": "jpg_2000"}
PILLOW_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp",
    *(suffix for suffix, codec in _OF_CODECS.items() if features.check(codec)),
)  # fmt: skip
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "JPEG2000")
_EXIF_ORIENTATION = 0x0112
_TRANSPOSING = (5, 6, 7, 8)
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_UPRIGHT = ("JPEG", "MPO")
"""Formats that are turned by their orientation."""
_PNG, _JPEG_2000_CODES = b"\x89PNG", b"\xff\x4f\xff\x51"
_N_START = 512
"""Bytes in which the number of bits is."""

PALETTE_NOTE = "the palette is read as RGB"
CMYK_NOTE = "CMYK is read as RGB"
ORIENTATION_NOTE = "the orientation tag is not applied"
SEVERAL_NOTE = "of several pictures in a file the first is read"


@dataclass(frozen=True, eq=False)
class PillowPicture:
    """An open file, and what it says of its picture, upright.

    Attributes
    ----------
    file : PIL.Image.Image
    path : Path
    height, width : int
    n_channels : int
    dtype : str
    bits : int
        Of a sample; 0 where that is not looked at.
    notes : tuple of str
        What of the file is left out or converted, without its name.
    """

    file: Image.Image
    path: Path
    height: int
    width: int
    n_channels: int
    dtype: str
    bits: int
    notes: tuple[str, ...]

    def pixels(self) -> NDArray[Any]:
        """Return the (H, W, C) pixels."""
        if self.bits > 8:
            return _deep_pixels(self.path)[..., : self.n_channels]
        if self.file.mode.startswith("I"):
            return np.asarray(self.file).astype(np.uint16)[..., None]
        upright = ImageOps.exif_transpose(self.file) if _upright(self.file) > 1 else self.file
        if self.n_channels == 1:
            return np.array(upright.convert("L"))[..., None]
        return np.array(upright.convert("RGB"))

    def ids(self) -> NDArray[Any]:
        """Return ids as they are stored.

        Raises
        ------
        InputError
            If the format changes ids.
        """
        if self.file.format not in ("PNG", "BMP"):
            raise InputError(
                f"{self.path} is a {self.file.format}, which changes ids; save it as PNG."
            )
        ids = np.asarray(self.file)
        if self.file.mode == "L" and self.bits in (2, 4):  # Pillow spreads them over 0 to 255
            ids = ids // np.uint8(255 // (2**self.bits - 1))
        return ids


def spread_note(bits: int) -> str:
    """Return what is said of samples of fewer than 8 bits."""
    return f"{bits}-bit values are spread over 0 to 255"


def open_with_pillow(path: Path) -> Image.Image:
    """Open a file; its pixels are decoded when they are asked for."""
    return Image.open(path, formats=_FORMATS)


def pillow_picture(path: Path, file: Image.Image) -> PillowPicture:
    """Read what an open file says of its picture; ``path`` is named in errors.

    Raises
    ------
    InputError
        If it is an animation.
    """
    n_frames = getattr(file, "n_frames", 1)
    if n_frames > 1 and file.format != "MPO":  # of a JPEG with a preview or a depth map
        raise InputError(
            f"{path} holds {n_frames} frames; expected one. Save each as its own file."
        )
    height, width = file.height, file.width
    if _upright(file) in _TRANSPOSING:
        height, width = width, height
    start = _start(path)
    bits = _bits(start)
    is_grey = file.mode in _GREY_MODES or _is_grey_png(start)
    is_deep = bits > 8 or file.mode.startswith("I")
    return PillowPicture(
        file,
        path,
        height,
        width,
        1 if is_grey else 3,
        "uint16" if is_deep else "uint8",
        bits,
        tuple(_notes(file, n_frames, bits)),
    )


def _notes(file: Image.Image, n_frames: int, bits: int) -> Iterator[str]:
    if file.mode.endswith(("A", "a")) or "transparency" in file.info:
        yield "alpha is dropped"
    if file.mode in ("P", "PA"):
        yield PALETTE_NOTE
    if file.mode == "CMYK":
        yield CMYK_NOTE
    if file.mode == "1" or (file.mode == "L" and bits in (2, 4)):
        yield spread_note(bits or 1)
    if file.format not in _UPRIGHT and _orientation(file) != 1:
        yield ORIENTATION_NOTE
    if n_frames > 1:
        yield SEVERAL_NOTE


def _upright(file: Image.Image) -> int:
    """Return the EXIF orientation that is applied; 1 = none."""
    return _orientation(file) if file.format in _UPRIGHT else 1


def _orientation(file: Image.Image) -> int:
    if file.format == "PNG" and "exif" not in file.info:  # Pillow would decode all pixels
        return 1
    found = file.getexif().get(_EXIF_ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def _deep_pixels(path: Path) -> NDArray[Any]:
    """Return the (H, W, C) pixels of a PNG or JPEG 2000 as they are stored."""
    import imagecodecs

    content = path.read_bytes()
    is_png = content.startswith(_PNG)
    pixels = np.asarray((imagecodecs.png_decode if is_png else imagecodecs.jpeg2k_decode)(content))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _bits(start: bytes) -> int:
    """Return the bits a sample of a PNG or JPEG 2000; 0 for other files."""
    if start.startswith(_PNG):
        return start[24] if len(start) > 24 else 0
    if start.startswith(_JPEG_2000_CODES):
        at = 42
    else:
        at = start.find(b"ihdr") + 14 if b"jp2h" in start else len(start)
    return (start[at] & 0x7F) + 1 if at < len(start) and start[at] != 0xFF else 0


def _is_grey_png(start: bytes) -> bool:
    """Whether it is a grey PNG with alpha: of 16 bits, Pillow says that it is in colour."""
    return start.startswith(_PNG) and start[25:26] == b"\x04"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_N_START)
