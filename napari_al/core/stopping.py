"""Stopping criterion: the gain in mIoU to expect from the next clicks.

Fits a learning curve to the newest rounds: two series of numbers in, an estimate out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_CLICKS = 100
"""Gains are given for this many clicks."""
N_ROUNDS = 6
"""Newest rounds that the curve is fitted to."""
_T95 = (6.31, 2.92, 2.35, 2.13, 2.02)
"""Student's t, 95 % quantile, for 1, 2, ... degrees of freedom: a two-sided 90 % interval."""
MIN_GAIN = 0.003
"""mIoU per `STEP_CLICKS`; stopping is reasonable when not even this can be expected."""


@dataclass(frozen=True, slots=True)
class GainEstimate:
    """Gains in model mIoU (0 to 1) per 100 clicks.

    Attributes
    ----------
    last : float
        Observed in the last round.
    expected, low, high : float or None
        Of the next 100 clicks, with a 90 % interval; None with fewer than three rounds.
    """

    last: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def may_stop(self) -> bool:
        """Whether the upper bound of the expected gain is below `MIN_GAIN`."""
        return self.high is not None and self.high < MIN_GAIN


def estimate_gain(clicks: Sequence[float], miou: Sequence[float]) -> GainEstimate | None:
    """Extrapolate the learning curve of a run.

    mIoU is taken to grow with the logarithm of the clicks; the slope is fitted to the newest
    rounds by ordinary least squares.

    Parameters
    ----------
    clicks : sequence of float, (N,)
        Clicks spent until each round's training, ascending; rounds with 0 clicks are left out.
    miou : sequence of float, (N,)
        Model mIoU of each round, 0 to 1.

    Returns
    -------
    GainEstimate or None
        None with fewer than two rounds, or when the last round cost no clicks.
    """
    points = np.array([(c, m) for c, m in zip(clicks, miou, strict=True) if c > 0][-N_ROUNDS:])
    if len(points) < 2 or points[-1, 0] <= points[-2, 0]:
        return None
    x, y = np.log(points[:, 0]), points[:, 1]
    last = float((y[-1] - y[-2]) / (points[-1, 0] - points[-2, 0]) * STEP_CLICKS)
    if len(points) < 3:
        return GainEstimate(last)
    step = float(np.log((points[-1, 0] + STEP_CLICKS) / points[-1, 0]))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    residuals = y - y.mean() - slope * (x - x.mean())
    n_free = len(points) - 2
    error = float(np.sqrt((residuals**2).sum() / n_free / spread))
    margin = _T95[min(n_free, len(_T95)) - 1] * error * step
    return GainEstimate(last, slope * step, slope * step - margin, slope * step + margin)
