"""Which regions to ask about first: acquisition functions on rows of regions, and their ranking.

Larger scores are to be asked sooner. A region without pixels has nothing to be uncertain about; the
functions that know sizes score it -inf, which no selection ever picks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

BLOCK_ROWS = 2**20
"""Rows that are looked at together where a pool may have more than the memory holds."""


@overload
def bvsb(probs: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]: ...
@overload
def bvsb(probs: torch.Tensor) -> torch.Tensor: ...
def bvsb(
    probs: NDArray[np.floating[Any]] | torch.Tensor,
) -> NDArray[np.floating[Any]] | torch.Tensor:
    """Best versus second best: how close the runner-up comes (Kim et al. 2023, eq. 4).

    Parameters
    ----------
    probs : (C, ...) float array or tensor
        Class probabilities of each pixel.

    Returns
    -------
    (...) of the same kind
        Second-largest probability divided by the largest, in [0, 1]; 1 where two classes are
        equally likely, 0 where there is only one class.

    Examples
    --------
    >>> float(bvsb(np.array([0.5, 0.3, 0.2])))
    0.6
    """
    return bvsb_and_class(probs)[0]


@overload
def bvsb_and_class(
    probs: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]: ...
@overload
def bvsb_and_class(probs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
def bvsb_and_class(probs: Any) -> Any:
    """Best-versus-second-best ratio and most probable class, in one pass over the classes.

    Parameters
    ----------
    probs : (C, ...) float array or tensor

    Returns
    -------
    ratio : (...) of the same kind
        Of :func:`bvsb`.
    class_ids : (...) integer array or tensor
        The lowest class on a tie (on a GPU: any of them); uint8 in numpy where that holds them.
    """
    if isinstance(probs, np.ndarray):
        return _bvsb_of_array(probs)
    import torch

    best, class_ids = probs.max(dim=0)
    second = torch.zeros_like(best)
    running = probs[0].clone()
    for p in probs[1:]:
        second = torch.maximum(second, torch.minimum(running, p))
        running = torch.maximum(running, p)
    return second / best.clamp_min(torch.finfo(best.dtype).tiny), class_ids


def _bvsb_of_array(
    probs: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]:
    best, second = np.array(probs[0]), np.zeros_like(probs[0])
    lower = np.empty_like(best)
    class_ids = np.zeros(best.shape, np.uint8 if len(probs) <= 256 else np.intp)
    for class_id, p in enumerate(probs[1:], start=1):
        np.minimum(best, p, out=lower)
        np.maximum(second, lower, out=second)
        np.copyto(class_ids, class_id, where=p > best)
        np.maximum(best, p, out=best)
    return np.divide(second, np.maximum(best, np.finfo(best.dtype).tiny), out=second), class_ids


def pixels_of_class(
    dominant: NDArray[np.integer[Any]], size: NDArray[np.integer[Any]], n_classes: int
) -> NDArray[np.float64]:
    """Count the pixels in regions that each class dominates; of (R,) regions, (C,) whole numbers.

    With a `size` of ones: the regions.
    """
    return np.bincount(dominant, size, n_classes).astype(np.float64, copy=False)


def class_frequency(n_of_class: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Share of the pool that each class dominates: p(c).

    Of regions, Cai et al. 2021, eq. 5; of pixels in them, Kim et al. 2023, eq. 6.

    Parameters
    ----------
    n_of_class : (C,) float
        Regions, or pixels, of the whole pool, answered ones included, that the class is predicted
        to dominate; the sum of what `pixels_of_class` says of its parts.

    Returns
    -------
    (C,) float64
        Sums to 1; all zeros if there is nothing.
    """
    frequency: NDArray[np.float64] = n_of_class / max(n_of_class.sum(), 1)
    return frequency


