"""Previews of other choices: another epsilon, other superpixels, another acquisition function.

Computed from a round's files without a model, fast enough to follow a slider.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core.acquisition import rank
from napari_al.core.metrics import achievable_segmentation_accuracy
from napari_al.core.regions import RegionTable, merge_rows
from napari_al.errors import InputError
from napari_al.methods.acquisition import columns_to_score
from napari_al.methods.pool_scores import pool_scores
from napari_al.methods.regions import base_regions, merged_regions
from napari_al.session.inspection.colouring import cells
from napari_al.session.inspection.inspection import NotThereError
from napari_al.session.pool.scores import paint_scores
from napari_al.session.rounds.pool_columns import columns_without_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.session.inspection.overlays import RoundImage
    from napari_al.session.pool.scores import PoolScores

BOTH, OWN_ONLY, OTHER_ONLY = 1, 2, 3
"""Codes of ``Comparison.batches``."""


@dataclass(frozen=True)
class Merging:
    """An image's superpixels, merged at some epsilon.

    ``cells``: (H, W) uint8 as ``round_pictures.cells`` gives; ``largest``: superpixels in the
    largest region.
    """

    epsilon: float
    cells: NDArray[np.uint8]
    n_before: int
    n_after: int
    largest: int


@dataclass(frozen=True)
class Cutting:
    """An image, cut anew.

    ``accuracy``: pixel accuracy if each superpixel had its commonest true class; None without
    ground truth.
    """

    region_map: NDArray[np.int32]
    n_regions: int
    accuracy: float | None


@dataclass(frozen=True)
class Comparison:
    """A round's batch by the project's acquisition function and by another one.

    Attributes
    ----------
    correlation : float
        Spearman's, over the regions that were open.
    overlap : float
        Share of the round's batch that the other one would have chosen, too.
    n_batch, n_open : int
        Regions in a batch; regions that were open.
    heatmap : (H, W) float32
        The other function's scores in the image.
    batches : (H, W) uint8
        ``BOTH``, ``OWN_ONLY``, ``OTHER_ONLY``, or 0 for regions of the image in no batch.
    """

    correlation: float
    overlap: float
    n_batch: int
    n_open: int
    heatmap: NDArray[np.float32]
    batches: NDArray[np.uint8]


def merge_at(shown: RoundImage, epsilon: float) -> Merging:
    """Merge an image's superpixels as the round's model would at some epsilon.

    Raises
    ------
    NotThereError
        There was no model, or what it said is not there any more.
    InputError
        The project's regions are not superpixels.
    """
    table, base = _superpixel_table(shown), shown.inspection.maps(shown.image)
    groups = merged_regions(table, base, epsilon)
    sizes = np.bincount(groups)
    return Merging(
        epsilon, cells(groups, base), len(groups), int((sizes > 0).sum()), int(sizes.max())
    )


def _superpixel_table(shown: RoundImage) -> RegionTable:
    _check_model(shown)
    table = shown.inspection.table(shown.record.asked_by, shown.image)
    if not isinstance(table, RegionTable):
        raise InputError("objects to correct are not merged; this needs superpixels")
    return table


def _check_model(shown: RoundImage) -> None:
    if not shown.inspection.has_model(shown.record.asked_by):
        raise NotThereError(f"round {shown.record.number} was asked without a model")


def cut_into(shown: RoundImage, n_per_image: int) -> Cutting:
    """Cut an image into about ``n_per_image`` superpixels, as the project's method does."""
    config, data = shown.inspection.config, shown.inspection.data
    kind = config.method.regions
    if kind not in ("seeds", "slic"):
        raise InputError(f"regions={kind!r} have no number to choose; this needs superpixels")
    settings = config.regions.model_copy(update={"n_per_image": n_per_image})
    region_map = base_regions(config.method, settings, lambda: data.image(shown.image))
    truth = data.labels(shown.image) if data.has_labels else None
    accuracy = None if truth is None else achievable_segmentation_accuracy(region_map, truth)
    return Cutting(region_map, int(region_map.max()) + 1, accuracy)


