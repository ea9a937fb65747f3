"""Joining neighbouring superpixels that a model takes for the same (Kim et al. 2023, section 3)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def js_distance(p: NDArray[np.floating[Any]], q: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Jensen-Shannon distance of class distributions: Kim et al. 2023, eq. 3.

    The square root of the divergence, with natural logarithms.

    Parameters
    ----------
    p, q : (..., C) float
        Non-negative; they broadcast, and are scaled to sum to 1.

    Returns
    -------
    (...) float64
        From 0 to sqrt(ln 2) = 0.8326; NaN where p or q sums to 0.

    Examples
    --------
    >>> float(js_distance(np.array([0.5, 0.5]), np.array([0.6, 0.4])).round(6))
    0.071129
    """
    return _distance(_normalised(p), _normalised(q))


def adaptive_merge(
    mean_probs: NDArray[np.floating[Any]],
    uncertainty: NDArray[np.floating[Any]],
    edges: NDArray[np.integer[Any]],
    epsilon: float,
) -> NDArray[np.int32]:
    """Merge base regions: Kim et al. 2023, Algorithm 2.

    The most uncertain region that belongs to no merged region yet is the next seed (the lowest id
    on a tie). It takes in what it reaches over edges through free regions that are closer than
    ``epsilon`` *to the seed*; those that are too far stay free.

    Parameters
    ----------
    mean_probs : (R, C) float
        Mean class probabilities of the regions. A row of zeros (a region without pixels) merges
        with nothing.
    uncertainty : (R,) float
        Mean BvSB of the regions.
    edges : (E, 2) int
        Pairs of touching regions, as :func:`~napari_al.core.geometry.adjacency.adjacency` gives.
    epsilon : float
        Limit of the Jensen-Shannon distance, itself excluded. 0 merges nothing.

    Returns
    -------
    (R,) int32
        For each region the id of the seed of its merged region.
    """
    n_regions = len(mean_probs)
    if uncertainty.shape != (n_regions,) or edges.ndim != 2 or edges.shape[1] != 2:
        raise InputError(
            "adaptive_merge: mean_probs (R, C), uncertainty (R,) and edges (E, 2) were expected, "
            f"got {mean_probs.shape}, {uncertainty.shape} and {edges.shape}"
        )
    f = _normalised(mean_probs)
    start, neighbours = _neighbours(edges, n_regions)
    # Most merged regions are small: how near a seed's own neighbours are is computed for all edges
    # at once, and only beyond them step by step.
    owners = np.repeat(np.arange(n_regions), np.diff(start))
    is_near = (_distance(f[owners], f[neighbours]) < epsilon).tolist()
    touching = neighbours.tolist()
    spans = [slice(a, b) for a, b in pairwise(start.tolist())]

    seed_of = [-1] * n_regions
    for seed in np.lexsort((np.arange(n_regions), -uncertainty)).tolist():
        if seed_of[seed] >= 0:
            continue
        seed_of[seed] = seed
        around, near = touching[spans[seed]], is_near[spans[seed]]
        taken = [n for n, yes in zip(around, near, strict=True) if yes and seed_of[n] < 0]
        seen = set(around)
        while taken:
            for n in taken:
                seed_of[n] = seed
            reached = {n for t in taken for n in touching[spans[t]] if seed_of[n] < 0} - seen
            seen |= reached
            candidates = np.fromiter(reached, np.intp, len(reached))
            taken = candidates[_distance(f[seed], f[candidates]) < epsilon].tolist()
    return np.array(seed_of, np.int32)


def _normalised(p: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    total = np.sum(p, axis=-1, keepdims=True, dtype=np.float64)
    normalised: NDArray[np.float64] = np.divide(
        p, total, out=np.full(p.shape, np.nan), where=total > 0
    )
    return normalised


def _distance(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    distance: NDArray[np.float64] = np.sqrt(np.maximum(divergence, 0))
    return distance


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of p ln(p / q) over the last axis, where 0 ln 0 is 0."""
    safe = np.finfo(np.float64).tiny
    entropy: NDArray[np.float64] = np.sum(
        p * np.log(np.maximum(p, safe) / np.maximum(q, safe)), axis=-1
    )
    return entropy


def _neighbours(
    edges: NDArray[np.integer[Any]], n_regions: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``neighbours[start[r] : start[r + 1]]`` are the regions that touch r."""
    both = np.concatenate([edges, edges[:, ::-1]]).astype(np.int64)
    both = both[np.argsort(both[:, 0], kind="stable")]
    start = np.concatenate(([0], np.cumsum(np.bincount(both[:, 0], minlength=n_regions))))
    return start, both[:, 1]
