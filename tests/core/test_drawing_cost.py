"""Corners of region outlines."""

import numpy as np
import pytest

from napari_al.core.geometry.drawing_cost import n_corners
from napari_al.core.geometry.masks import Mask


@pytest.mark.parametrize(
    ("inside", "n"),
    [
        (np.ones((9, 14), bool), 4),
        (np.tri(40, 40, dtype=bool), 3),
        (np.ones((40, 40), bool) & (np.mgrid[:40, :40] < 20).any(0), 6),  # an L
        (((np.mgrid[:30, :30] - 14.5) ** 2 < 26).any(0), 12),  # a plus
        ((np.mgrid[:20, :20] // 5 % 4 % 3 == 1).all(0), 4),
        ((np.mgrid[:26, :26] % 13 < 8).all(0), 16),  # four pieces
        (((np.mgrid[:40, :40] - 19.5) ** 2 > 100).any(0), 8),  # a hole
    ],
    ids=["rectangle", "triangle", "L", "plus", "square", "pieces", "hole"],
)
def test_corners_are_those_that_a_hand_counts(inside, n):
    assert n_corners(Mask.from_array(inside)) == n