def compare_acquisitions(shown: RoundImage, other: str) -> Comparison:
    """Ask a round's pool, as its model saw it, with another acquisition function.

    A batch is as many regions as were asked in the round (while it is open: as its budget pays for
    at one click each).

    Raises
    ------
    NotThereError, InputError
    """
    _check_model(shown)
    inspection, record = shown.inspection, shown.record
    scores = inspection.scores(record.asked_by)
    theirs = _scores_by(shown, scores, other)
    is_open = _open_rows(shown, scores)
    comparable = is_open & np.isfinite(scores.score) & np.isfinite(theirs)
    n_batch = len(record.answers) if record.is_done else inspection.config.budget_of(record.number)
    own_batch, other_batch = (
        _batch(values, is_open, n_batch, inspection.config.seed, record.asked_by)
        for values in (scores.score, theirs)
    )
    code = np.zeros(len(scores), np.float32)
    code[own_batch] = OWN_ONLY
    code[other_batch] = np.where(np.isin(other_batch, own_batch), BOTH, OTHER_ONLY)
    base = inspection.maps(shown.image)
    index = scores.images.index(shown.image)
    settled = record.before.answered_ids(shown.image)
    batches = np.nan_to_num(np.append(scores.spread(index, code, base), np.float32(0))[base])
    return Comparison(
        _rank_correlation(scores.score[comparable], theirs[comparable]),
        float(np.isin(own_batch, other_batch).mean()) if len(own_batch) else float("nan"),
        n_batch=len(own_batch),
        n_open=int(is_open.sum()),
        heatmap=paint_scores(scores.spread(index, theirs, base), base, settled),
        batches=batches.astype(np.uint8),
    )


def _rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; NaN where a or b does not vary."""
    from scipy.stats import spearmanr  # takes a second to import

    varies = len(a) > 0 and np.ptp(a) > 0 and np.ptp(b) > 0
    return float(spearmanr(a, b).statistic) if varies else float("nan")


def _batch(
    values: NDArray[np.float64], is_open: NDArray[np.bool_], n: int, seed: int, model_round: int
) -> NDArray[np.int64]:
    """Return the rows that come first, ties broken as in the pool."""
    order = rank(values, (seed, model_round))
    return order[is_open[order]][:n]


def _open_rows(shown: RoundImage, scores: PoolScores) -> NDArray[np.bool_]:
    """Of each row: whether it held a base region without an answer when the round began."""
    is_open = np.ones(len(scores), bool)
    for index, image in enumerate(scores.images):
        rows, settled = scores.rows_of(index), shown.record.before.answered_ids(image)
        if settled:
            for row in range(rows.start, rows.stop):
                is_open[row] = not settled.issuperset(scores.base_ids(row))
    return is_open


def _scores_by(shown: RoundImage, scores: PoolScores, name: str) -> NDArray[np.float64]:
    """(P,) scores of the same rows by another function, with the same selection."""
    inspection, record = shown.inspection, shown.record
    before = record.before
    method = before.config.method.model_copy(update={"acquisition": name})
    settings = before.config.acquisition.model_copy(update={"search": 0})  # features are not kept
    config = before.config.model_copy(update={"method": method, "acquisition": settings})
    names = columns_to_score(config)
    parts: dict[str, list[NDArray[Any]]] = {column: [] for column in names}
    for index, image in enumerate(scores.images):
        rows, groups = scores.rows_of(index), scores.groups_of(index)
        region_id = scores.region_id[rows]
        held = columns_without_model(before, record.asked_by, image, region_id, groups)
        if not held.keys() >= set(names):
            table = inspection.table(record.asked_by, image)
            if isinstance(table, RegionTable) and groups is not None:
                table = merge_rows(table, np.unique(groups, return_inverse=True)[1])
            if len(table) != len(region_id):
                raise InputError(f"{image}: its regions were cut anew after the round")
            held |= {name: getattr(table, name) for name in names if name not in held}
        for column in names:
            parts[column].append(held[column])
    return pool_scores({name: np.concatenate(part) for name, part in parts.items()}, config)
