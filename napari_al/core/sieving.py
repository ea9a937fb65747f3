"""Which pixels of a region to believe its class: Kim et al. 2023, section "Sieving".

A region's confidences, sorted, are a curve that mostly rises steeply and then flattens: at the knee
(Kneedle, Satopaa et al. 2011) pixels stop being doubtful. Those below it are left without a label.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ConfidenceCurve:
    """A region's confidences in ascending order, thinned out, and their knee.

    Attributes
    ----------
    values : (k,) float64
    knee : int or None
        Position of the knee in ``values``; None where there is none: all pixels are kept.
    """

    values: NDArray[np.float64]
    knee: int | None

    @property
    def threshold(self) -> float:
        """Smallest confidence to keep, phi(s) of Kim et al. 2023, eq. 8; -inf = all are kept."""
        return -math.inf if self.knee is None else float(self.values[self.knee])


def confidence_curve(
    confidence: NDArray[np.floating[Any]], *, points: int = 20, min_size: int = 0
) -> ConfidenceCurve:
    """Sort a region's confidences and find the knee.

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
    ConfidenceCurve
        Without a knee for a straight line, a constant or too few pixels.
    """
    if points < 3:
        raise InputError(f"sieving: a curve needs 3 points or more, got points={points}")
    step = max(1, confidence.size // points)
    curve = np.sort(confidence, axis=None)[::step].astype(np.float64)
    is_small = confidence.size < max(min_size, 3)
    if is_small or curve[0] == curve[-1] or not np.isfinite(curve).all():
        return ConfidenceCurve(curve, None)
    from kneed import KneeLocator  # takes seconds, for it imports matplotlib and scipy.signal

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kneed warns where it finds no knee
        knee = KneeLocator(
            np.arange(curve.size), curve, S=1.0, curve="concave", direction="increasing"
        ).knee
    return ConfidenceCurve(curve, None if knee is None else int(knee))


def sieve(confidence: NDArray[np.floating[Any]], curve: ConfidenceCurve) -> NDArray[np.bool_]:
    """Pixels that keep the region's class: h(s) of Kim et al. 2023, eq. 8.

    Parameters
    ----------
    confidence : (...) float
        Probability of the region's class at each of its pixels.
    curve : ConfidenceCurve
        Theirs, of :func:`confidence_curve`.

    Returns
    -------
    bool, of the shape of ``confidence``
        True where it is at least the threshold.
    """
    return confidence >= curve.threshold
