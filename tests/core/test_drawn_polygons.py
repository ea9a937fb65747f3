"""Masks and clicks of polygons drawn in a rectangle."""

import numpy as np
import pytest

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.drawn_polygons import cut_by_polygons
from napari_al.core.geometry.masks import Mask

BOX = Mask.from_array(np.ones((10, 20), bool), (5, 5))


def _rectangle(row0, col0, row1, col1):
    return np.array([[row0, col0], [row0, col1], [row1, col1], [row1, col0]], float)


PRECISE = {
    "inside": ([_rectangle(6, 6, 9, 9)], [1], None, Clicks(1, 4, 0), {1: 16}),
    "inside and rest": ([_rectangle(6, 6, 9, 9)], [1], 0, Clicks(2, 4, 0), {1: 16, 0: 184}),
    "across": ([_rectangle(0, 10, 30, 14)], [1], None, Clicks(1, 0, 4), {1: 50}),
    "one side": ([_rectangle(10, 10, 30, 14)], [1], None, Clicks(1, 2, 2), {1: 25}),
    "around": ([_rectangle(0, 0, 40, 40)], [2], 0, Clicks(1, 0, 0), {2: 200}),
    "over": (
        [_rectangle(6, 6, 9, 9), _rectangle(6, 6, 9, 7)],
        [1, 2],
        None,
        Clicks(2, 8, 0),
        {1: 8, 2: 8},
    ),
    "rest only": ([], [], 3, Clicks(1, 0, 0), {3: 200}),
}


@pytest.mark.parametrize(
    ("polygons", "ids", "rest", "clicks", "sizes"), PRECISE.values(), ids=PRECISE
)
def test_precise_pieces_and_clicks(polygons, ids, rest, clicks, sizes):
    parts, spent = cut_by_polygons(polygons, ids, rest, BOX)

    assert spent == clicks
    assert {class_id: mask.size for class_id, mask in parts} == sizes
    covered = sum(mask.to_array((40, 40)).astype(int) for _, mask in parts)
    assert covered.max() == 1
    assert not covered[~BOX.to_array((40, 40))].any()
