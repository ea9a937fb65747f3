"""Input normalisation of a new segmenter: mean and standard deviation of each channel.

Robust statistics, in the images' units, per channel: nodata values in one image, a few hot pixels
or a channel with another range do not affect the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.ranges import some_pixels, usual_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_al.learning.networks.catalogue import SegmenterInfo


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
    left = some_pixels(images)
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
    found = list(some_pixels(images))
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


def _positive(std: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(std > 0, std, 1.0)
