"""Adaptive merging: worked examples, and Algorithm 2 of Kim et al. 2023 as naive recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.merging import adaptive_merge, js_distance
from napari_al.errors import InputError

FARTHEST = math.sqrt(math.log(2))
A, B, C = (0.5, 0.5), (0.57, 0.43), (0.64, 0.36)
X = (0.9, 0.1)
CHAIN = [[0, 1], [1, 2]]


def recursion(
    mean_probs: np.ndarray, uncertainty: np.ndarray, edges: np.ndarray, epsilon: float
) -> list[int]:
    """Algorithm 2, one region at a time, distances by SciPy."""
    n_regions = len(mean_probs)
    seed_of = [-1] * n_regions

    def explore(region_id: int, seed: int) -> None:
        seed_of[region_id] = seed
        for a, b in edges.tolist():
            if region_id not in (a, b):
                continue
            other = b if region_id == a else a
            if seed_of[other] < 0 and jensenshannon(mean_probs[seed], mean_probs[other]) < epsilon:
                explore(other, seed)

    for seed in sorted(range(n_regions), key=lambda s: (-uncertainty[s], s)):
        if seed_of[seed] < 0:
            explore(seed, seed)
    return seed_of


def scene(
    seed: int, n_regions: int, n_classes: int, side: int = 9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, uncertainties with ties, and a region map in which every id occurs."""
    rng = np.random.default_rng(seed)
    centres = rng.dirichlet(np.ones(n_classes), 3)
    mean_probs = centres[rng.integers(0, 3, n_regions)] + rng.random((n_regions, n_classes)) * 0.2
    uncertainty = rng.integers(0, 6, n_regions) / 6
    region_map = rng.integers(0, n_regions, (side, side))
    region_map.flat[:n_regions] = rng.permutation(n_regions)
    return mean_probs, uncertainty, region_map


SCENES = {
    "seed": st.integers(0, 2**32 - 1),
    "n_regions": st.integers(1, 40),
    "n_classes": st.integers(1, 5),
}
EPSILONS = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.4, 1.0])


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ((1, 0), (0, 1), 0.832555),
        ((0.5, 0.5), (0.6, 0.4), 0.071129),
        ((0.9, 0.1), (0.7, 0.3), 0.180080),
        ((0.8, 0.1, 0.1), (0.7, 0.2, 0.1), 0.100811),
        ((0.5, 0.5), (0.8, 0.2), 0.225104),
        ((0.5, 0.5), (0.63, 0.37), 0.092854),
        (A, B, 0.049640),
        (B, C, 0.050652),
        (A, C, 0.100161),
        ((5, 5), (6, 4), 0.071129),
        ((0.3, 0.7), (0.3, 0.7), 0),
    ],
)
def test_distances(p: tuple[float, ...], q: tuple[float, ...], expected: float) -> None:
    assert js_distance(np.array(p), np.array(q)) == pytest.approx(expected, abs=6e-7)


@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_distance_is_scipys_and_symmetric(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(n_classes, 0.3), (2, 7))
    p[0, 0] = 0
    p[0, -1] = 1
    distance = js_distance(p, q)
    np.testing.assert_allclose(distance, jensenshannon(p, q, axis=1), atol=1e-7)
    np.testing.assert_array_equal(distance, js_distance(q, p))
    np.testing.assert_array_equal(js_distance(p, p), 0)
    assert (distance <= FARTHEST + 1e-12).all()


def test_distance_from_nothing_is_not_a_number() -> None:
    assert np.isnan(js_distance(np.zeros(2), np.array([0.5, 0.5])))


@pytest.mark.parametrize(
    ("mean_probs", "uncertainty", "edges", "expected"),
    [
        pytest.param([A, B, C], [3, 2, 1], CHAIN, [0, 0, 2], id="chain from its end"),
        pytest.param([A, B, C], [1, 3, 2], CHAIN, [1, 1, 1], id="chain from its middle"),
        pytest.param([A, X, A], [3, 2, 1], CHAIN, [0, 1, 2], id="no bridge over a far region"),
        pytest.param([A, A, A], [1, 1, 1], CHAIN, [0, 0, 0], id="lowest id on a tie"),
        pytest.param([A, A, A], [1, 2, 2], CHAIN, [1, 1, 1], id="lowest id of the most uncertain"),
        pytest.param([A, A], [1, 2], np.empty((0, 2), int), [0, 1], id="no edges"),
        pytest.param([A, (0, 0), A], [3, 2, 1], CHAIN, [0, 1, 2], id="a region without pixels"),
        pytest.param([(0.8, 0.1, 0.1), (0.7, 0.2, 0.1)], [2, 1], [[0, 1]], [0, 1], id="just over"),
        pytest.param([A, (0.63, 0.37)], [2, 1], [[0, 1]], [0, 0], id="natural logarithm"),
        pytest.param([A, C, B, A], [4, 3, 2, 1], [[0, 1], [1, 2], [2, 3]], [0, 1, 1, 3],
                     id="what was rejected seeds its own"),
        pytest.param(np.empty((0, 2)), [], np.empty((0, 2), int), [], id="no regions"),
    ],
)  # fmt: skip
def test_worked_examples(
    mean_probs: list[tuple[float, ...]],
    uncertainty: list[float],
    edges: list[list[int]],
    expected: list[int],
) -> None:
    seeds = adaptive_merge(
        np.array(mean_probs), np.array(uncertainty, float), np.array(edges), epsilon=0.1
    )
    assert seeds.dtype == np.int32
    assert seeds.tolist() == expected


