"""TIFF by its tags: which picture a file holds, and its pixels as they were meant.

==========================  ======================================================================
palette                     becomes RGB
CMYK                        becomes RGB
"white is zero"             is turned round: larger is brighter
extra samples               alpha is dropped; unspecified ones (near infrared) are channels
1, 2 or 4 bits a sample     are spread over 0 to 255
GDAL's nodata tag           is reported
z and time                  make a stack: a picture of several planes
pages without named axes    are refused, or what ``pages`` says: channels, or planes along z
==========================  ======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
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
        GDAL's value of pixels that hold nothing.
    notes : tuple of str
        What of the file is left out, without its name.
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
        if self.photometric == "MINISWHITE" and values.dtype.kind == "u":
            values = (self.max_value - values.astype(np.int64)).astype(values.dtype)
        if self.max_value < 255:
            values = values * np.uint8(255 // self.max_value)
        return np.ascontiguousarray(values, dtype=pixel_type(values.dtype))


def tiff_picture(path: Path, file: Any, pages: Pages = "refuse") -> TiffPicture:
    """Read the tags of an open ``tifffile.TiffFile``; ``path`` is named in errors.

    Raises
    ------
    InputError
        If it holds several pictures, axes or colours that cannot be read.
    """
    series, page = file.series[0], file.series[0].keyframe
    roles = _roles(path, series, page, pages)
    photometric = page.photometric.name if page.photometric is not None else "MINISBLACK"
    _check_colours(path, page, photometric)
    bits = _bits(page)
    n_colours = _N_COLOUR_SAMPLES[photometric]
    extra = enumerate(page.extrasamples or (), start=n_colours)
    alpha = tuple(sample for sample, kind in extra if int(kind) in _ALPHA)
    dtype = series.dtype
    pixel_type(dtype)
    return TiffPicture(
        roles,
        tuple(series.shape),
        dtype,
        photometric,
        2**bits - 1 if dtype.kind in "bu" else 0xFFFF,
        _colormap(page) if photometric == "PALETTE" else None,
        alpha,
        _nodata(page),
        tuple(_notes(path, file, page, has_alpha=bool(alpha))),
    )


def check_tiff_is_whole(path: Path, series: Any) -> None:
    """Raise an InputError unless the file has all the bytes that its pages refer to."""
    n_bytes = path.stat().st_size
    for page in (series.keyframe, *series.pages):
        places = zip(page.dataoffsets, page.databytecounts, strict=False) if page else ()
        if max((a + b for a, b in places), default=0) > n_bytes:
            raise InputError(f"{path} is cut short: its last rows are missing.")


def pixel_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which pixels of a stored type are handed out."""
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
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    axes = "".join(axis for axis, _ in kept)
    others = [axis for axis in axes if axis not in "YXTZ"]
    if len(others) > 1 or set(others) - set("SCQI") or {*axes} & {*"YX"} != {*"YX"}:
        raise InputError(
            f"{path} has the axes {series.axes}, sizes {series.shape}; expected rows, columns and "
            "channels, and z and time of a stack. Save each picture as its own file."
        )
    names = {"Y": "y", "X": "x", "T": "t", "Z": "z", **dict.fromkeys("SCQI", "c")}
    if set(others) & set("QI"):
        if pages == "refuse":
            n_pages = next(size for axis, size in kept if axis in "QI")
            raise InputError(
                f"{path} has {n_pages} pages and does not say what they are. If they are the "
                "channels of one picture, say so with --set images.pages=channels; if they are a "
                "stack, with --set images.pages=planes."
            )
        if pages == "planes":
            names["Q"] = names["I"] = "z"
    roles = "".join(
        names[axis] if size > 1 or axis in "YX" else "-"
        for axis, size in zip(series.axes, series.shape, strict=True)
    )
    is_odd = roles.replace("-", "") == "cyx" and set(others) & set("QI")
    if is_odd and series.shape[roles.index("x")] < series.shape[roles.index("c")]:
        # an (H, W, C) array is written as H pages of C columns
        return "".join("yxc"["cyx".index(r)] if r != "-" else r for r in roles)
    return roles


# ---- colours


def _check_colours(path: Path, page: Any, photometric: str) -> None:
    is_cmyk = photometric == "SEPARATED"
    ink = page.tags.get("InkSet")
    odd_inks = is_cmyk and (page.samplesperpixel < 4 or (ink is not None and ink.value != _CMYK))
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


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def _colormap(page: Any) -> NDArray[np.uint8]:
    """Return the (n, 3) colours; some programs write 8-bit values into the 16-bit table."""
    table = np.asarray(page.colormap).T
    return (table // 257 if table.max(initial=0) > 255 else table).astype(np.uint8)


# ---- the rest


def _nodata(page: Any) -> float | None:
    tag = page.tags.get("GDAL_NODATA")
    try:
        return None if tag is None else float(str(tag.value).strip("\x00 "))
    except ValueError:
        return None


def _notes(path: Path, file: Any, page: Any, *, has_alpha: bool) -> list[str]:
    """Say what of the file is left out; raise an InputError where that may be as good as the rest.

    Smaller copies of a picture (overviews, a thumbnail) are not worth a word.
    """
    notes = ["alpha is dropped"] if has_alpha else []
    orientation = page.tags.get("Orientation")
    if orientation is not None and int(orientation.value) != 1:
        notes.append("the orientation tag is not applied")
    first = file.series[0]
    for other in file.series[1:]:
        key = other.keyframe
        if key.is_reduced or key.is_mask or int(key.subfiletype or 0) & 5:
            continue
        if np.prod(other.shape) >= np.prod(first.shape):
            raise InputError(
                f"{path} holds {len(file.series)} pictures; expected one. Save each as a file."
            )
        notes.append("of several pictures in a file the first is read")
    return list(dict.fromkeys(notes))
