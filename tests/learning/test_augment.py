from __future__ import annotations

import numpy as np
import pytest

from napari_al.learning.augment import (
    View,
    jitter_colours,
    random_view,
    view_of_image,
    view_of_map,
)


@pytest.mark.parametrize("shape", [(1, 1), (30, 200), (64, 64), (500, 20)])
def test_views_hold_their_anchor(shape):
    rng = np.random.default_rng(0)
    for _ in range(100):
        anchor = tuple(int(rng.integers(n)) for n in shape)
        view = random_view(shape, 64, anchor, rng)
        assert view.top <= anchor[0] < view.top + view.side_px
        assert view.left <= anchor[1] < view.left + view.side_px
        for start, length in zip((view.top, view.left), shape, strict=True):
            inside = min(start + view.side_px, length) - max(start, 0)
            assert inside == min(view.side_px, length)


@pytest.mark.parametrize(
    "view",
    [
        View(0, 0, 32, False),
        View(3, 5, 16, True),
        View(-6, -7, 64, True),
        View(10, 30, 50, False),
        View(20, 20, 1, True),
    ],
)
@pytest.mark.parametrize("n_channels", [1, 3, 6])
def test_image_and_maps_show_the_same_place(view, n_channels):
    ids = np.arange(40 * 48, dtype=np.int32).reshape(40, 48)
    rows, cols = np.indices(ids.shape)
    ramp = np.stack([rows, cols] + [rows + cols] * 4, axis=2)[..., :n_channels]
    crop = view_of_map(ids, view, 32, fill=-1)
    shown = view_of_image(ramp.astype(np.float64), view, 32)
    inside = crop >= 0
    assert inside.any()
    step = view.side_px / 32
    assert np.abs(shown[..., 0] - crop // 48)[inside].max() <= max(step, 0.5)
    if n_channels > 1:
        assert np.abs(shown[..., 1] - crop % 48)[inside].max() <= max(step, 0.5)


def test_outside_is_filled_in_maps_and_repeated_in_images():
    image = np.arange(4.0).reshape(2, 2, 1)
    view = View(-1, -1, 4, False)
    assert view_of_map(image[..., 0].astype(np.uint8), view, 4, fill=255).tolist() == [
        [255, 255, 255, 255],
        [255, 0, 1, 255],
        [255, 2, 3, 255],
        [255, 255, 255, 255],
    ]
    assert view_of_image(image, view, 4)[..., 0].tolist() == [
        [0, 0, 1, 1],
        [0, 0, 1, 1],
        [2, 2, 3, 3],
        [2, 2, 3, 3],
    ]


@pytest.mark.parametrize("scale", [1.0, 6e4, 1e-6])
@pytest.mark.parametrize("n_channels", [1, 4])
def test_colours_change_in_proportion_to_the_range(scale, n_channels):
    image = (np.random.default_rng(0).random((16, 16, n_channels)) * scale).astype(np.float32)
    change = jitter_colours(image, np.random.default_rng(1)) / scale - image / scale
    reference = jitter_colours(image / scale, np.random.default_rng(1)) - image / scale
    np.testing.assert_allclose(change, reference, atol=1e-4)
    assert 1e-3 < np.abs(change).max() < 0.5


def test_colours_next_to_missing_pixels_stay():
    image = np.full((4, 4, 1), np.nan, np.float32)
    np.testing.assert_array_equal(jitter_colours(image, np.random.default_rng(0)), image)


def test_a_narrow_channel_beside_a_wide_one_is_changed_in_proportion_to_itself():
    image = np.random.default_rng(0).random((32, 32, 2)).astype(np.float32) * (1000, 1)
    change = jitter_colours(image.astype(np.float32), np.random.default_rng(1)) - image
    assert np.abs(change[..., 1]).max() < 0.5
    assert np.abs(change[..., 0]).max() < 500
