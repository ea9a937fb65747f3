"""From scores to the order in which regions are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank(scores: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Order regions by descending score.

    A batch is where this order begins, until its clicks reach the budget (Cai et al. 2021,
    Algorithm 1); what an answer costs is known only when it is given, so ``Session.query`` counts.

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
    shuffled = shuffled[scores[shuffled] > -np.inf]
    return shuffled[np.argsort(-scores[shuffled], kind="stable")]
