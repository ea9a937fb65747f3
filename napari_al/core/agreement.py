"""How far two acquisition functions agree about the same regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_correlation(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Spearman's rank correlation of two scores of the same regions; ties share their mean rank.

    Parameters
    ----------
    a, b : (n,) float
        Without NaN.

    Returns
    -------
    float
        From -1 (opposite orders) over 0 to 1 (the same order); NaN where a or b does not vary.

    Examples
    --------
    >>> round(rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([0.2, 0.9, 0.5])), 6)
    0.5
    """
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(
            f"rank_correlation: two scores (n,) were expected, got {a.shape} and {b.shape}"
        )
    ranks_a, ranks_b = _centred_ranks(a), _centred_ranks(b)
    spread = float(np.sqrt((ranks_a**2).sum() * (ranks_b**2).sum()))
    return float((ranks_a * ranks_b).sum()) / spread if spread else float("nan")


def overlap(a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> float:
    """Share of the regions of batch ``a`` that batch ``b`` holds too; NaN for an empty batch.

    >>> overlap(np.array([4, 7, 1]), np.array([1, 9, 4]))
    0.6666666666666666
    """
    return float(np.isin(a, b).mean()) if len(a) else float("nan")


def _centred_ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts + 1) / 2
    ranks: NDArray[np.float64] = mean_rank[inverse] - (len(values) - 1) / 2
    return ranks
