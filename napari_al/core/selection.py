"""From scores to an order in which to ask, and to a batch that a budget pays for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_GUESS = 1024


def rank(scores: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Order regions by descending score.

    Parameters
    ----------
    scores : (n,) float
        Larger = ask sooner. -inf and NaN are never asked.
    rng : numpy.random.Generator
        Breaks ties, so that equal scores do not favour the images that come first.

    Returns
    -------
    (m,) int64
        Indices of the regions that may be asked, the best first.
    """
    shuffled = _shuffled(scores, rng)
    return shuffled[_best_first(-scores[shuffled])]


def select_batch(
    scores: NDArray[np.floating[Any]],
    costs: NDArray[np.integer[Any] | np.floating[Any]],
    budget: float,
    rng: np.random.Generator,
    excluded: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Take the best regions until their clicks reach the budget: Cai et al. 2021, Algorithm 1.

    The last region may overshoot. The batch is where :func:`rank` with the same generator begins,
    but only as much of the pool is sorted as it takes.

    Parameters
    ----------
    scores : (n,) float
        As for :func:`rank`.
    costs : (n,) int or float
        Clicks of each region, 0 or more.
    budget : float
        Clicks; 0 or less selects nothing.
    rng : numpy.random.Generator
        Breaks ties.
    excluded : (n,) bool, optional
        Regions not to take, such as those answered before.

    Returns
    -------
    (m,) int64
        Indices, the best first.
    """
    if costs.shape != scores.shape or (costs.size and not costs.min() >= 0):
        raise InputError(
            f"select_batch: a cost of 0 or more was expected for each of {len(scores)} regions, "
            f"got an array of shape {costs.shape}"
        )
    shuffled = _shuffled(scores, rng, excluded)
    if budget <= 0:
        return shuffled[:0]
    falling = -scores[shuffled]
    n_sorted = _FIRST_GUESS
    while True:
        order = shuffled[_best_first(falling, n_sorted)]
        spent = np.cumsum(costs[order])
        if len(order) == len(shuffled) or spent[-1] >= budget:
            return order[: np.searchsorted(spent, budget) + 1]
        n_sorted *= 8


def _shuffled(
    scores: NDArray[np.floating[Any]],
    rng: np.random.Generator,
    excluded: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Indices of the regions that may be asked, in random order."""
    may_be_asked = scores > -np.inf
    if excluded is not None:
        may_be_asked &= ~excluded
    shuffled = rng.permutation(len(scores))
    return shuffled[may_be_asked[shuffled]]


def _best_first(
    falling: NDArray[np.floating[Any]], n_first: int | None = None
) -> NDArray[np.int64]:
    """Positions of ascending values, ties as they come; at least the ``n_first`` lowest of them.

    All ties with the last of these are in it too, so that what is left out cannot matter.
    """
    if n_first is None or n_first >= len(falling):
        return np.argsort(falling, kind="stable")
    last = np.partition(falling, n_first - 1)[n_first - 1]
    among_first = np.flatnonzero(falling <= last)
    return among_first[np.argsort(falling[among_first], kind="stable")]