@given(**SCENES, epsilon=EPSILONS)
@settings(max_examples=60, deadline=None)
def test_naive_recursion(seed: int, n_regions: int, n_classes: int, epsilon: float) -> None:
    mean_probs, uncertainty, region_map = scene(seed, n_regions, n_classes)
    edges = adjacency(region_map)
    expected = recursion(mean_probs, uncertainty, edges, epsilon)
    assert adaptive_merge(mean_probs, uncertainty, edges, epsilon).tolist() == expected


@given(**SCENES, epsilon=EPSILONS)
@settings(max_examples=40, deadline=None)
def test_merged_map_is_a_coarsening(
    seed: int, n_regions: int, n_classes: int, epsilon: float
) -> None:
    mean_probs, uncertainty, region_map = scene(seed, n_regions, n_classes)
    edges = adjacency(region_map)
    seeds = adaptive_merge(mean_probs, uncertainty, edges, epsilon)
    merged_map = seeds[region_map]
    assert np.bincount(merged_map.ravel()).sum() == region_map.size
    np.testing.assert_array_equal(seeds[seeds], seeds)  # a seed is in the region it names
    for merged_id in np.unique(seeds):
        members = set(np.flatnonzero(seeds == merged_id).tolist())
        reached, waiting = set(), [int(merged_id)]
        while waiting:
            region_id = waiting.pop()
            reached.add(region_id)
            touching = edges[(edges == region_id).any(axis=1)].ravel().tolist()
            waiting += list((set(touching) & members) - reached)
        assert reached == members
        far = js_distance(mean_probs[merged_id], mean_probs[sorted(members - {int(merged_id)})])
        assert (far < epsilon).all()
        assert uncertainty[merged_id] == uncertainty[sorted(members)].max()


@given(**SCENES)
@settings(max_examples=30, deadline=None)
def test_nothing_merges_at_0_and_all_that_touches_beyond_the_longest_distance(
    seed: int, n_regions: int, n_classes: int
) -> None:
    mean_probs, uncertainty, region_map = scene(seed, n_regions, n_classes, side=7)
    edges = adjacency(np.where(region_map % 3 == 0, -1, region_map))
    apart = adaptive_merge(mean_probs, uncertainty, edges, 0)
    np.testing.assert_array_equal(apart, np.arange(n_regions))
    together = adaptive_merge(mean_probs, uncertainty, edges, FARTHEST + 0.001)
    np.testing.assert_array_equal(together[edges[:, 0]], together[edges[:, 1]])
    component = np.arange(n_regions)
    for _ in range(n_regions):
        for a, b in edges:
            component[component == component[b]] = component[a]
    assert len(np.unique(together)) == len(np.unique(component))


@given(**SCENES, epsilon=EPSILONS)
@settings(max_examples=40, deadline=None)
def test_numbering_and_order_of_edges_do_not_matter(
    seed: int, n_regions: int, n_classes: int, epsilon: float
) -> None:
    mean_probs, _, region_map = scene(seed, n_regions, n_classes)
    rng = np.random.default_rng(seed)
    uncertainty = rng.permutation(n_regions) / n_regions  # no ties
    edges = adjacency(region_map)
    seeds = adaptive_merge(mean_probs, uncertainty, edges, epsilon)
    new_id = rng.permutation(n_regions)
    old_id = np.argsort(new_id)
    renumbered = adaptive_merge(
        mean_probs[old_id], uncertainty[old_id], rng.permutation(new_id[edges])[:, ::-1], epsilon
    )
    np.testing.assert_array_equal(renumbered[new_id], new_id[seeds])


@pytest.mark.parametrize(
    ("uncertainty_shape", "edges_shape"), [((3,), (1, 2)), ((2, 1), (1, 2)), ((2,), (2,))]
)
def test_shapes_that_do_not_fit(
    uncertainty_shape: tuple[int, ...], edges_shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match=r"edges \(E, 2\)"):
        adaptive_merge(
            np.ones((2, 3)), np.ones(uncertainty_shape), np.zeros(edges_shape, int), epsilon=0.1
        )