def class_balanced(
    uncertainty: NDArray[np.floating[Any]],
    dominant: NDArray[np.integer[Any]],
    class_frequency: NDArray[np.float64],
    *,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """Uncertain regions of rare classes first: ``u(s) exp(-p(D(s)))``.

    Cai et al. 2021, eq. 6, with the frequency of regions; Kim et al. 2023, eq. 7, with that of
    pixels.

    Parameters
    ----------
    uncertainty : (R,) float
        Mean BvSB; 0 for a region without pixels, which so scores lowest.
    dominant : (R,) int
        Predicted dominant class of each region.
    class_frequency : (C,) float
        p(c).
    scale : float
        Multiplies p. The code of Kim et al. counts pixels at half size but divides by all of them,
        which is a scale of 0.25.

    Returns
    -------
    (R,) float64
        In [0, 1].
    """
    weight = np.exp(-scale * class_frequency)
    score: NDArray[np.float64] = uncertainty.astype(np.float64) * weight[dominant]
    return score


def class_sums(
    mean_probs: NDArray[np.floating[Any]], size: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Sum the probabilities of each class over the pixels of (R,) regions; last, count the pixels.

    Returns
    -------
    (C + 1,) float64
    """
    of_class = np.einsum("r,rc->c", size, mean_probs, dtype=np.float64)
    return np.append(of_class, float(size.sum()))


def class_prior(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean probability of each class over all pixels: P(c) of Hwang et al. 2023, eq. 3.

    Parameters
    ----------
    sums : (C + 1,) float
        Of the regions of the whole pool, answered ones included: the sum of what `class_sums` says
        of its parts.

    Returns
    -------
    (C,) float64
        Sums to 1; all zeros if there are no pixels.
    """
    prior: NDArray[np.float64] = sums[:-1] / max(sums[-1], 1)
    return prior


def pixbal(
    bvsb_by_class: NDArray[np.floating[Any]],
    size: NDArray[np.integer[Any]],
    class_prior: NDArray[np.float64],
    nu: float,
) -> NDArray[np.float64]:
    """Uncertain pixels of rare classes first: PixBal of Hwang et al. 2023, eq. 4.

    A pixel's weight depends on its most probable class alone, so that a region's score is exact
    from the sums of BvSB by that class.

    Parameters
    ----------
    bvsb_by_class : (R, C) float
        Sum of BvSB over the region's pixels whose most probable class is c.
    size : (R,) int
        Pixels of each region.
    class_prior : (C,) float
        P(c).
    nu : float
        How much rare classes are favoured, 0 or more; 6 for Cityscapes and 12 for PASCAL VOC in
        the authors' runs.

    Returns
    -------
    (R,) float64
        In [0, 1]; -inf for a region without pixels.
    """
    if nu < 0:
        raise InputError(f"pixbal: nu must be 0 or more, got {nu}")
    weighted = bvsb_by_class @ (1 + nu * class_prior) ** -2.0
    score: NDArray[np.float64] = np.divide(
        weighted, size, out=np.full(len(size), -np.inf), where=size > 0
    )
    return score


def power_noise(
    uncertainty: NDArray[np.floating[Any]], uniform: NDArray[np.floating[Any]], beta: float
) -> NDArray[np.float64]:
    """Uncertainty with noise that fades as ``beta`` grows: ``beta log u + Gumbel(0, 1)``.

    The regions with the largest scores are a sample without replacement, each drawn with a chance
    proportional to ``u ** beta`` (Kirsch et al., TMLR 2023; ClaSP PE, TMLR 2026): at random for 0,
    the most uncertain ones for a large ``beta``.

    Parameters
    ----------
    uncertainty : (R,) float >= 0
        Mean BvSB, say.
    uniform : (R,) float in [0, 1)
        Drawn at random; the noise is made of it.
    beta : float >= 0

    Returns
    -------
    (R,) float64
        -inf where the uncertainty is 0.
    """
    noise = -np.log(-np.log(np.clip(uniform, 1e-300, 1 - 1e-16)))
    u = np.asarray(uncertainty, np.float64)
    scores = np.full(len(u), -np.inf)
    scores[u > 0] = beta * np.log(u[u > 0]) + noise[u > 0]
    return scores


def in_equal_shares(
    scores: NDArray[np.floating[Any]],
    groups: NDArray[np.integer[Any]],
    is_open: NDArray[np.bool_],
    *,
    n_at_a_time: int = 1,
) -> NDArray[np.float64]:
    """Scores with which groups take turns: the best of each group, then the second best of each.

    With predicted classes as groups a batch has equal shares of them, whatever its size (class
    stratification of ClaSP PE, TMLR 2026); a group without an open region is passed over. With
    images as groups, and several at a time, no image is asked about more often than that while
    there is another one.

    Parameters
    ----------
    scores : (R,) float
        Larger = ask sooner within a group; -inf and NaN are never asked.
    groups : (R,) int
        Of each region.
    is_open : (R,) bool
        Regions that were answered come after all others and count for no share.
    n_at_a_time : int >= 1
        Regions that a group has in its turn.

    Returns
    -------
    (R,) float64
        In (0, 1], larger = ask sooner, in turns of the same length the one with the better score
        first; -inf where ``scores`` is that or NaN.
    """
    asked = is_open & (scores > -np.inf)
    order = np.lexsort((-scores, ~asked))
    grouped = np.argsort(groups[order], kind="stable")
    size = np.unique(groups[order], return_counts=True)[1]
    place = np.empty(len(order), np.int64)  # within the group, the best first
    place[grouped] = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    order = order[np.lexsort((place // n_at_a_time, ~asked[order]))]
    turns = np.empty(len(order))
    turns[order] = 1 - np.arange(len(order)) / max(len(order), 1)
    turns[~(scores > -np.inf)] = -np.inf
    return turns


def alternating(
    scores: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Scores with which the best by one measure and the best by another take turns.

    Parameters
    ----------
    scores, others : (R,) float
        Larger = ask sooner; -inf and NaN in ``scores`` are never asked. The first is the best by
        ``scores``.

    Returns
    -------
    (R,) float64
        In (0, 1]; -inf where ``scores`` is that or NaN.
    """
    n = len(scores)
    place, other = np.empty(n), np.empty(n)
    place[np.argsort(-scores, kind="stable")] = 2 * np.arange(n)
    other[np.argsort(-others, kind="stable")] = 2 * np.arange(n) + 1
    turns: NDArray[np.float64] = 1 - np.minimum(place, other) / (2 * max(n, 1))
    turns[~(scores > -np.inf)] = -np.inf
    return turns


def rank(
    scores: NDArray[np.floating[Any]],
    seed: Sequence[int],
    n_best: int | None = None,
    may_be_asked: Callable[[slice], NDArray[np.bool_]] | None = None,
) -> NDArray[np.int64]:
    """Order regions by descending score; with `n_best`, in one pass and in little memory.

    A batch is where this order begins, until its clicks reach the budget (Cai et al. 2021,
    Algorithm 1); what an answer costs is known only when it is given, so ``Session.query`` counts.

    Parameters
    ----------
    scores : (n,) float
        Larger = ask sooner. -inf and NaN are never asked. May be mapped from a file: blocks of
        ``BLOCK_ROWS`` are read, one after the other.
    seed : sequence of int
        Breaks ties, so that equal scores do not favour the images that come first.
    n_best : int, optional
        How many to return at most; by default, all.
    may_be_asked : callable, optional
        Of the rows of a slice: whether each counts, (rows,) bool.

    Returns
    -------
    (m,) int64
        Indices of the regions that may be asked, the best first.
    """
    n_kept = len(scores) if n_best is None else n_best
    rows: NDArray[np.int64] = np.empty(0, np.int64)
    values: NDArray[np.floating[Any]] = np.empty(0, np.float64)
    worst = -np.inf  # of those that would be kept
    for start in range(0, len(scores), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(scores)))
        found = np.asarray(scores[block])
        is_good = (found > -np.inf) & (found >= worst)
        if may_be_asked is not None:
            is_good &= may_be_asked(block)
        places = np.flatnonzero(is_good)
        rows = np.concatenate([rows, places + start])
        values = np.concatenate([values, found[places]])
        if len(rows) > n_kept + BLOCK_ROWS:
            order = best_first(rows, values, seed)[:n_kept]
            rows, values = rows[order], values[order]
            worst = values[-1] if n_kept else np.inf
    best: NDArray[np.int64] = rows[best_first(rows, values, seed)[:n_kept]]
    return best


def best_first(
    rows: NDArray[np.int64], values: NDArray[np.floating[Any]], seed: Sequence[int]
) -> NDArray[np.int64]:
    """Return the positions of (R,) rows in the order of ``rank``, by their scores (R,)."""
    return np.lexsort((_tie_numbers(rows, seed), -values))


def _tie_numbers(rows: NDArray[np.int64], seed: Sequence[int]) -> NDArray[np.uint64]:
    """Return a number for each row, as if drawn: the same for a row whatever it is asked with.

    SplitMix64 (Steele et al., OOPSLA 2014).
    """
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += np.random.SeedSequence(seed).generate_state(1, np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
