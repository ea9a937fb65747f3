"""Choosing regions that stand for the pool in a space of features; arrays alone.

All distances are Euclidean. A pool of any size is worked on by a sample of ``N_SAMPLED`` regions,
in blocks, so that memory does not grow with it.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

N_SAMPLED = 4096
"""Regions, answered or open, by which a pool's coverage is judged, and that may be chosen."""
N_ANSWERED = 4096
"""Answered regions that count, the most evenly spread ones."""
_BLOCK = 512


def greedy_coverage(
    points: Floats,
    weights: Floats,
    is_open: NDArray[np.bool_],
    answered: Floats,
    n: int,
    width: float,
) -> NDArray[np.int64]:
    """Open points in the order in which they cover the most that is not covered yet.

    MaxHerding (Bae et al., ECCV 2024, arXiv 2407.12212): the next point x is the one with the
    largest sum over all points z of ``w(z) max(0, k(x, z) - c(z))``, where ``k(x, z) = exp(-|x -
    z|² / (2 width²))`` and c(z) is the largest k between z and what is answered or was chosen
    before. With uncertainty as weights that is UHerding (Bae et al., ICLR 2025).

    Gains can only shrink, so that one that was computed before is an upper bound; that saves most
    of the work and changes nothing ("lazy" greedy choice).

    Parameters
    ----------
    points : (M, D) float
    weights : (M,) float >= 0
    is_open : (M,) bool
        Points that may be chosen.
    answered : (A, D) float
        Points that cover from the beginning.
    n : int
        How many to choose at most.
    width : float > 0

    Returns
    -------
    (min(n, number of open points),) int64
        Indices of points; of equal gains the lowest first.
    """
    covered = np.zeros(len(points))
    for start in range(0, len(answered), _BLOCK):
        kernel = _kernel(points, answered[start : start + _BLOCK], width)
        np.maximum(covered, kernel.max(axis=1), out=covered)

    def gains(of: NDArray[np.int64]) -> NDArray[np.float64]:
        kernel = _kernel(points[of], points, width)
        return np.asarray(np.maximum(kernel - covered, 0) @ weights, np.float64)

    candidates = np.flatnonzero(is_open)
    heap: list[tuple[float, int, int]] = []  # minus a gain, the point, how many were chosen then
    for start in range(0, len(candidates), _BLOCK):
        block = candidates[start : start + _BLOCK]
        heap += [(-g, i, 0) for g, i in zip(gains(block).tolist(), block.tolist(), strict=True)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < n:
        _, point, known_at = heapq.heappop(heap)
        if known_at < len(chosen):
            gain = float(gains(np.array([point]))[0])
            heapq.heappush(heap, (-gain, point, len(chosen)))
            continue
        chosen.append(point)
        np.maximum(covered, _kernel(points, points[point : point + 1], width)[:, 0], out=covered)
    return np.array(chosen, np.int64)


def farthest_first(
    points: Floats, is_open: NDArray[np.bool_], answered: Floats, n: int
) -> NDArray[np.int64]:
    """Open points, each the farthest from all that is answered or was chosen before.

    Gonzalez' rule (1985), which active learning knows as k-center greedy (Sener and Savarese, ICLR
    2018). Without an answer the first point is the one farthest from the mean.

    Parameters
    ----------
    points, is_open, answered, n : as of :func:`greedy_coverage`

    Returns
    -------
    (min(n, number of open points),) int64
        Indices of points; of equal distances the lowest first.
    """
    distance = np.full(len(points), np.inf)
    for start in range(0, len(answered), _BLOCK):
        block = _squared_distances(points, answered[start : start + _BLOCK])
        np.minimum(distance, block.min(axis=1), out=distance)
    if not len(answered) and len(points):
        distance = _squared_distances(points, points.mean(axis=0, keepdims=True))[:, 0]
    chosen: list[int] = []
    left = is_open.copy()
    while left.any() and len(chosen) < n:
        point = int(np.where(left, distance, -1).argmax())
        to_point = _squared_distances(points, points[point : point + 1])[:, 0]
        distance = to_point if not len(answered) and not chosen else np.minimum(distance, to_point)
        left[point] = False
        chosen.append(point)
    return np.array(chosen, np.int64)


def kernel_width(points: Floats, answered: Floats) -> float:
    """Width of the kernel: how far points are from what is answered, the median; so it shrinks.

    Our choice: a fixed one is too wide with many answers and too narrow with few.

    Without an answer half the median distance between points (of every so many: up to 512).
    """
    some = points[:: max(1, len(points) // _BLOCK)]
    if len(answered):
        nearest = _squared_distances(some, answered).min(axis=1)
        width = float(np.sqrt(np.median(nearest)))
    else:
        width = float(np.sqrt(np.median(_squared_distances(some, some)))) / 2
    return width if width > 0 else 1.0


def scores_by_coverage(
    features: Floats,
    weights: Floats,
    queried: NDArray[np.bool_],
    uniform: Floats,
    n: int,
) -> NDArray[np.float64]:
    """Scores of a pool's regions by :func:`greedy_coverage`.

    Parameters
    ----------
    features : (P, D) float
    weights : (P,) float >= 0
    queried : (P,) bool
        Regions that were answered.
    uniform : (P,) float in [0, 1)
        Drawn at random: which regions are in the sample, and the order of those not chosen.
    n : int
        Regions to choose.

    Returns
    -------
    (P,) float64
        Above 0.5 for those chosen, the first one 1; others below, answered ones last.
    """
    sample, answered = _sample(features, queried, uniform)
    points = features[sample].astype(np.float32)
    width = kernel_width(points, answered)
    chosen = greedy_coverage(points, weights[sample], ~queried[sample], answered, n, width)
    return _as_scores(sample[chosen], queried, uniform)


def scores_by_distance(
    features: Floats, queried: NDArray[np.bool_], uniform: Floats, n: int
) -> NDArray[np.float64]:
    """The same by :func:`farthest_first`; parameters as of :func:`scores_by_coverage`."""
    sample, answered = _sample(features, queried, uniform)
    points = features[sample].astype(np.float32)
    return _as_scores(
        sample[farthest_first(points, ~queried[sample], answered, n)], queried, uniform
    )


def _sample(
    features: Floats, queried: NDArray[np.bool_], uniform: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Rows of the sample, ascending, and the features of answered regions."""
    sample = np.sort(np.argsort(uniform, kind="stable")[:N_SAMPLED])
    answered = np.flatnonzero(queried)
    answered = answered[:: -(-len(answered) // N_ANSWERED) or 1]
    return sample, features[answered].astype(np.float32)


def _as_scores(
    chosen: NDArray[np.int64], queried: NDArray[np.bool_], uniform: Floats
) -> NDArray[np.float64]:
    scores = np.where(queried, 0.0, 0.5 * np.asarray(uniform, np.float64))
    scores[chosen] = 1 - 0.5 * np.arange(len(chosen)) / max(len(chosen), 1)
    return scores


def _kernel(a: Floats, b: Floats, width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(_squared_distances(a, b) / (-2 * width**2)), np.float64)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """(n, m) of points (n, D) and (m, D)."""
    squared: Floats = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    return np.maximum(squared, 0, out=squared)
