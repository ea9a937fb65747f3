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
    shuffled = rng.permutation(len(scores))
    return _best_first(scores, shuffled[scores[shuffled] > -np.inf])


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
    shuffled = rng.permutation(len(scores))
    may_be_asked = scores[shuffled] > -np.inf
    if excluded is not None:
        may_be_asked &= ~excluded[shuffled]
    shuffled = shuffled[may_be_asked]
    if budget <= 0:
        return shuffled[:0]
    n_sorted = _FIRST_GUESS
    while True:
        order = _best_first(scores, shuffled, n_sorted)
        spent = np.cumsum(costs[order])
        if len(order) == len(shuffled) or spent[-1] >= budget:
            return order[: np.searchsorted(spent, budget) + 1]
        n_sorted *= 8


def _best_first(
    scores: NDArray[np.floating[Any]], shuffled: NDArray[np.int64], n_first: int | None = None
) -> NDArray[np.int64]:
    """Sort indices by descending score, ties as they come; at least the ``n_first`` best of them.

    All ties with the last of these are in it too, so that what is left out cannot matter.
    """
    falling = -scores[shuffled]
    if n_first is not None and n_first < len(shuffled):
        last = np.partition(falling, n_first - 1)[n_first - 1]
        among_first = falling <= last
        shuffled, falling = shuffled[among_first], falling[among_first]
    return shuffled[np.argsort(falling, kind="stable")]
