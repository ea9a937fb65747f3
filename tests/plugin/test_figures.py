"""Advice, ledgers, cutting and joining regions: numbers in, numbers out."""

import numpy as np
import pytest

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.plugin import advice, outlines, reshape
from napari_al.plugin.control import coverage_statistics
from napari_al.session.log.records import Answer, Query, Region


def _rows(*points):
    return [{"clicks": str(c), "model_miou": "" if m is None else str(m)} for c, m in points]


@pytest.mark.parametrize("rows", [_rows(), _rows((100, 0.3)), _rows((0, 0.2), (100, 0.3))])
def test_no_advice_before_two_rounds(rows):
    assert advice.advise(rows) is None


def test_the_last_gain_is_per_100_clicks():
    found = advice.advise(_rows((100, 0.3), (300, 0.34)))
    assert found.last == pytest.approx(0.02)
    assert found.expected is None


def test_a_logarithmic_curve_is_foretold_exactly():
    clicks = [100, 200, 300, 400, 500]
    found = advice.advise(_rows(*((c, 0.2 + 0.05 * np.log(c)) for c in clicks)))
    assert found.expected == pytest.approx(0.05 * np.log(600 / 500))
    assert found.low == pytest.approx(found.high)
    assert not found.may_stop


def test_noise_widens_the_interval_and_a_flat_curve_says_stop():
    noisy = advice.advise(_rows((100, 0.3), (200, 0.36), (300, 0.33), (400, 0.38)))
    assert noisy.high - noisy.low > 0.02
    flat = advice.advise(_rows(*((c, 0.5 + c * 1e-8) for c in range(500, 1100, 100))))
    assert flat.may_stop
    assert "stop" in advice.in_words(flat)


def _query(inside, origin=(0, 0), ids=(1,)):
    return Query(Region("a", ids, Mask.from_array(inside, origin)), "dominant", 0.5, 1, 0)


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
    assert outlines.n_corners(Mask.from_array(inside)) == n


def test_a_ledger_knows_pixels_by_class():
    square = _query(np.ones((5, 5), bool))
    answers = [
        Answer(square, (2,), Clicks(1)),
        Answer(square, (1, 2), Clicks(2)),
        Answer(square, (), Clicks(1), outcome="unsure"),
    ]
    found = coverage_statistics.Bookkeeper().balance(answers)
    assert found.px_by_class == {2: 25}
    assert found.drawn_clicks >= 15


def test_split_follows_colour():
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 25:] = (200, 150, 0)
    query = _query(np.ones((20, 30), bool), (5, 5))

    larger, smaller = reshape.split(query, image)

    assert larger.region.mask.box == (5, 5, 25, 25)
    assert smaller.region.mask.box == (5, 25, 25, 35)
    assert larger.region.ids == smaller.region.ids == (1,)


@pytest.mark.parametrize("shape", [(1, 2), (7, 1), (30, 30)])
def test_split_halves_what_looks_alike(shape):
    inside = np.ones(shape, bool)
    larger, smaller = reshape.split(_query(inside), np.full((40, 40), 7, np.uint8))
    both = [part.region.mask.to_array((40, 40)) for part in (larger, smaller)]
    assert (both[0] ^ both[1])[: shape[0], : shape[1]].all()
    assert not (both[0] & both[1]).any()


def test_a_pixel_cannot_be_split():
    with pytest.raises(InputError, match="single pixel"):
        reshape.split(_query(np.ones((1, 1), bool)), np.zeros((4, 4), np.uint8))


def test_join_adds_and_takes_out():
    region_map = np.repeat(np.arange(3, dtype=np.int32), 4)[None].repeat(5, 0)
    query = _query(region_map == 1, ids=(1,))

    joined = reshape.join(query, region_map, (2, 0))

    assert joined.region.ids == (0, 1)
    assert joined.region.mask.size == 40
    assert reshape.join(joined, region_map, (4, 3)).region == query.region
    for position in ((2, 5), (99, 0)):
        with pytest.raises(InputError):
            reshape.join(query, region_map, position)
