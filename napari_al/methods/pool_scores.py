"""Scores of a whole pool: the acquisition function, then what says how many of each are asked.

Functions whose scores depend on a region and sums over the pool are given a block after the other,
so that columns on disk need not fit into the memory. Equal shares, a cap an image, the search for
classes and coverage compare all regions with each other and hold their columns at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import acquisition
from napari_al.core.acquisition import BLOCK_ROWS
from napari_al.formats.classes import live_classes
from napari_al.methods import coverage
from napari_al.methods.acquisition import TOTALS, clicks_of_next, function_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_al.methods.acquisition import (
        AcquisitionFunction,
        Columns,
        Scores,
        ScoringConfig,
    )


def pool_scores(
    columns: Columns, config: ScoringConfig, out: Scores | None = None, *, by_model: bool = True
) -> Scores:
    """Score a pool, and have it asked as the method's selection and the settings say.

    Parameters
    ----------
    columns
        Those of ``columns_to_score``, one row a region.
    config
    out
        (P,) float64 to write to, perhaps on disk; by default, a new array.
    by_model
        Whether there is a model. Before that the function's ``without_model`` is asked.

    Returns
    -------
    (P,) float64
        Larger = ask sooner: ``out``.
    """
    scores = _scores(function_of(config, by_model), columns, config, out)
    if by_model and config.method.selection == "equal-shares":
        is_open = ~columns["queried"]
        scores = acquisition.in_equal_shares(scores, columns["dominant"], is_open)
    if by_model and config.acquisition.search and _lacks_a_class(columns, config):
        features, queried, uniform = (columns[n] for n in ("features", "queried", "uniform"))
        n = clicks_of_next(columns, config)
        unlike = coverage.scores_by_distance(features, queried, uniform, n)
        scores = acquisition.alternating(np.where(queried, -1e300, scores), unlike)
    n_at_a_time = config.acquisition.max_per_image
    if n_at_a_time:
        is_open = ~columns["queried"]
        scores = acquisition.in_equal_shares(
            scores, columns["image"], is_open, n_at_a_time=n_at_a_time
        )
    if out is None or scores is out:
        return scores
    out[:] = scores
    return out


def _scores(
    function: AcquisitionFunction, columns: Columns, config: ScoringConfig, out: Scores | None
) -> Scores:
    """Call a function block by block, if it can be, or with the whole pool."""
    if not function.by_row:
        return function.score(columns, config)
    n_rows = len(next(iter(columns.values())))
    read = {name: columns[name] for name in function.columns}

    def blocks() -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        for start in range(0, max(n_rows, 1), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            yield rows, {name: np.asarray(values[rows]) for name, values in read.items()}

    totals: dict[str, NDArray[Any]] = {}
    if function.totals is not None:
        parts = [function.totals(block, config) for _, block in blocks()]
        totals[TOTALS] = np.sum(parts, axis=0)
    scores = np.empty(n_rows) if out is None else out
    for rows, block in blocks():
        scores[rows] = function.score({**block, **totals}, config)
    return scores


def _lacks_a_class(columns: Columns, config: ScoringConfig) -> bool:
    """Whether a class has fewer answers than are searched for."""
    n_answers = columns["answered_as"].sum(axis=0)
    live = [info.id for info in live_classes(config.classes)]
    return bool((n_answers[live] < config.acquisition.search).any())
