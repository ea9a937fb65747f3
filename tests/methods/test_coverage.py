"""Coverage of a space of features, against the plain greedy choice."""

from __future__ import annotations

import numpy as np
import pytest

from napari_al.methods import coverage
from napari_al.methods.coverage import (
    farthest_first,
    greedy_coverage,
    kernel_width,
    scores_by_coverage,
    scores_by_distance,
)


def slow_coverage(points, weights, is_open, answered, n, width):
    def kernel(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * width**2))

    covered = [max((kernel(z, a) for a in answered), default=0.0) for z in points]
    chosen: list[int] = []
    while len(chosen) < min(n, is_open.sum()):
        gains = [
            sum(
                w * max(0.0, kernel(x, z) - c)
                for z, w, c in zip(points, weights, covered, strict=True)
            )
            if is_open[i] and i not in chosen
            else -1.0
            for i, x in enumerate(points)
        ]
        chosen.append(int(np.argmax(gains)))
        covered = [
            max(c, kernel(points[chosen[-1]], z)) for z, c in zip(points, covered, strict=True)
        ]
    return chosen


@pytest.mark.parametrize("n_answered", [0, 3])
def test_greedy_coverage_is_the_plain_greedy_choice(n_answered: int) -> None:
    rng = np.random.default_rng(n_answered)
    points, weights = rng.normal(size=(30, 4)), rng.random(30)
    is_open, answered = rng.random(30) < 0.7, rng.normal(size=(n_answered, 4))
    for n in (5, 100):
        found = greedy_coverage(points, weights, is_open, answered, n, 0.9).tolist()
        assert found == slow_coverage(points, weights, is_open, answered, n, 0.9)


def test_each_of_three_clusters_is_covered_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    points = (centres[np.repeat([0, 1, 2], [60, 20, 5])] + rng.normal(size=(85, 2)) / 5).astype(
        "f4"
    )
    chosen = greedy_coverage(points, np.ones(85), np.ones(85, bool), points[:0], 3, 1.0)
    assert np.digitize(chosen, [60, 80]).tolist() == [0, 1, 2]  # the largest cluster first
    # an answer in the largest one leaves it for last
    chosen = greedy_coverage(points, np.ones(85), np.ones(85, bool), points[:30], 2, 1.0)
    assert np.digitize(chosen, [60, 80]).tolist() == [1, 2]


def test_farthest_first_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    points, is_open, answered = rng.normal(size=(40, 3)), rng.random(40) < 0.6, rng.random((4, 3))
    found = farthest_first(points, is_open, answered, 10)
    there = list(answered)
    for index in found:
        distances = [min(np.linalg.norm(p - a) for a in there) for p in points]
        assert index == np.where(is_open, distances, -1).argmax()
        is_open[index] = False
        there.append(points[index])
    line = np.array([[0.0], [1.0], [2.0], [9.0]])
    assert farthest_first(line, np.ones(4, bool), line[:0], 9).tolist() == [3, 0, 2, 1]


def test_the_kernel_narrows_with_more_answers() -> None:
    points = np.random.default_rng(2).normal(size=(2000, 8)).astype(np.float32)
    widths = [kernel_width(points, points[:n]) for n in (0, 5, 50, 500)]
    assert widths[0] == pytest.approx(np.sqrt(16) / 2, rel=0.1)  # half the usual distance
    assert widths[1] > widths[2] > widths[3]
    assert kernel_width(np.zeros((5, 2)), np.zeros((1, 2))) == 1.0


def test_scores_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "N_SAMPLED", 50)
    rng = np.random.default_rng(3)
    features, queried = rng.normal(size=(200, 6)).astype(np.float16), rng.random(200) < 0.2
    uniform = rng.random(200)
    in_sample = np.argsort(uniform)[:50]
    for scores in (
        scores_by_coverage(features, np.ones(200), queried, uniform, 7),
        scores_by_distance(features, queried, uniform, 7),
    ):
        first = np.argsort(-scores)[:7]
        assert scores[first[0]] == 1
        assert set(first) <= set(in_sample.tolist()) - set(np.flatnonzero(queried).tolist())
        assert scores[queried].max() == 0
        assert (np.sort(-scores)[:8] <= -0.5).sum() == 7
