"""How much the surroundings of a region are darkened."""

import numpy as np
import pytest

from napari_al.plugin.layers.highlight import CLEAR, DARK, LIGHT
from napari_al.plugin.layers.layer_kinds import ORDER, dim_code, query_colors

CLEAR_WHITE_BLACK = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("value", "limits", "alpha"),
    [(200, (0, 255), 0.4), (25, (0, 255), 0.08), (0, (0, 255), 0.04), (1500, (1000, 3000), 0.2)],
)
def test_a_dark_picture_is_darkened_less(value, limits, alpha):
    code = dim_code(np.full((20, 30), value), limits)
    colors = query_colors(0.4).colors
    assert colors[code].tolist() == pytest.approx([0, 0, 0, alpha])
    np.testing.assert_array_equal(colors[[CLEAR, LIGHT, DARK]].tolist(), CLEAR_WHITE_BLACK)


def test_answers_lie_over_what_is_predicted_and_under_the_question():
    wanted = ("image", "prediction", "answers", "borders", "query", "drawing")
    assert tuple(kind for kind in ORDER if kind in wanted) == wanted
