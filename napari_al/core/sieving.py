"""Which pixels of a region to believe its class: Kim et al. 2023, section "Sieving".

A region's confidences, sorted, are a curve that mostly rises steeply and then flattens: at the knee
(Kneedle, Satopaa et al. 2011) pixels stop being doubtful. Those below it are left without a label.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from kneed import KneeLocator

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def knee_threshold(
    confidence: NDArray[np.floating[Any]], *, points: int = 20, min_size: int = 0
) -> float:
    """Confidence at the knee of a region's curve: phi(s) of Kim et al. 2023, eq. 8.

    As in the authors' code, the knee is looked for on every ``n // points``-th of the sorted
    values, as that of a rising concave curve with sensitivity 1.

    Parameters
    ----------
    confidence : (n,) float
        Probability of the region's class at each of its pixels.
    points : int
        About how many points the curve has, 3 or more.
    min_size : int
        Regions with fewer pixels are not sieved. The authors' code has 512, their equation none.

    Returns
    -------
    float
        Smallest confidence to keep; -inf where there is no knee (a straight line, a constant, too
        few pixels), so that all are kept.
    """
    if points < 3:
        raise InputError(f"sieving: a curve needs 3 points or more, got points={points}")
    if confidence.size < max(min_size, 3):
        return -math.inf
    step = max(1, confidence.size // points)
    curve = np.sort(confidence, axis=None)[::step].astype(np.float64)
    if curve[0] == curve[-1] or not np.isfinite(curve).all():
        return -math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kneed warns where it finds no knee
        knee = KneeLocator(
            np.arange(curve.size), curve, S=1.0, curve="concave", direction="increasing"
        ).knee
    return -math.inf if knee is None else float(curve[int(knee)])


def sieve(
    confidence: NDArray[np.floating[Any]], *, points: int = 20, min_size: int = 0
) -> NDArray[np.bool_]:
    """Pixels that keep the region's class: h(s) of Kim et al. 2023, eq. 8.

    Parameters
    ----------
    confidence, points, min_size
        As for :func:`knee_threshold`.

    Returns
    -------
    bool, of the shape of ``confidence``
        True where it is at least the threshold.
    """
    return confidence >= knee_threshold(confidence, points=points, min_size=min_size)
