"""The scale of a new segmenter's input, also where images hold outliers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_al.core.ranges import usual_range
from napari_al.learning.networks.catalogue import SEGMENTERS
from napari_al.learning.normalisation import input_normalisation, input_statistics

LITE = SEGMENTERS["efficientnet-lite0"]


def float_images(n: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal((300.0, 0.02), (40.0, 0.001), (32, 40, 2)) for _ in range(n)]


def with_nodata(images: list[np.ndarray]) -> list[np.ndarray]:
    changed = [image.copy() for image in images]
    changed[3][:12] = -9999.0
    return changed


def test_one_image_with_nodata_changes_nothing_for_the_others():
    clean, spoilt = float_images(), with_nodata(float_images())
    for statistics in (usual_range, input_statistics):
        expected, found = statistics(clean), statistics(spoilt)
        width = np.subtract(*usual_range(clean)[::-1])
        for one, other in zip(expected, found, strict=True):
            assert (np.abs(one - other) < 0.1 * width).all(), statistics


def test_a_narrow_channel_beside_a_wide_one_has_its_own_range():
    mean, std = input_normalisation(LITE, float_images(), pretrained=True)
    pixels = (np.concatenate([i.reshape(-1, 2) for i in float_images()]) - mean) / std
    low, high = np.percentile(pixels, (1, 99), axis=0)
    np.testing.assert_allclose(low, -1, atol=0.15)
    np.testing.assert_allclose(high, 1, atol=0.15)


def test_8_bit_rgb_goes_in_as_the_weights_were_trained():
    image = np.full((4, 5, 3), 7, np.uint8)
    mean, std = input_normalisation(LITE, [image], pretrained=True)
    np.testing.assert_allclose(mean, 127)
    np.testing.assert_allclose(std, 128)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_any_other_image_fills_the_range(dtype, n_channels):
    image = np.tile(np.linspace(10, 110, 64).astype(dtype)[:, None, None], (1, 8, n_channels))
    mean, std = input_normalisation(LITE, [image], pretrained=True)
    np.testing.assert_allclose(mean, [60] * n_channels, atol=1)
    np.testing.assert_allclose(std, [49] * n_channels, atol=2)


def test_what_is_constant_or_not_there_has_no_range():
    image = np.full((8, 8, 2), np.nan)
    image[..., 0] = 5
    mean, std = input_normalisation(LITE, [image], pretrained=True)
    assert mean == [5, 0]
    assert std == [1, 1]


def test_of_8_bit_rgb_the_first_image_alone_is_read():
    def images():
        yield np.full((4, 5, 3), 7, np.uint8)
        raise AssertionError("another image was read for nothing")

    mean, _ = input_normalisation(LITE, images(), pretrained=True)
    np.testing.assert_allclose(mean, 127)
