"""Which type of query a region is asked: for its dominant class, or for all classes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SHARE = 0.05
"""Least share of a region's pixels that a class is predicted to have to count as one in it."""


def multi_class_gains_more(
    class_histogram: NDArray[np.integer[Any]],
    seconds: tuple[float, float],
    share_localised: float,
) -> NDArray[np.bool_]:
    """Whether a multi-class query about each region gains more a second than a dominant one.

    An answer gains the share of the region's pixels that get their class from it, less the share
    that get a wrong one. With ``s`` the share of the predicted dominant class, a dominant query
    gains ``2 s - 1`` in the seconds of one click. A multi-class query says nothing wrong: it gains
    ``share_localised`` in the seconds of as many clicks as classes are predicted. Our own rule; no
    publication has it.

    Parameters
    ----------
    class_histogram : (R, C) int
        Pixels of each region by their most probable class. A class with less than ``MIN_SHARE`` of
        them costs no click.
    seconds : (float > 0, float >= 0)
        Of a query's first click, and of each further one.
    share_localised : float in [0, 1]

    Returns
    -------
    (R,) bool

    Examples
    --------
    Three quarters of the first region are predicted to be of one class, nine tenths of the second.

    >>> pixels = np.array([[75, 25], [90, 10]])
    >>> multi_class_gains_more(pixels, (2.4, 0.9), 0.9).tolist()
    [True, False]
    """
    shares = class_histogram / np.maximum(class_histogram.sum(axis=1, keepdims=True), 1)
    n_further = np.maximum((shares >= MIN_SHARE).sum(axis=1) - 1, 0)
    first, further = seconds
    of_dominant = (2 * shares.max(axis=1) - 1) / first
    of_all = share_localised / (first + further * n_further)
    return np.asarray(of_all > of_dominant)
