"""Expected gain of the next clicks, against curves whose gain is known."""

import numpy as np
import pytest

from napari_al.core.stopping import estimate_gain


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
