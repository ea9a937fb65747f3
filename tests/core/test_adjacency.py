"""Which regions touch: worked examples, and pairs found pixel by pixel."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_al.core.geometry.adjacency import adjacency, borders
from napari_al.errors import InputError

REACH: dict[int, list[tuple[int, int]]] = {
    4: [(0, 1), (1, 0)],
    8: [(0, 1), (1, 0), (1, 1), (1, -1)],
}
REGION_MAPS = hnp.arrays(
    st.sampled_from([np.int32, np.int64, np.int16]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.integers(-2, 12),
)


def pixel_by_pixel(region_map: np.ndarray, connectivity: int) -> list[list[int]]:
    height, width = region_map.shape
    found = set()
    for (row, col), (down, right) in product(np.ndindex(height, width), REACH[connectivity]):
        if row + down < height and 0 <= col + right < width:
            a, b = int(region_map[row, col]), int(region_map[row + down, col + right])
            if a != b and a >= 0 and b >= 0:
                found.add((min(a, b), max(a, b)))
    return [list(pair) for pair in sorted(found)]


@pytest.mark.parametrize(
    ("region_map", "connectivity", "expected"),
    [
        ([[0, 1], [2, 0]], 4, [[0, 1], [0, 2]]),
        ([[0, 1], [1, 2]], 4, [[0, 1], [1, 2]]),
        ([[0, 1], [1, 2]], 8, [[0, 1], [0, 2], [1, 2]]),
        ([[0, 1], [2, 3]], 8, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]),
        ([[0, -1, 1]], 4, []),
        ([[5]], 4, []),
        ([[7, 7], [7, 7]], 8, []),
        ([[2147483647, 0]], 4, [[0, 2147483647]]),
    ],
)
def test_worked_examples(
    region_map: list[list[int]], connectivity: Literal[4, 8], expected: list[list[int]]
) -> None:
    edges = adjacency(np.array(region_map), connectivity)
    assert edges.dtype == np.int32
    assert edges.shape == (len(expected), 2)
    assert edges.tolist() == expected


@pytest.mark.parametrize("connectivity", [4, 8])
@given(region_map=REGION_MAPS)
@settings(max_examples=80, deadline=None)
def test_pixel_by_pixel(connectivity: Literal[4, 8], region_map: np.ndarray) -> None:
    expected = pixel_by_pixel(region_map, connectivity)
    assert adjacency(region_map, connectivity).tolist() == expected


@given(region_map=REGION_MAPS)
@settings(max_examples=40, deadline=None)
def test_turning_the_image_changes_nothing(region_map: np.ndarray) -> None:
    for connectivity in (4, 8):
        edges = adjacency(region_map, connectivity)
        np.testing.assert_array_equal(adjacency(np.rot90(region_map), connectivity), edges)


def test_unsigned_ids() -> None:
    assert adjacency(np.array([[255, 0]], np.uint8)).tolist() == [[0, 255]]


def test_an_image_is_no_region_map() -> None:
    with pytest.raises(InputError, match=r"\(2, 2, 3\)"):
        adjacency(np.zeros((2, 2, 3), int))


def test_borders_are_on_one_side():
    region_map = np.repeat(np.arange(3, dtype=np.int32), 4)[None].repeat(5, 0)
    assert np.array_equal(np.flatnonzero(borders(region_map)[0]), [3, 7])
