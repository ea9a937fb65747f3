"""Arithmetic of comparisons between runs."""

from __future__ import annotations

import math

import pytest

from napari_al.simulate.studies import area_over_log_clicks, sign_test


def test_area_is_the_mean_on_a_logarithmic_axis() -> None:
    # straight on the logarithmic axis: the mean is half way
    assert area_over_log_clicks([10, 1000], [0.2, 0.6], 10, 1000) == pytest.approx(0.4)
    # a part of it
    assert area_over_log_clicks([10, 1000], [0.2, 0.6], 100, 1000) == pytest.approx(0.5)
    # level before the first round and after the last
    assert area_over_log_clicks([100], [0.3], 10, 1000) == pytest.approx(0.3)
    # two decades at 0 to 1 and at 1
    assert area_over_log_clicks([1, 10, 100], [0, 1, 1], 1, 100) == pytest.approx(0.75)


def test_sign_test_is_that_of_coins() -> None:
    assert sign_test(5, 0) == sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(4, 1) == pytest.approx(2 * 6 / 32)
    assert sign_test(3, 3) == 1.0
    assert sign_test(0, 0) == 1.0
    assert sign_test(20, 4) == pytest.approx(2 * sum(math.comb(24, k) for k in range(5)) / 2**24)
