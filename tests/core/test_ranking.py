"""Ranking: best first, ties by seed, and what must never be asked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_al.core import acquisition
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
    order = rank(scores, (seed,))
    assert order.tolist() == rank(scores, (seed,)).tolist()
    assert sorted(order.tolist()) == np.flatnonzero(scores > -np.inf).tolist()
    assert scores[order].tolist() == sorted(scores[order].tolist(), reverse=True)


def test_without_ties_the_order_of_the_pool_does_not_matter() -> None:
    scores = rng(1).random(3000)
    order = rng(2).permutation(3000)
    np.testing.assert_array_equal(order[rank(scores[order], (4,))], rank(scores, (3,)))


@given(scores=SCORES, n_best=st.integers(0, 70), block=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_the_best_of_blocks_are_where_the_order_begins(
    scores: np.ndarray, n_best: int, block: int
) -> None:
    counts = np.arange(len(scores)) % 3 != 0
    whole = rank(scores, (5, 1), may_be_asked=lambda rows: counts[rows])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acquisition, "BLOCK_ROWS", block)
        best = rank(scores, (5, 1), n_best, lambda rows: counts[rows])
    assert best.tolist() == whole[:n_best].tolist()
    assert set(whole) <= set(np.flatnonzero(counts))


def test_ties_are_drawn_by_seed() -> None:
    scores = np.array([1.0, 2.0, 2.0, 2.0, 0.0])
    first = Counter(int(rank(scores, (seed,))[0]) for seed in range(600))
    assert set(first) == {1, 2, 3}
    assert min(first.values()) > 150
    assert {tuple(rank(scores, (seed,))[3:].tolist()) for seed in range(20)} == {(0, 4)}
