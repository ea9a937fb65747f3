"""TIFF by its tags: which picture a file holds, and its pixels as they were meant.

==========================  ======================================================================
palette                     becomes RGB
CMYK                        becomes RGB
"white is zero"             is turned round: larger is brighter
extra samples               alpha is dropped; unspecified ones (near infrared) are channels
1, 2 or 4 bits a sample     are spread over 0 to 255
signed, 32 and 64 bits      become float32
GDAL's nodata tag           is reported, as that value is in the pixels that are read
z and time                  make a stack: a picture of several planes
pages without named axes    are refused, or what ``pages`` says: channels, or planes along z
==========================  ======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.pillow_picture import (
    CMYK_NOTE,
    ORIENTATION_NOTE,
    PALETTE_NOTE,
    SEVERAL_NOTE,
    spread_note,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TIFF_SUFFIXES = (".tif", ".tiff")

Pages = Literal["refuse", "channels", "planes"]
"""What pages are that do not name their axis: not known, channels, or planes of a stack."""

Planes = tuple[tuple[str, int], ...]
"""Axes of a stack and their lengths: ``(("t", 5), ("z", 30))``."""

_N_COLOUR_SAMPLES = {"MINISBLACK": 1, "MINISWHITE": 1, "MASK": 1, "PALETTE": 1, "RGB": 3,
                     "YCBCR": 3, "SEPARATED": 4}  # fmt: skip
_ALPHA = (1, 2)  # of the ExtraSamples tag: associated and unassociated
_JPEG = (6, 7, 33007, 34892)  # of the Compression tag
_CMYK = 1  # of the InkSet tag


@dataclass(frozen=True, eq=False)
class TiffPicture:
    """What the tags of a TIFF say of its picture.

    Attributes
    ----------
    roles : str
        What each axis of the stored array is: ``y``, ``x``, ``c`` (samples), ``t`` and ``z`` (of
        a stack), or ``-`` (length 1).
    stored_shape : tuple of int
    stored_type : numpy.dtype
    photometric : str
        A key of `_N_COLOUR_SAMPLES`.
    max_value : int
        Of a sample of whole numbers, by the bits a sample.
    colormap : (n, 3) uint8 or None
    alpha : tuple of int
        Which samples are dropped.
    nodata : float or None
        The value that pixels without data have.
    notes : tuple of str
        What of the file is left out or converted, without its name.
    """

    roles: str
    stored_shape: tuple[int, ...]
    stored_type: np.dtype[Any]
    photometric: str
    max_value: int
    colormap: NDArray[np.uint8] | None
    alpha: tuple[int, ...]
    nodata: float | None
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.stored_shape[self.roles.index("y")], self.stored_shape[self.roles.index("x")]

    @property
    def planes(self) -> Planes:
        """Axes of a stack, in the order in which they are stored; none of a single picture."""
        sizes = zip(self.roles, self.stored_shape, strict=True)
        return tuple((role, size) for role, size in sizes if role in "tz")

    @property
    def n_samples(self) -> int:
        """Stored samples a pixel, alpha included."""
        return self.stored_shape[self.roles.index("c")] if "c" in self.roles else 1

    @property
    def n_channels(self) -> int:
        """Channels of the picture."""
        if self.photometric in ("PALETTE", "SEPARATED"):
            return 3
        return self.n_samples - len(self.alpha)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type of the picture."""
        return np.dtype(np.uint8) if self.colormap is not None else pixel_type(self.stored_type)

    def samples(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the stored array, or a part of one plane of it, as (h, w, samples)."""
        kept = "".join(role for role in self.roles if role in "yxc")
        squeezed = stored.reshape([n for n, r in zip(stored.shape, self.roles, strict=True)
                                   if r in kept])  # fmt: skip
        if "c" not in kept:
            kept, squeezed = kept + "c", squeezed[..., None]
        return squeezed.transpose([kept.index(role) for role in "yxc"])

    def pixels(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return (h, w, samples) as the picture's (h, w, C) uint8, uint16 or float32 pixels."""
        if self.colormap is not None:
            last = len(self.colormap) - 1
            colours: NDArray[np.uint8] = self.colormap[np.minimum(samples[..., 0], last)]
            return colours
        kept = [c for c in range(samples.shape[2]) if c not in self.alpha]
        values = samples[..., kept] if self.alpha else samples
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        if self.photometric == "SEPARATED":
            values = _rgb_of_cmyk(values, self.max_value)
        if self.photometric == "MINISWHITE":
            values = _turned_round(values, self.max_value)
        if self.max_value < 255:
            values = (values.astype(np.uint16) * 255 // self.max_value).astype(np.uint8)
        return np.ascontiguousarray(values, dtype=self.dtype)


def tiff_picture(path: Path, file: Any, pages: Pages = "refuse") -> TiffPicture:
    """Read the tags of an open ``tifffile.TiffFile``; ``path`` is named in errors.

    Raises
    ------
    InputError
        If it holds several pictures, axes or colours that cannot be read.
    """
    series, page = file.series[0], file.series[0].keyframe
    if series.is_multifile:
        raise InputError(
            f"{path} is one of several files that hold one picture together; save that as one file."
        )
    roles = _roles(path, series, page, pages)
    photometric = page.photometric.name if page.photometric is not None else "MINISBLACK"
    _check_colours(path, page, photometric)
    extra = list(enumerate(page.extrasamples or (), start=_N_COLOUR_SAMPLES[photometric]))
    alpha = tuple(sample for sample, kind in extra if int(kind) in _ALPHA)
    dtype, bits = series.dtype, _bits(page)
    max_value = 2**bits - 1 if dtype.kind in "bu" else 0xFFFF
    nodata, nodata_notes = _nodata(page, photometric, dtype, max_value)
    return TiffPicture(
        roles,
        tuple(series.shape),
        dtype,
        photometric,
        max_value,
        _colormap(page) if photometric == "PALETTE" else None,
        alpha,
        nodata,
        (
            *_notes_on_colours(photometric, dtype, bits, n_extra=len(extra), n_alpha=len(alpha)),
            *nodata_notes,
            *_notes(path, file, page),
        ),
    )


def check_tiff_is_whole(path: Path, series: Any) -> None:
    """Raise an InputError unless the file has all its pages, and all the bytes of these."""
    pages, n_bytes = list(series.pages), path.stat().st_size
    n_missing = sum(page is None for page in pages)
    if n_missing:  # tifffile would take them for black
        raise InputError(
            f"{path} speaks of {len(pages)} pages, of which {n_missing} are missing; save it again "
            "without those."
        )
    for page in (series.keyframe, *pages):
        places = zip(page.dataoffsets, page.databytecounts, strict=False)
        if max((a + b for a, b in places), default=0) > n_bytes:
            raise InputError(f"{path} is cut short: its last rows are missing.")


def type_notes(stored: np.dtype[Any]) -> tuple[str, ...]:
    """Return what is said of pixels of a stored type that is converted."""
    is_kept = stored.kind == "b" or stored in (np.uint8, np.uint16, np.float16, np.float32)
    return () if is_kept else (f"{stored.name} numbers are read as float32",)


def pixel_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which pixels of a stored type are handed out.

    Raises
    ------
    InputError
        If they are no real numbers.
    """
    if stored == np.bool_ or stored == np.uint8:
        return np.dtype(np.uint8)
    if stored == np.uint16:
        return np.dtype(np.uint16)
    if stored.kind in "iuf":
        return np.dtype(np.float32)
    raise InputError(f"pixels of type {stored} cannot be used; expected whole numbers or floats")


# ---- axes


def _roles(path: Path, series: Any, page: Any, pages: Pages) -> str:
    """Say of each axis of the stored array what it is."""
    sizes = {
        axis: size
        for axis, size in zip(series.axes, series.shape, strict=True)
        if size > 1 or axis in "YX"
    }
    unnamed = [axis for axis in "QI" if axis in sizes]
    channels = [axis for axis in "SC" if axis in sizes]
    if set(sizes) - set("YXTZSCQI") or not {"Y", "X"} <= set(sizes) or len(unnamed) > 1:
        raise _no_picture(path, series)
    if unnamed and pages == "refuse":
        as_channels = (
            ""
            if channels
            else "If they are the channels of one picture, say so with --set "
            "images.pages=channels; if"
        )
        raise InputError(
            f"{path} has {sizes[unnamed[0]]} pages and does not say what they are. "
            f"{as_channels or 'If'} they are a stack, say so with --set images.pages=planes."
        )
    names = {"Y": "y", "X": "x", "T": "t", "Z": "z", "S": "c", "C": "c"}
    names |= dict.fromkeys(unnamed, "z" if pages == "planes" else "c")
    roles = "".join(names[axis] if axis in sizes else "-" for axis in series.axes)
    if len(set(roles.replace("-", ""))) < len(sizes):
        raise _no_picture(path, series)
    is_odd = roles.replace("-", "") == "cyx" and unnamed
    if is_odd and series.shape[roles.index("x")] < series.shape[roles.index("c")]:
        # an (H, W, C) array is written as H pages of C columns
        return "".join("yxc"["cyx".index(r)] if r != "-" else r for r in roles)
    return roles


def _no_picture(path: Path, series: Any) -> InputError:
    return InputError(
        f"{path} has the axes {series.axes}, sizes {series.shape}; expected rows, columns and "
        "channels, and z and time of a stack. Save each picture as its own file."
    )


# ---- colours


def _check_colours(path: Path, page: Any, photometric: str) -> None:
    is_cmyk = photometric == "SEPARATED"
    ink = page.tags.get("InkSet")
    odd_inks = is_cmyk and (page.samplesperpixel < 4 or (ink is not None and ink.value != _CMYK))
    odd_inks |= is_cmyk and page.dtype.kind != "u"
    raw_ycbcr = photometric == "YCBCR" and int(page.compression) not in _JPEG
    if photometric not in _N_COLOUR_SAMPLES or odd_inks or raw_ycbcr:
        raise InputError(
            f"{path} has colours of the kind {photometric} that cannot be read; save it as RGB."
        )


def _rgb_of_cmyk(values: NDArray[Any], max_value: int) -> NDArray[Any]:
    """Return RGB of (h, w, 4) inks, each from 0 to ``max_value``: (max - ink)(max - black)/max."""
    left = max_value - values[..., :4].astype(np.float64)
    rgb = np.rint(left[..., :3] * left[..., 3:] / max_value)
    return rgb.astype(values.dtype)


def _turned_round(values: NDArray[Any], max_value: int) -> NDArray[Any]:
    """Make the smallest value the largest one, within the range of unsigned numbers."""
    if values.dtype.kind == "u":
        return (max_value - values.astype(np.int64)).astype(values.dtype)
    return -values.astype(np.float32)


def _notes_on_colours(
    photometric: str, dtype: np.dtype[Any], bits: int, *, n_extra: int, n_alpha: int
) -> Iterator[str]:
    if n_alpha:
        yield "alpha is dropped"
    if photometric == "PALETTE":
        yield PALETTE_NOTE
        return
    if photometric == "SEPARATED":
        yield CMYK_NOTE
        if n_extra > n_alpha:
            yield "inks beside CMYK are dropped"
    if photometric == "MINISWHITE":
        yield "white is zero, which is turned round"
    if dtype.kind in "bu" and bits < 8:
        yield spread_note(bits)
    yield from type_notes(dtype)


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def _colormap(page: Any) -> NDArray[np.uint8]:
    """Return the (n, 3) colours.

    The table has 16 bits, in which 255 is written as 65535, as 65280, or by some programs as 255.
    """
    table = np.asarray(page.colormap).T
    return (table >> 8 if table.max(initial=0) > 255 else table).astype(np.uint8)


# ---- the rest


def _nodata(
    page: Any, photometric: str, dtype: np.dtype[Any], max_value: int
) -> tuple[float | None, tuple[str, ...]]:
    """Return the value of pixels without data as they are read, and what is said of the tag."""
    if "GDAL_NODATA" not in page.tags:
        return None, ()
    value = stored_nodata(page)
    if value is None:
        return None, ("the nodata tag is not a number, and is not applied",)
    if photometric in ("PALETTE", "SEPARATED"):
        return None, ("the nodata tag is not applied",)
    if photometric == "MINISWHITE":
        value = max_value - value if dtype.kind in "bu" else -value
    return (value * 255 // max_value if max_value < 255 else value), ()


def stored_nodata(page: Any) -> float | None:
    """Return the stored value of pixels without data, by GDAL's tag; None: there is none."""
    tag = page.tags.get("GDAL_NODATA")
    if tag is None:
        return None
    try:
        (value,) = set(map(float, str(tag.value).replace("\x00", " ").split()))
    except ValueError:
        return None
    return value


def _notes(path: Path, file: Any, page: Any) -> list[str]:
    """Say what of the file is left out; raise an InputError where that may be as good as the rest.

    Smaller copies of a picture (overviews, a thumbnail) are not worth a word.
    """
    notes = []
    orientation = page.tags.get("Orientation")
    if orientation is not None and int(orientation.value) != 1:
        notes.append(ORIENTATION_NOTE)
    first = file.series[0]
    for other in file.series[1:]:
        key = other.keyframe
        if key.is_mask or int(key.subfiletype or 0) & 4:
            notes.append("its mask is not applied")
            continue
        if key.is_reduced or int(key.subfiletype or 0) & 1:
            continue
        if np.prod(other.shape) >= np.prod(first.shape):
            raise InputError(
                f"{path} holds {len(file.series)} pictures; expected one. Save each as a file."
            )
        notes.append(SEVERAL_NOTE)
    return list(dict.fromkeys(notes))
