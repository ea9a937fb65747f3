"""Which type of query a region is asked: by expected gain a second."""

from __future__ import annotations

import numpy as np
import pytest

from napari_al.core.query_choice import MIN_SHARE, multi_class_gains_more


@pytest.mark.parametrize(
    ("pixels", "asks_all"),
    [
        # of 100 pixels; in brackets: gain a second of the dominant and the multi-class query
        ([100, 0, 0], False),  # (0.4167, 0.3750)
        ([96, 4, 0], False),  # (0.3833, 0.3750): the second class is too small to cost a click
        ([94, 3, 3], True),  # (0.3667, 0.3750)
        ([83, 17, 0], False),  # (0.2750, 0.2727)
        ([82, 18, 0], True),  # (0.2667, 0.2727)
        ([76, 18, 6], False),  # (0.2167, 0.2143): a third class makes the answer dearer
        ([75, 19, 6], True),  # (0.2083, 0.2143)
        ([34, 33, 33], True),  # (-0.1333, 0.2143)
    ],
)
def test_by_gain_a_second(pixels: list[int], asks_all: bool) -> None:
    chosen = multi_class_gains_more(np.array([pixels]), (2.4, 0.9), 0.9)
    assert chosen.tolist() == [asks_all]


def test_dearer_clicks_and_poorer_localisation_ask_for_the_dominant_class() -> None:
    pixels = np.array([[70, 30]])  # 0.4 of the region is gained
    assert multi_class_gains_more(pixels, (1.0, 1.0), 0.9).tolist() == [True]  # 0.45
    assert multi_class_gains_more(pixels, (1.0, 1.5), 0.9).tolist() == [False]  # 0.36
    assert multi_class_gains_more(pixels, (1.0, 1.0), 0.7).tolist() == [False]  # 0.35
    assert multi_class_gains_more(pixels, (1.0, 0.0), 0.41).tolist() == [True]


def test_against_a_loop_over_the_regions() -> None:
    rng = np.random.default_rng(3)
    histogram = rng.multinomial(200, rng.dirichlet([0.3] * 5), 300).astype(np.int32)
    histogram[rng.random(300) < 0.3, 1:] = 0
    histogram[histogram.sum(axis=1) == 0, 0] = 1
    first, further, localised = 2.0, 0.5, 0.8
    expected = []
    for row in histogram.tolist():
        total = sum(row)
        clicks = sum(n / total >= MIN_SHARE for n in row)
        right, wrong = max(row) / total, 1 - max(row) / total
        gain_of_all = localised / (first + further * (clicks - 1))
        expected.append(gain_of_all > (right - wrong) / first)
    chosen = multi_class_gains_more(histogram, (first, further), localised)
    assert chosen.tolist() == expected
    assert 0 < chosen.mean() < 1
