"""Channels as pictures in colours."""

import numpy as np
import pytest

from napari_al.plugin.layers.channel_view import ChannelView, composite, default_view
from napari_al.plugin.layers.picture_store import displayed

PIXELS = np.random.default_rng(0).integers(0, 200, (5, 6, 4)).astype(np.uint8)


@pytest.mark.parametrize("n_channels", [2, 3, 4])
def test_what_is_shown_at_first(n_channels):
    pixels = PIXELS[..., :n_channels]
    shown = displayed(pixels)
    expected = pixels[..., [0, 1, 0]] if n_channels == 2 else pixels[..., :3]
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_array_equal(composite(pixels, default_view(n_channels)), expected)


def test_channels_add_up_in_their_colours():
    view = (ChannelView(3, "yellow"), ChannelView(0, "red"))
    shown = displayed(PIXELS, (), view)
    red = np.minimum(PIXELS[..., 3].astype(int) + PIXELS[..., 0], 255)
    np.testing.assert_array_equal(shown, np.stack([red, PIXELS[..., 3], 0 * red], axis=2))
    grey = displayed(PIXELS, (), (ChannelView(2, "grey"),))
    np.testing.assert_array_equal(grey, PIXELS[..., [2, 2, 2]])
    assert not displayed(PIXELS, (), ()).any()


def test_each_channel_is_stretched_by_its_range():
    pixels = PIXELS.astype(np.uint16) * 100
    ranges = [(0.0, 10_000.0)] * 3 + [(0.0, 20_000.0)]
    shown = displayed(pixels, ranges, (ChannelView(3, "green"),))
    np.testing.assert_array_equal(shown[..., 1], (pixels[..., 3] * (255 / 20_000)).astype(np.uint8))
