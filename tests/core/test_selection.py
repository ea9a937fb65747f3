"""Ranking and batches: Algorithm 1 of Cai et al. 2021, and what must never be asked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_al.core import selection
from napari_al.core.selection import rank, select_batch
from napari_al.errors import InputError

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


def loop(scores: np.ndarray, costs: np.ndarray, budget: float, excluded: np.ndarray) -> list[float]:
    """Scores of the batch: take the best that is left until the budget is reached."""
    left = [
        (float(score), i)
        for i, score in enumerate(scores)
        if not math.isnan(score) and score != -math.inf and not excluded[i]
    ]
    taken, spent = [], 0.0
    while left and spent < budget:
        best = max(left)
        left.remove(best)
        taken.append(best[0])
        spent += costs[best[1]]
    return taken


@pytest.mark.parametrize(
    ("costs", "budget", "n_taken", "spent"),
    [
        ([3, 4, 5], 6, 2, 7),
        ([3, 4, 5], 7, 2, 7),
        ([3, 4, 5], 8, 3, 12),
        ([3, 4, 5], 0, 0, 0),
        ([3, 4, 5], -1, 0, 0),
        ([3, 4, 5], 99, 3, 12),
        ([3, 4, 5], math.inf, 3, 12),
        # the following stop at the budget; the authors of the multi-class query stop beyond it
        ([1, 2, 1, 3, 1], 4, 3, 4),
        ([1, 2, 1, 3, 1], 4 + 0.5, 4, 7),
        ([2, 2, 2], 4, 2, 4),
        ([2, 2, 2], 4 + 0.5, 3, 6),
        ([3, 3], 2, 1, 3),
        ([0, 1, 0, 1, 1], 1, 2, 1),
        ([0, 1, 0, 1, 1], 1 + 0.5, 4, 2),
        ([0, 0], 1, 2, 0),
        ([], 3, 0, 0),
    ],
)
def test_batches(costs: list[int], budget: float, n_taken: int, spent: float) -> None:
    scores = np.arange(len(costs), 0.0, -1)
    batch = select_batch(scores, np.array(costs, float), budget, rng())
    assert batch.tolist() == list(range(n_taken))
    assert sum(costs[i] for i in batch) == spent


@given(scores=SCORES, seed=SEEDS, budget=st.integers(-1, 40))
@settings(max_examples=100, deadline=None)
def test_algorithm_1(scores: np.ndarray, seed: int, budget: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 4, len(scores))
    excluded = np.random.default_rng(seed).random(len(scores)) < 0.3
    batch = select_batch(scores, costs, budget, rng(seed), excluded)
    one_cost = np.ones_like(costs)  # equal scores may then change places
    taken = select_batch(scores, one_cost, budget, rng(seed), excluded)
    assert scores[taken].tolist() == loop(scores, one_cost, budget, excluded)

    assert len(set(batch.tolist())) == len(batch)
    assert not excluded[batch].any()
    assert (scores[batch] > -np.inf).all()
    assert (np.diff(scores[batch][scores[batch] < np.inf]) <= 0).all()
    spent = costs[batch].sum()
    n_askable = ((scores > -np.inf) & ~excluded).sum()
    if 0 < len(batch) < n_askable:
        assert spent - costs[batch[-1]] < budget <= spent
    elif len(batch) == 0:
        assert budget <= 0 or n_askable == 0


@pytest.mark.parametrize("first_guess", [1, 3, 1024])
@given(scores=SCORES, seed=SEEDS, budget=st.integers(1, 70))
@settings(max_examples=50, deadline=None)
def test_a_batch_is_where_the_ranking_begins(
    first_guess: int, scores: np.ndarray, seed: int, budget: int
) -> None:
    """However much of the pool is sorted first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_FIRST_GUESS", first_guess)
        batch = select_batch(scores, np.ones(len(scores), int), budget, rng(seed))
    assert batch.tolist() == rank(scores, rng(seed))[:budget].tolist()


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
    expected = select_batch(scores, np.ones(3000), 2000, rng(3))
    batch = select_batch(scores[order], np.ones(3000), 2000, rng(4))
    np.testing.assert_array_equal(order[batch], expected)


def test_ties_are_drawn_by_seed() -> None:
    scores = np.array([1.0, 2.0, 2.0, 2.0, 0.0])
    first = Counter(int(rank(scores, rng(seed))[0]) for seed in range(600))
    assert set(first) == {1, 2, 3}
    assert min(first.values()) > 150
    assert {tuple(rank(scores, rng(seed))[3:].tolist()) for seed in range(20)} == {(0, 4)}


@pytest.mark.parametrize("costs", [[1, 1], [1, -1, 1], [1, math.nan, 1], [[1, 1, 1]]])
def test_costs_that_do_not_fit(costs: list[float]) -> None:
    with pytest.raises(InputError, match="each of 3 regions"):
        select_batch(np.ones(3), np.array(costs), 1, rng())
