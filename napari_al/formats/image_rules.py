"""What the pictures of one data folder mean: decided once, recorded in ``config.json``.

A model learns from pixels of one kind. All pictures of a folder therefore have the same number of
channels and the same pixel type, that of most of them; others are refused, or converted where
``convert`` says so. Pixels without data are named by ``nodata``, by the file, or are not finite.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_al.errors import InputError
from napari_al.formats.images import is_too_large
from napari_al.formats.parts.picture_parts import BLOCK_PX, Part, is_cut, parts_of
from napari_al.formats.tiff import Pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.images import Header

PixelType = Literal["uint8", "uint16", "float32"]
_TYPE_NAMES = {"uint8": "8-bit pixels", "uint16": "16-bit pixels", "float32": "float pixels"}
_EIGHT_TO_SIXTEEN = 257
"""65535 / 255: white stays white."""


class ImageRules(BaseModel):
    """How the pictures of a data folder are read. Undecided fields are None or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_channels: Annotated[int, Field(ge=1)] | None = Field(
        None, description="of every image; decided by what most images have"
    )
    pixel_type: PixelType | None = Field(
        None, description="of every image; decided by what most images have"
    )
    ranges: tuple[tuple[float, float], ...] = Field(
        (), description="darkest and brightest value shown, a channel; found in some images"
    )
    gamma: Annotated[float, Field(gt=0)] = Field(1.0, description="with which images are shown")
    convert: bool = Field(
        False, description="grey to RGB and 8 to 16 bit where a folder holds both kinds"
    )
    pages: Pages = Field(
        "refuse",
        description="what pages of a TIFF are that do not say it: 'channels', 'planes' of a stack, "
        "or refused",
    )
    block_px: Annotated[int, Field(ge=64, le=4096)] | None = Field(
        None,
        description="side of the blocks that a picture of over four times as many pixels is asked "
        "about in; decided: 2048 where there are such pictures",
    )
    nodata: float | None = Field(
        None, description="value of pixels without data: ignored everywhere (NaN always is)"
    )
    label_ids: dict[int, int] = Field(
        {}, description='class ids of the values in labels, e.g. {"255": 1}; others stay'
    )
    left_out: tuple[str, ...] = Field(
        (), description="images (train/NAME, val/NAME) found damaged when the project was made"
    )

    @property
    def is_decided(self) -> bool:
        """Whether channels and pixel type are known."""
        return self.n_channels is not None and self.pixel_type is not None

    def decided(self, headers: Sequence[Header]) -> ImageRules:
        """Return the rules for a folder with these pictures, at least one."""
        channels = Counter(header.n_channels for header in headers)
        types = Counter(header.dtype for header in headers)
        n_channels = channels.most_common(1)[0][0]
        pixel_type = types.most_common(1)[0][0]
        if self.convert and n_channels == 1 and 3 in channels:
            n_channels = 3
        if self.convert and pixel_type == "uint8" and "uint16" in types:
            pixel_type = "uint16"
        has_large = any(is_cut(header, BLOCK_PX) for header in headers)
        found = {
            "n_channels": n_channels,
            "pixel_type": pixel_type,
            "block_px": BLOCK_PX if has_large else None,
        }
        given = {name: getattr(self, name) for name in found if getattr(self, name) is not None}
        return self.model_copy(update={**found, **given})

    def parts_of(self, name: str, header: Header) -> list[Part]:
        """Return the parts that a picture is listed as; none if it is one image.

        A project that was made before pictures were cut keeps those whole that were read as a
        whole.
        """
        may_be_cut = not self.is_decided or is_too_large(header)
        return parts_of(name, header, self.block_px or (BLOCK_PX if may_be_cut else None))

    def check(self, path: Path, header: Header) -> None:
        """Raise an InputError if a picture is of another kind and is not converted."""
        n = header.n_channels
        if n != self.n_channels and not (self.convert and (n, self.n_channels) == (1, 3)):
            offer = _offer("grey to RGB") if {n, self.n_channels} == {1, 3} else ""
            raise InputError(
                f"{path} has {n} channel{'s' if n > 1 else ''} and most images have "
                f"{self.n_channels}; convert it to match{offer}."
            )
        kinds = (header.dtype, self.pixel_type)
        if kinds[0] != kinds[1] and not (self.convert and kinds == ("uint8", "uint16")):
            offer = _offer("8 to 16 bit") if set(kinds) == {"uint8", "uint16"} else ""
            raise InputError(
                f"{path} has {_TYPE_NAMES[header.dtype]}, and the project's or most other images "
                f"have {_TYPE_NAMES[str(self.pixel_type)]}; convert it to match{offer}."
            )

    def fitted(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Convert (H, W, C) pixels that passed `check`: grey to RGB, 8 to 16 bit."""
        if pixels.shape[2] == 1 and self.n_channels == 3:
            pixels = np.repeat(pixels, 3, axis=2)
        if pixels.dtype == np.uint8 and self.pixel_type == "uint16":
            pixels = pixels.astype(np.uint16) * np.uint16(_EIGHT_TO_SIXTEEN)
        return pixels


def _offer(what: str) -> str:
    return f", or have it converted ({what}) with --set images.convert=true"


def valid_pixels(pixels: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return which pixels hold data, (H, W); None where all do.

    A pixel holds none if all its channels have the value ``nodata``, or any is not finite.
    """
    valid = None
    if pixels.dtype.kind == "f":
        valid = np.isfinite(pixels).all(axis=2)
    if nodata is not None and np.isfinite(nodata):
        has_value = (pixels != nodata).any(axis=2)
        valid = has_value if valid is None else valid & has_value
    return None if valid is None or valid.all() else valid


def filled(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return pixels in which those without data have the median of the others, a channel each.

    So nothing that computes with neighbours (a network, superpixels) sees a value that means
    nothing. All are 0 where none has data.
    """
    if not valid.any():
        return np.zeros_like(pixels)
    median = np.median(pixels[valid], axis=0).astype(pixels.dtype)
    return np.where(valid[..., None], pixels, median)
