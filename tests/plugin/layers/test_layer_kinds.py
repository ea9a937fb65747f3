"""How much the surroundings of a region are darkened."""

import numpy as np
import pytest

from napari_al.plugin.layers.layer_kinds import ORDER, relative_dim


@pytest.mark.parametrize(
    ("value", "limits", "dim"),
    [(200, (0, 255), 0.4), (25, (0, 255), 0.08), (0, (0, 255), 0.04), (1500, (1000, 3000), 0.2)],
)
def test_a_dark_picture_is_darkened_less(value, limits, dim):
    assert relative_dim(0.4, np.full((20, 30), value), limits) == pytest.approx(dim)


def test_answers_lie_over_what_is_predicted_and_under_the_question():
    wanted = ("image", "prediction", "answers", "borders", "query", "drawing")
    assert tuple(kind for kind in ORDER if kind in wanted) == wanted
