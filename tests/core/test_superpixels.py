"""Base regions: odd images, any number asked for, SEEDS as OpenCV makes it of three channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core.opencv import cv2
from napari_al.core.superpixels import SUPERPIXELS, seeds_count, seeds_layout, superpixels
from napari_al.errors import InputError

RNG = np.random.default_rng(0)

ODD_IMAGES: dict[str, np.ndarray] = {
    "1x1": RNG.random((1, 1, 3)),
    "1x40": RNG.random((1, 40, 3)),
    "40x1": RNG.random((40, 1, 3)),
    "7x5": RNG.integers(0, 256, (7, 5, 3)).astype(np.uint8),
    "grey": RNG.integers(0, 256, (30, 41)).astype(np.uint8),
    "one channel": RNG.random((30, 41, 1)).astype(np.float32),
    "two channels": RNG.random((33, 20, 2)),
    "five channels": RNG.random((33, 20, 5)),
    "bool": RNG.random((31, 40)) > 0.5,
    "uint16": RNG.integers(0, 65536, (31, 40, 3)).astype(np.uint16),
    "int32": RNG.integers(-(10**6), 10**6, (31, 40, 4)).astype(np.int32),
    "float16": RNG.normal(size=(31, 40, 3)).astype(np.float16),
    "negative": RNG.normal(-3, 1, (31, 40, 3)),
    "huge": RNG.normal(size=(31, 40, 5)) * 1e300,
    "constant": np.full((31, 40, 3), 7, np.uint8),
    "constant, five channels": np.full((31, 40, 5), -7.0),
}


def smooth_image(seed: int, height: int = 96, width: int = 128, n_channels: int = 3) -> np.ndarray:
    """Coloured patches with noise, uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, n_channels)).astype(np.float32)
    image = cv2.resize(coarse, (width, height)) + rng.normal(0, 5, (height, width, n_channels))
    return np.clip(image, 0, 255).astype(np.uint8)


def assert_is_region_map(region_map: np.ndarray, shape: tuple[int, ...]) -> None:
    assert region_map.dtype == np.int32
    assert region_map.shape == shape
    assert region_map.min() == 0
    assert (np.bincount(region_map.ravel()) > 0).all(), "ids have a gap"


@pytest.mark.parametrize("kind", SUPERPIXELS)
@pytest.mark.parametrize("n_per_image", [1, 20, 5000])
@pytest.mark.parametrize("name", ODD_IMAGES)
def test_odd_images_get_contiguous_ids(kind: str, n_per_image: int, name: str) -> None:
    image = ODD_IMAGES[name]
    before = image.copy()
    region_map = superpixels(image, kind, n_per_image=n_per_image, side_px=6)
    assert_is_region_map(region_map, image.shape[:2])
    np.testing.assert_array_equal(image, before)
    again = superpixels(image, kind, n_per_image=n_per_image, side_px=6)
    np.testing.assert_array_equal(region_map, again)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    n_per_image=st.integers(1, 300),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_seeds_makes_about_the_number_asked_for(
    height: int, width: int, n_per_image: int, seed: int
) -> None:
    image = smooth_image(seed, height, width)
    region_map = superpixels(image, "seeds", n_per_image=n_per_image)
    assert_is_region_map(region_map, (height, width))
    n_regions = int(region_map.max()) + 1
    assert min(n_per_image, height * width) / 2 <= n_regions <= 2 * n_per_image


@pytest.mark.parametrize(
    ("height", "width", "n_asked", "expected"),
    [(375, 500, 200, 165), (1024, 2048, 2048, 2048), (1024, 2048, 8192, 8192)],
)
def test_number_of_seeds_with_the_papers_settings(
    height: int, width: int, n_asked: int, expected: int
) -> None:
    assert seeds_count(height, width, n_asked, 5) == expected
    assert seeds_layout(height, width, n_asked) == (n_asked, 5)


