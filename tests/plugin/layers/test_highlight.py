"""The highlight picture, pixel by pixel."""

import numpy as np
import pytest

from napari_al.core.geometry.masks import Mask
from napari_al.plugin.layers import highlight
from napari_al.plugin.layers.highlight import CLEAR, DARK, DIM, LIGHT


def _mask(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    inside = np.zeros(shape, bool)
    for row0, col0, row1, col1 in boxes:
        inside[row0:row1, col0:col1] = True
    return inside


CASES = {
    "middle": _mask((40, 50), (10, 12, 20, 30)),
    "corner": _mask((40, 50), (0, 0, 9, 9)),
    "half": _mask((40, 50), (0, 0, 40, 25)),
    "one pixel": _mask((40, 50), (39, 49, 40, 50)),
    "pieces": _mask((40, 50), (1, 1, 3, 3), (30, 40, 35, 45)),
    "all": _mask((40, 50), (0, 0, 40, 50)),
}


@pytest.mark.parametrize("inside", CASES.values(), ids=CASES)
@pytest.mark.parametrize("texel_px", [0.3, 1.0, 6.0])
def test_the_region_stays_free_and_everything_far_is_dimmed(inside, texel_px):
    picture = highlight.blank(inside.shape)
    k = highlight.fineness(inside.shape)

    highlight.draw(picture, Mask.from_array(inside), texel_px=texel_px, k=k)

    fine = inside.repeat(k, 0).repeat(k, 1)
    ring = max(fine.sum(0).astype(bool).sum(), fine.sum(1).astype(bool).sum()) * texel_px < 22
    line = max(1, round(2 / texel_px))
    within = np.zeros_like(fine)
    within[2 * line : -2 * line, 2 * line : -2 * line] = True  # not a line at the picture's edge
    if not ring:
        assert np.array_equal((picture == CLEAR) & within, fine & within)
        assert not (picture == CLEAR)[~fine].any()
    assert set(np.unique(picture)) <= {CLEAR, DIM, LIGHT, DARK}
    if not inside.all():
        # the light line touches the region, the dark one does not
        touching = highlight.dilated(fine, 1) & ~fine
        assert (picture[touching] == LIGHT).all()


@pytest.mark.parametrize("name", ["half", "all", "corner"])
def test_the_outline_is_closed_where_the_region_ends_with_the_picture(name):
    inside = CASES[name]
    picture, k = highlight.blank(inside.shape), highlight.fineness(inside.shape)

    highlight.draw(picture, Mask.from_array(inside), texel_px=1.0, k=k)

    fine = inside.repeat(k, 0).repeat(k, 1)
    for side, mine in ((picture, fine), (picture.T, fine.T)):
        assert (side[0][mine[0]] == DARK).all()
        assert np.isin(side[2][mine[2]], (LIGHT, DARK)).all()
        assert (side[2][mine[2]] == LIGHT).sum() > 10
    assert (picture == CLEAR).sum() > 0.8 * fine.sum()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_dilation_is_a_square(n):
    inside = np.zeros((31, 31), bool)
    inside[15, 15] = True

    grown = highlight.dilated(inside, n)

    assert np.array_equal(grown, _mask((31, 31), (15 - n, 15 - n, 16 + n, 16 + n)))


def test_lines_keep_their_thickness_on_screen():
    inside = CASES["middle"]
    k = highlight.fineness(inside.shape)
    thick = {}
    for texel_px in (0.25, 0.5, 1.0, 2.0):
        picture = highlight.blank(inside.shape)
        highlight.draw(picture, Mask.from_array(inside), texel_px=texel_px, k=k)
        thick[texel_px] = int((picture[15 * k] == LIGHT).sum()) / 2 * texel_px
    assert set(thick.values()) == {2.0}


def test_a_tiny_region_gets_a_ring_and_a_large_one_none():
    k = highlight.fineness((200, 200))
    small, large = highlight.blank((200, 200)), highlight.blank((200, 200))
    highlight.draw(small, Mask.from_array(_mask((200, 200), (99, 99, 101, 101))), texel_px=1, k=k)
    highlight.draw(large, Mask.from_array(_mask((200, 200), (50, 50, 150, 150))), texel_px=1, k=k)
    far = 100 * k + 26  # screen pixels from the centre, where the ring is
    assert small[100 * k, far] == LIGHT
    assert large[100 * k, 100 * k] == CLEAR


def test_marks_leave_the_pixel_in_question_free():
    k = highlight.fineness((60, 60))
    picture = highlight.blank((60, 60))
    inside = _mask((60, 60), (20, 20, 40, 40))

    highlight.draw(
        picture,
        Mask.from_array(inside),
        texel_px=4,
        k=k,
        marks=highlight.Marks(pixel_rc=(30, 31), box=True),
    )

    assert (picture[30 * k : 31 * k, 31 * k : 32 * k] == CLEAR).all()
    assert LIGHT in picture[20 * k : 40 * k, 20 * k : 40 * k]


@pytest.mark.parametrize("shape", [(1, 1), (360, 480), (1024, 2048), (5000, 5000)])
def test_pictures_stay_small(shape):
    k = highlight.fineness(shape)
    assert k >= 1
    assert k == 1 or k * k * shape[0] * shape[1] <= highlight.MAX_TEXELS
