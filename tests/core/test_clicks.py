"""Click costs of Cai et al. 2021: worked examples, and a count pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core.clicks import (
    Clicks,
    class_clicks,
    intersection_clicks,
    polygon_clicks,
    precise_clicks,
    trace_vertices,
)

SIDES = np.arange(4)


def edge(col: int) -> np.ndarray:
    """A 4x4 box with a vertical edge before a column."""
    return np.broadcast_to(np.where(col > SIDES, 0, 1), (4, 4)).astype(np.uint8)


def corner() -> np.ndarray:
    rows, cols = np.mgrid[:8, :8]
    return ((rows >= 3) & (cols >= 4)).astype(np.uint8)


def inner_square() -> np.ndarray:
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    return truth


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ([[0, 1], [1, 0]], 2),
        ([[0, 255], [0, 255]], 2),
        ([[0, 1, 0]], 3),
        ([[4]], 1),
        ([[1, 0, 1], [0, 0, 0], [1, 0, 1]], 5),
    ],
)
def test_class_clicks_count_components(truth: list[list[int]], expected: int) -> None:
    assert class_clicks(np.array(truth, np.uint8)) == expected


@pytest.mark.parametrize(
    ("truth", "expected", "expected_of_authors"),
    [
        (edge(2), 2, 2),
        (edge(1), 2, 0),
        (edge(3), 2, 2),
        (inner_square(), 0, 0),
        (corner(), 2, 2),
    ],
)
def test_intersection_clicks(truth: np.ndarray, expected: int, expected_of_authors: int) -> None:
    assert intersection_clicks(truth) == expected
    assert intersection_clicks(truth, first_pair=False) == expected_of_authors


def boundary_pixel(row: int, col: int, box: tuple[int, int, int, int], shape: tuple) -> bool:
    """Whether a 4-neighbour of a pixel lies in another rectangle, looked up one by one."""
    row0, col0, row1, col1 = box
    for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
        in_image = 0 <= r < shape[0] and 0 <= c < shape[1]
        if in_image and not (row0 <= r < row1 and col0 <= c < col1):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2, 14, width=32), st.floats(-2, 14, width=32)), min_size=0, max_size=30
    ),
    st.sampled_from([(0, 0, 4, 4), (4, 4, 8, 8), (8, 8, 12, 12), (0, 4, 4, 8), (0, 0, 12, 12)]),
)
def test_polygon_clicks_against_a_plain_count(
    vertices: list[tuple[float, float]], box: tuple[int, int, int, int]
) -> None:
    shape, expected = (12, 12), 0
    for x, y in vertices:
        row, col = int(y), int(x)
        inside = box[0] <= row < box[2] and box[1] <= col < box[3]
        expected += inside and not boundary_pixel(row, col, box, shape)
    assert polygon_clicks(np.array(vertices).reshape(-1, 2), box, shape) == expected


def test_traced_squares_have_four_corners() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[4:9, 4:9] = 1
    truth[12:17, 3:8] = 1
    ones = trace_vertices(np.where(truth == 1, 1, 255).astype(np.uint8))
    assert sorted(map(tuple, ones[:, ::-1].astype(int).tolist())) == sorted(
        [(4, 4), (4, 8), (8, 4), (8, 8), (12, 3), (12, 7), (16, 3), (16, 7)]
    )


def test_precise_clicks_add_up() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:15] = 1
    vertices = np.array([(5, 5), (14, 5), (14, 14), (5, 14)], float)
    # the square crosses the right and the lower border of the upper left rectangle
    assert precise_clicks(truth, (0, 0, 10, 10), vertices) == Clicks(2, 1, 2)
    assert precise_clicks(truth, (0, 0, 20, 20), vertices) == Clicks(2, 4, 0)
    assert precise_clicks(truth, (0, 0, 4, 4), vertices).total == 1
