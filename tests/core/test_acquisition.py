"""Acquisition functions: worked examples of the papers' equations, and loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core.acquisition import (
    alternating,
    bvsb,
    class_balanced,
    class_frequency,
    class_prior,
    class_sums,
    in_equal_shares,
    pixbal,
    pixels_of_class,
    power_noise,
)
from napari_al.core.regions import region_table
from napari_al.errors import InputError

DOMINANT = np.array([0, 0, 0, 1])
UNCERTAINTY = np.array([0.8, 0.6, 0.5, 0.55])
SIZE = np.array([10, 10, 10, 70])
PIXELS = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]])
PRIOR = np.array([0.5, 0.3, 0.2])
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("probs", "expected"),
    [
        ((0.5, 0.3, 0.2), 0.6),
        ((0.1, 0.9), 1 / 9),
        ((0.4, 0.4, 0.2), 1),
        ((0.0, 1.0), 0),
        ((1.0,), 0),
        ((0.0, 0.0), 0),
    ],
)
def test_bvsb(probs: tuple[float, ...], expected: float) -> None:
    assert bvsb(np.array(probs)) == pytest.approx(expected)
    assert float(bvsb(torch.tensor(probs))) == pytest.approx(expected)


@given(seed=SEEDS, n_classes=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_bvsb_pixel_by_pixel(seed: int, n_classes: int) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(n_classes), (4, 5)).transpose(2, 0, 1)
    ratios = bvsb(probs)
    for row, col in np.ndindex(4, 5):
        *_, second, best = [0.0, *sorted(probs[:, row, col])]
        assert ratios[row, col] == pytest.approx(second / best)
    np.testing.assert_allclose(bvsb(torch.from_numpy(probs)).numpy(), ratios)


@pytest.mark.parametrize(
    ("by", "scale", "frequency", "expected", "order"),
    [
        ("regions", 1, (0.75, 0.25), [0.37789, 0.28342, 0.23618, 0.42834], [3, 0, 1, 2]),
        ("pixels", 1, (0.3, 0.7), [0.59265, 0.44449, 0.37041, 0.27312], [0, 1, 2, 3]),
        ("pixels", 0.25, (0.3, 0.7), [0.74219, 0.55665, 0.46387, 0.46170], [0, 1, 2, 3]),
    ],
)
def test_class_balanced(
    by: str, scale: float, frequency: tuple[float, ...], expected: list[float], order: list[int]
) -> None:
    p = (
        class_frequency(pixels_of_class(DOMINANT, np.ones_like(SIZE), 2))
        if by == "regions"
        else class_frequency(pixels_of_class(DOMINANT, SIZE, 2))
    )
    assert p.tolist() == pytest.approx(frequency)
    score = class_balanced(UNCERTAINTY, DOMINANT, p, scale=scale)
    assert score.tolist() == pytest.approx(expected, abs=6e-6)
    assert np.argsort(-score).tolist() == order


@given(seed=SEEDS, n_regions=st.integers(1, 30), n_classes=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_class_frequencies_sum_to_1(seed: int, n_regions: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    dominant, size = rng.integers(0, n_classes, n_regions), rng.integers(1, 90, n_regions)
    by_regions = class_frequency(pixels_of_class(dominant, np.ones_like(size), n_classes))
    by_pixels = class_frequency(pixels_of_class(dominant, size, n_classes))
    assert by_regions.shape == by_pixels.shape == (n_classes,)
    assert by_regions.sum() == pytest.approx(1)
    assert by_pixels.sum() == pytest.approx(1)
    one_size = class_frequency(pixels_of_class(dominant, np.full(n_regions, 7), n_classes))
    np.testing.assert_allclose(one_size, by_regions)
    for class_id in range(n_classes):
        of_class = [int(s) for s, d in zip(size, dominant, strict=True) if d == class_id]
        assert by_regions[class_id] == pytest.approx(len(of_class) / n_regions)
        assert by_pixels[class_id] == pytest.approx(sum(of_class) / sum(size.tolist()))


def test_an_empty_pool_has_no_frequencies() -> None:
    nothing = np.zeros(0, int)
    assert class_frequency(pixels_of_class(nothing, nothing, 3)).tolist() == [0, 0, 0]
    assert class_prior(class_sums(np.zeros((0, 3)), nothing)).tolist() == [0, 0, 0]


def test_regions_without_pixels_score_lowest() -> None:
    probs = torch.from_numpy(PIXELS.T[:, None].astype(np.float32))
    table = region_table(probs, np.array([[0, 0, 2]]), 3)
    score = class_balanced(
        table.mean_bvsb,
        table.dominant,
        class_frequency(pixels_of_class(table.dominant, table.size, 3)),
    )
    assert score[1] == 0 < score[[0, 2]].min()
    assert pixbal(table.bvsb_by_class, table.size, PRIOR, nu=6)[1] == -np.inf


@pytest.mark.parametrize(("nu", "expected"), [(6, 0.0392310), (12, 0.0133444), (0, 0.528571)])
def test_pixbal(nu: float, expected: float) -> None:
    probs = torch.from_numpy(PIXELS.T[:, None].astype(np.float32))
    table = region_table(probs, np.zeros((1, 3), np.int32), 1)
    score = pixbal(table.bvsb_by_class, table.size, PRIOR, nu)
    assert score.tolist() == pytest.approx([expected], abs=6e-8 if nu else 6e-7)


@given(seed=SEEDS, n_classes=st.integers(1, 5), nu=st.floats(0, 20))
@settings(max_examples=40, deadline=None)
def test_pixbal_pixel_by_pixel(seed: int, n_classes: int, nu: float) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(n_classes), (6, 7)).transpose(2, 0, 1).astype(np.float32)
    region_map = rng.integers(0, 4, (6, 7))
    prior = rng.dirichlet(np.ones(n_classes))
    table = region_table(torch.from_numpy(probs), region_map, 4)
    score = pixbal(table.bvsb_by_class, table.size, prior, nu)
    for region_id in np.unique(region_map):
        terms = []
        for row, col in np.argwhere(region_map == region_id):
            p = probs[:, row, col].tolist()
            *_, second, best = [0.0, *sorted(p)]
            terms.append(second / best / (1 + nu * prior[p.index(best)]) ** 2)
        assert score[region_id] == pytest.approx(math.fsum(terms) / len(terms), rel=1e-4)
    commoner = pixbal(table.bvsb_by_class, table.size, prior + 0.1, nu)
    assert (commoner <= score).all()


def test_pixbal_favours_no_common_class() -> None:
    with pytest.raises(InputError, match="-1"):
        pixbal(np.ones((2, 3)), np.ones(2, int), PRIOR, nu=-1)


def test_prior_is_the_mean_over_pixels() -> None:
    """The authors' code takes the mean of batches' means, here (0.4, 0.6)."""
    pixels = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]], np.float32)
    probs = torch.from_numpy(pixels.T[:, None].copy())
    for region_map in ([[0, 1, 2]], [[0, 0, 0]], [[1, 0, 1]]):
        table = region_table(probs, np.array(region_map), 3)
        prior = class_prior(class_sums(table.mean_probs, table.size))
        assert prior.tolist() == pytest.approx([0.5, 0.5])


def test_power_noise_draws_by_the_power_of_the_uncertainty() -> None:
    rng = np.random.default_rng(0)
    u = np.array([0.1, 0.2, 0.4, 0.0])
    first = [int(power_noise(u, rng.random(4), 2.0).argmax()) for _ in range(20_000)]
    shares = np.bincount(first, minlength=4) / len(first)
    assert shares == pytest.approx(u**2 / (u**2).sum(), abs=0.01)
    assert power_noise(u, np.array([0.0, 0.5, 0.999, 0.5]), 1e4).argmax() == 2
    assert power_noise(u, np.full(4, 0.5), 1.0)[3] == -np.inf


def slow_turns(
    scores: list[float], groups: list[int], is_open: list[bool], n_at_a_time: int
) -> list[int]:
    """Regions in the order of their turns, by taking them one after the other."""
    best_first = np.argsort(-np.array(scores), kind="stable").tolist()
    waiting = [i for i in best_first if is_open[i] and scores[i] > -np.inf]
    order: list[int] = []
    while waiting:
        taken: dict[int, int] = {}
        for i in list(waiting):
            if taken.get(groups[i], 0) < n_at_a_time:
                taken[groups[i]] = taken.get(groups[i], 0) + 1
                order.append(i)
                waiting.remove(i)
    return order


@pytest.mark.parametrize("n_at_a_time", [1, 3])
def test_groups_take_turns_as_one_after_the_other(n_at_a_time: int) -> None:
    rng = np.random.default_rng(n_at_a_time)
    for n in (1, 7, 60):
        scores = rng.random(n)
        scores[rng.random(n) < 0.1] = -np.inf
        groups, is_open = rng.integers(0, 5, n) * 3, rng.random(n) < 0.7
        turns = in_equal_shares(scores, groups, is_open, n_at_a_time=n_at_a_time)
        expected = slow_turns(scores.tolist(), groups.tolist(), is_open.tolist(), n_at_a_time)
        found = np.argsort(-turns, kind="stable")[: len(expected)].tolist()
        assert found == expected
        assert (turns[~(scores > -np.inf)] == -np.inf).all()
        finite = turns[turns > -np.inf]
        assert len(np.unique(finite)) == len(finite)
        assert ((finite > 0) & (finite <= 1)).all()
    assert len(in_equal_shares(np.empty(0), np.empty(0, int), np.empty(0, bool))) == 0


def test_two_measures_take_turns() -> None:
    scores = np.array([5.0, 4, 3, 2, 1, -np.inf])
    others = np.array([0.0, 1, 2, 9, 8, 10])
    turns = alternating(scores, others)
    assert np.argsort(-turns)[:5].tolist() == [0, 1, 3, 2, 4]
    assert turns[5] == -np.inf
    assert 0 < turns[:5].min() <= turns[:5].max() == 1