@pytest.mark.parametrize("shape", [(96, 128), (375, 500), (61, 200), (33, 47)])
@pytest.mark.parametrize("n_superpixels", [20, 200])
def test_seeds_count_is_what_opencv_makes(shape: tuple[int, int], n_superpixels: int) -> None:
    height, width = shape
    for n_levels in range(2, 6):
        expected = seeds_count(height, width, n_superpixels, n_levels)
        if expected:
            seeds = cv2.ximgproc.createSuperpixelSEEDS(width, height, 1, n_superpixels, n_levels)
            assert seeds.getNumberOfSuperpixels() == expected


@pytest.mark.parametrize("seed", range(3))
def test_seeds_of_three_channels(seed: int) -> None:
    """The cut from histogram bins in one channel is the one that OpenCV makes of HSV."""
    image = smooth_image(seed, 128, 160)
    counts = np.bincount(image.ravel(), minlength=256)
    equalised = (np.cumsum(counts) / image.size)[image].astype(np.float32)
    hsv = cv2.cvtColor(equalised, cv2.COLOR_RGB2HSV)
    n_superpixels, n_levels = seeds_layout(128, 160, 100) or (0, 0)
    seeds = cv2.ximgproc.createSuperpixelSEEDS(160, 128, 3, n_superpixels, n_levels, 3, 10, True)
    seeds.iterate(hsv, 10)
    expected = np.unique(seeds.getLabels(), return_inverse=True)[1].reshape(128, 160)
    np.testing.assert_array_equal(superpixels(image, "seeds", n_per_image=100), expected)


def test_hue_in_degrees_only_tells_red_from_the_rest() -> None:
    image = smooth_image(5)
    by_degrees = superpixels(image, "seeds", n_per_image=50, seeds_hue="degrees")
    by_unit = superpixels(image, "seeds", n_per_image=50, seeds_hue="unit")
    assert (by_degrees != by_unit).any()


@pytest.mark.parametrize("kind", ["seeds", "slic"])
@pytest.mark.parametrize("n_channels", [1, 3, 5])
def test_regions_follow_edges(kind: str, n_channels: int) -> None:
    image = np.zeros((64, 64, n_channels), np.uint8)
    image[:, 27:] = 200
    region_map = superpixels(image, kind, n_per_image=36)
    in_both = np.intersect1d(region_map[:, :27], region_map[:, 27:])
    assert in_both.size == 0


@pytest.mark.parametrize("kind", SUPERPIXELS)
def test_range_of_values_does_not_matter(kind: str) -> None:
    image = smooth_image(3)
    np.testing.assert_array_equal(
        superpixels(image, kind, n_per_image=40),
        superpixels(image.astype(np.float64) * 4 - 512, kind, n_per_image=40),
    )


@pytest.mark.parametrize(("height", "width", "side_px"), [(5, 7, 3), (64, 64, 32), (4, 4, 9)])
def test_grid_is_squares_row_by_row(height: int, width: int, side_px: int) -> None:
    region_map = superpixels(np.zeros((height, width, 3)), "grid", side_px=side_px)
    n_cols = -(-width // side_px)
    for row in range(height):
        for col in range(width):
            assert region_map[row, col] == row // side_px * n_cols + col // side_px


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (np.zeros((4, 4, 3)), {"kind": "hexagons"}, "seeds, slic, grid"),
        (np.zeros(4), {}, r"\(4,\)"),
        (np.zeros((0, 4, 3)), {}, r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3)), {"n_per_image": 0}, "at least 1"),
        (np.zeros((4, 4, 3)), {"side_px": 0}, "at least 1"),
        (np.full((4, 4, 3), np.nan), {}, "NaN"),
        (np.full((4, 4, 3), np.inf), {}, "infinite"),
    ],
)
def test_what_cannot_be_cut(image: np.ndarray, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        superpixels(image, **{"kind": "grid", **arguments})


def test_slic_sees_a_narrow_channel_beside_a_wide_one():
    rows = np.arange(60.0)[:, None] * 1000
    image = np.stack([np.broadcast_to(rows, (60, 80)), np.zeros((60, 80))], axis=-1)
    image[:, 40:, 1] = 0.5
    image[:2, :2, 0] = -1e9  # a few outliers must not flatten the rest
    region_map = superpixels(image, "slic", n_per_image=12)
    sides = [np.unique(region_map[:, part]) for part in (slice(0, 38), slice(42, 80))]
    assert not set(sides[0]) & set(sides[1])
