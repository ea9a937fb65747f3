"""Input normalisation of a new segmenter: mean and standard deviation of each channel.

Robust statistics, in the images' units, per channel: nodata values in one image, a few hot pixels
or a channel with another range do not affect the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.learning.networks.catalogue import SegmenterInfo

PERCENTILES = (1.0, 99.0)
"""Of an image's channel: where its usual range begins and ends."""
IMAGES_LEFT_OUT = 0.1
"""Share of the images, at least one of three, whose range may be unusual on either side."""
MAX_PX = 2**16
"""Pixels looked at in an image, evenly spread over it."""


def input_normalisation(
    info: SegmenterInfo, images: Iterable[NDArray[np.generic]], *, pretrained: bool
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by which a new segmenter scales its input.

    Those that the backbone was trained with, where it was and the images are 8-bit RGB as well. For
    other images an EfficientNet-Lite with weights has the usual range of each channel from -1 to 1,
    the range of the images that it was trained on. All else is scaled by ``input_statistics``.

    Parameters
    ----------
    info : SegmenterInfo
    images : iterable of (H, W, C) arrays
        Of the training split; any dtype, sizes may differ.
    pretrained : bool
        Whether the backbone begins with weights that were trained elsewhere.

    Returns
    -------
    mean, std : list of float
        One a channel, in the images' units; std > 0.

    Raises
    ------
    InputError
        If there are no images, or their channel counts differ.
    """
    left = _looked_at(images)
    first = next(left, None)
    if pretrained and first is not None and first.dtype == np.uint8 and first.shape[1] == 3:
        mean, std = info.normalisation  # no further image has to be read
        return [255 * value for value in mean], [255 * value for value in std]
    found = [] if first is None else [first, *left]
    if pretrained and info.family == "efficientnet-lite":
        low, high = usual_range(found)
        return ((low + high) / 2).tolist(), _positive((high - low) / 2).tolist()
    found_mean, found_std = input_statistics(found)
    return found_mean.tolist(), found_std.tolist()


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


def input_statistics(
    images: Iterable[NDArray[np.generic]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all pixels that are finite numbers.

    Pixels farther from the usual range (``usual_range``) than its width are cut off there first.

    Parameters
    ----------
    images : iterable of (H, W, C) arrays
        Any dtype, sizes may differ.

    Returns
    -------
    mean, std : (C,) float64
        In the images' units; ``std`` is 1 where a channel is constant.

    Raises
    ------
    InputError
        If there are no images, or their channel counts differ.
    """
    found = list(_looked_at(images))
    low, high = usual_range(found)
    width = high - low
    pixels = np.concatenate(found).astype(np.float64)
    if found[0].dtype != np.uint8:  # 8-bit values have no outliers
        pixels = np.clip(pixels, low - width, high + width)
    finite = np.isfinite(pixels)
    n_finite = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, pixels, 0).sum(axis=0) / n_finite
    square = (np.where(finite, pixels - mean, 0) ** 2).sum(axis=0) / n_finite
    return mean, _positive(np.sqrt(square))


def _looked_at(images: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.generic]]:
    """(P, C) pixels of each image, at most ``MAX_PX``; an image is read when it is asked for."""
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        yield pixels[:: max(1, len(pixels) // MAX_PX)].copy()


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


def _positive(std: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(std > 0, std, 1.0)
