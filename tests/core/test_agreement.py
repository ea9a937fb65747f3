"""Agreement of acquisition functions: worked examples and a slow reference."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_al.core.agreement import overlap, rank_correlation
from napari_al.errors import InputError


@pytest.mark.parametrize(("b", "expected"), [([1, 2, 3], 1), ([3, 2, 1], -1), ([2, 1, 3], 0.5)])
def test_orders_of_three(b, expected):
    assert rank_correlation(np.arange(3.0), np.array(b, float)) == pytest.approx(expected)


@pytest.mark.parametrize("n_values", [3, 1000])
def test_ties_as_in_scipy(n_values):
    rng = np.random.default_rng(1)
    a, b = rng.integers(n_values, size=(2, 200)).astype(float)
    assert rank_correlation(a, b + a) == pytest.approx(spearmanr(a, b + a).statistic)


def test_what_has_no_order():
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
    assert np.isnan(rank_correlation(np.empty(0), np.empty(0)))
    with pytest.raises(InputError, match="two scores"):
        rank_correlation(np.ones(4), np.ones(3))


def test_overlap():
    assert overlap(np.array([1, 2, 3, 4]), np.array([4, 9, 1])) == 0.5
    assert np.isnan(overlap(np.empty(0, int), np.array([1])))
