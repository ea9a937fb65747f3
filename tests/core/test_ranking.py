"""Ranking: best first, ties by seed, and what must never be asked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_al.core.acquisition import rank

SCORES = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 60),
    elements=st.one_of(
        st.integers(-3, 3).map(float), st.sampled_from([math.nan, math.inf, -math.inf])
    ),
)
SEEDS = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(scores=SCORES, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_ranking(scores: np.ndarray, seed: int) -> None:
    order = rank(scores, rng(seed))
    assert order.tolist() == rank(scores, rng(seed)).tolist()
    assert sorted(order.tolist()) == np.flatnonzero(scores > -np.inf).tolist()
    assert scores[order].tolist() == sorted(scores[order].tolist(), reverse=True)


def test_without_ties_the_order_of_the_pool_does_not_matter() -> None:
    scores = rng(1).random(3000)
    order = rng(2).permutation(3000)
    np.testing.assert_array_equal(order[rank(scores[order], rng(4))], rank(scores, rng(3)))


def test_ties_are_drawn_by_seed() -> None:
    scores = np.array([1.0, 2.0, 2.0, 2.0, 0.0])
    first = Counter(int(rank(scores, rng(seed))[0]) for seed in range(600))
    assert set(first) == {1, 2, 3}
    assert min(first.values()) > 150
    assert {tuple(rank(scores, rng(seed))[3:].tolist()) for seed in range(20)} == {(0, 4)}
