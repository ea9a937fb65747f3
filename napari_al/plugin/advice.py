"""Whether to go on: what the last rounds gained, and what the next clicks may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = 100
"""Clicks that gains are given for."""
N_ROUNDS = 6
"""Of the newest rounds the curve is fitted to."""
_T90 = (6.31, 2.92, 2.35, 2.13, 2.02)
"""Student's t, 95 % quantile, for 1, 2, ... degrees of freedom: a 90 % interval on both sides."""
LITTLE = 0.003
"""Of mIoU for 100 clicks; if not even this can be expected, stopping is reasonable."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Gains of model mIoU for 100 clicks.

    Attributes
    ----------
    last : float
        Of the last round.
    expected, low, high : float or None
        Of the next 100 clicks, with a 90 % interval; None with fewer than three rounds.
    """

    last: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def may_stop(self) -> bool:
        """Whether little is left to gain."""
        return self.high is not None and self.high < LITTLE


def advise(rows: Sequence[dict[str, str]]) -> Advice | None:
    """Return what the rows of ``rounds.csv`` say of going on; None before two rounds.

    mIoU is taken to grow with the logarithm of the clicks, as learning curves do; the slope is
    fitted to the newest rounds by least squares.
    """
    points = np.array(
        [
            (float(row["clicks"]), float(row["model_miou"]))
            for row in rows
            if row["model_miou"] and float(row["clicks"]) > 0
        ][-N_ROUNDS:]
    )
    if len(points) < 2 or points[-1, 0] <= points[-2, 0]:
        return None
    clicks, miou = points.T
    last = float((miou[-1] - miou[-2]) / (clicks[-1] - clicks[-2]) * STEP)
    if len(points) < 3:
        return Advice(last)
    x = np.log(clicks)
    step = float(np.log((clicks[-1] + STEP) / clicks[-1]))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (miou - miou.mean())).sum() / spread)
    residuals = miou - miou.mean() - slope * (x - x.mean())
    n_free = len(points) - 2
    error = float(np.sqrt((residuals**2).sum() / n_free / spread))
    margin = _T90[min(n_free, len(_T90)) - 1] * error * step
    return Advice(last, slope * step, slope * step - margin, slope * step + margin)


def in_words(advice: Advice) -> str:
    """Return the advice as sentences, in points of mIoU (hundredths)."""
    words = f"The last round gained {100 * advice.last:+.1f} points of mIoU per {STEP} clicks."
    if advice.expected is None or advice.low is None or advice.high is None:
        return words
    words += (
        f" The next {STEP} may gain {100 * advice.expected:+.1f}"
        f" ({100 * advice.low:+.1f} to {100 * advice.high:+.1f})."
    )
    return words + (" Little is left to gain: you may stop." if advice.may_stop else "")
