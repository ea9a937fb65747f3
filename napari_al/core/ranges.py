"""Usual range of the channels of a data folder's images: for input normalisation and display."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

PERCENTILES = (1.0, 99.0)
"""Of an image's channel: where its usual range begins and ends."""
IMAGES_LEFT_OUT = 0.1
"""Share of the images, at least one of three, whose range may be unusual on either side."""
MAX_PX = 2**16
"""Pixels looked at in an image, evenly spread over it."""


def some_pixels(images: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.generic]]:
    """Yield about ``MAX_PX`` evenly spread pixels (P, C) of each (..., C) image."""
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        yield pixels[:: max(1, len(pixels) // MAX_PX)].copy()


def usual_range(
    images: Iterable[NDArray[np.generic]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Range of most pixels of each channel, in most images.

    Parameters
    ----------
    images : iterable of (..., C) arrays
        Any dtype; what is no finite number does not count.

    Returns
    -------
    low, high : (C,) float64
        In the images' units, low <= high: the percentiles of each image, and of these the lowest
        and highest once the images with the most extreme ones are left out. Both 0 where a channel
        has no finite pixel.

    Raises
    ------
    InputError
        If there are no images, or their channel counts differ.
    """
    ranges = np.array([_percentiles(pixels) for pixels in _of_one_kind(images)])
    n_images = len(ranges)
    n_left_out = max(int(n_images >= 3), round(IMAGES_LEFT_OUT * n_images))
    ordered = np.sort(ranges, axis=0)  # NaN comes last
    n_known = np.isfinite(ranges).sum(axis=0)
    last = np.maximum(n_known - 1, 0)
    at = np.minimum(n_left_out, last // 2)
    low = np.take_along_axis(ordered[:, 0], at[None, 0], axis=0)[0]
    high = np.take_along_axis(ordered[:, 1], (last - at)[None, 1], axis=0)[0]
    return np.nan_to_num(np.minimum(low, high)), np.nan_to_num(np.maximum(low, high))


def _of_one_kind(images: Iterable[NDArray[np.generic]]) -> list[NDArray[np.float64]]:
    found = [np.asarray(image, np.float64).reshape(-1, image.shape[-1]) for image in images]
    if not found:
        raise InputError("statistics of the input need at least one image, got none")
    n_channels = {pixels.shape[1] for pixels in found}
    if len(n_channels) > 1:
        raise InputError(
            "all images need the same number of channels; there are some of "
            f"{' and some of '.join(map(str, sorted(n_channels)))}"
        )
    return found


def _percentiles(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, C): low and high of an image; NaN where no pixel is a finite number."""
    known = [channel[np.isfinite(channel)] for channel in pixels.T]
    return np.array([np.percentile(k, PERCENTILES) if k.size else [np.nan] * 2 for k in known]).T
