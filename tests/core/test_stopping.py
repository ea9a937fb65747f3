"""Expected gain of the next clicks; prequential accuracy and its interval: worked numbers."""

import numpy as np
import pytest

from napari_al.core.stopping import Share, estimate_gain, moving_accuracy, wilson_interval


def _gain(*points):
    return estimate_gain([c for c, _ in points], [m for _, m in points])


@pytest.mark.parametrize("points", [[], [(100, 0.3)], [(0, 0.2), (100, 0.3)]])
def test_no_advice_before_two_rounds(points):
    assert _gain(*points) is None


def test_the_last_gain_is_per_100_clicks():
    found = _gain((100, 0.3), (300, 0.34))
    assert found.last == pytest.approx(0.02)
    assert found.expected is None


def test_a_logarithmic_curve_is_foretold_exactly():
    clicks = [100, 200, 300, 400, 500]
    found = _gain(*((c, 0.2 + 0.05 * np.log(c)) for c in clicks))
    assert found.expected == pytest.approx(0.05 * np.log(600 / 500))
    assert found.low == pytest.approx(found.high)
    assert not found.may_stop


def test_noise_widens_the_interval_and_a_flat_curve_says_stop():
    noisy = _gain((100, 0.3), (200, 0.36), (300, 0.33), (400, 0.38))
    assert noisy.high - noisy.low > 0.02
    flat = _gain(*((c, 0.5 + c * 1e-8) for c in range(500, 1100, 100)))
    assert flat.may_stop


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        # by hand: centre (5 + 1.9207) / (10 + 3.8415) = 0.5, half width 1.95996 / 13.8415 * 1.8602
        (5, 10, 0.2366, 0.7634),
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, row 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(n_right, n, low, high):
    assert wilson_interval(n_right, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("n_right", "n"), [(-1, 3), (4, 3)])
def test_wilson_interval_of_impossible_counts(n_right, n):
    with pytest.raises(ValueError, match="n_right <= n was expected"):
        wilson_interval(n_right, n)


def test_wilson_interval_solves_the_score_equation():
    for end in wilson_interval(17, 23):
        deviation = abs(17 / 23 - end)
        assert deviation == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / 23), rel=1e-6)


def test_share_of_no_answers_is_not_known():
    assert Share(0, 0).value is None
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(3, 4).value == 0.75


@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 23])
def test_moving_accuracy(n):
    was_right = np.random.default_rng(n).random(n) < 0.6
    expected = [was_right[max(0, i - 4) : i + 1].mean() for i in range(n)]
    np.testing.assert_allclose(moving_accuracy(was_right.tolist(), window=5), expected)


def test_stopping_is_reasonable_once_the_lower_bound_is_high():
    assert Share(60, 60).may_stop
    assert not Share(56, 60).may_stop
    assert not Share(5, 5).may_stop
