"""When to stop: the gain in mIoU to expect from the next clicks, and prequential accuracy.

``estimate_gain`` fits a learning curve to the newest rounds' mIoU. Prequential accuracy needs no
validation data: each answer is first predicted, then learnt from (A. P. Dawid, 1984, "Statistical
theory: the prequential approach"). Numbers in, estimates out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STEP_CLICKS = 100
"""Gains are given for this many clicks."""
N_ROUNDS = 6
"""Newest rounds that the curve is fitted to."""
_T95 = (6.31, 2.92, 2.35, 2.13, 2.02)
"""Student's t, 95 % quantile, for 1, 2, ... degrees of freedom: a two-sided 90 % interval."""
MIN_GAIN = 0.003
"""mIoU per `STEP_CLICKS`; stopping is reasonable when not even this can be expected."""
N_NEWEST = 60
"""Answers that a share is taken over, so that it follows the model."""
_Z95 = 1.959963984540054
"""Normal distribution, 97.5 % quantile: a two-sided 95 % interval."""
MIN_ACCURACY = 0.9
"""Stopping is reasonable when the lower bound of a prequential accuracy reaches this."""


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


@dataclass(frozen=True, slots=True)
class Share:
    """Answers that were predicted right, of all.

    Attributes
    ----------
    n_right, n : int
        0 <= n_right <= n.
    """

    n_right: int
    n: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of no answers."""
        return self.n_right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval by Wilson."""
        return wilson_interval(self.n_right, self.n)

    @property
    def may_stop(self) -> bool:
        """Whether the lower bound reaches `MIN_ACCURACY`.

        Also of the answers to regions that an acquisition function chose: others are easier.
        """
        return self.interval[0] >= MIN_ACCURACY


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's score.

    Right also for few answers and for shares near 0 and 1, where the usual p ± 1.96 s leaves
    [0, 1] or has no width.

    Parameters
    ----------
    n_right, n : int
        0 <= n_right <= n.

    Returns
    -------
    low, high : float
        0 to 1; (0, 1) where n is 0.

    Raises
    ------
    ValueError
        If n_right is negative or above n.

    References
    ----------
    E. B. Wilson, 1927, "Probable inference, the law of succession, and statistical inference";
    L. D. Brown, T. T. Cai and A. DasGupta, 2001, "Interval estimation for a binomial proportion",
    equation 4.
    """
    if not 0 <= n_right <= n:
        raise ValueError(f"0 <= n_right <= n was expected, got {n_right} and {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = _Z95**2
    centre = (n_right + z2 / 2) / (n + z2)
    half = _Z95 / (n + z2) * np.sqrt(n_right * (n - n_right) / n + z2 / 4)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def moving_accuracy(was_right: Sequence[bool], window: int = N_NEWEST) -> NDArray[np.float64]:
    """Return the share of right predictions over the newest answers, after each answer.

    Parameters
    ----------
    was_right : sequence of bool, (N,)
        Oldest first.
    window : int
        Answers that a share is taken over; fewer at the beginning.

    Returns
    -------
    (N,) float64
        0 to 1.
    """
    sums = np.cumsum(np.asarray(was_right, np.int64))
    sums[window:] = sums[window:] - sums[:-window]
    return sums / np.minimum(np.arange(1, len(sums) + 1), window)
