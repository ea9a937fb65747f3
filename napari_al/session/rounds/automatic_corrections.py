"""Automatic corrections (Jeon et al. 2026): what a round's answers say of regions not asked.

A small model learns from the round's answers to tell a region's class from its mean
probabilities; guards decide which of its answers may change a label. A person may look at them
before they are applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.masks import Mask
from napari_al.session.log.class_edits import fitted_features
from napari_al.session.log.records import AutomaticCorrection, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_al.session.log.records import Answer
    from napari_al.session.pool.scores import PoolScores
    from napari_al.session.rounds.snapshot import Snapshot


def propose_corrections(
    snapshot: Snapshot, scores: PoolScores, answers: Sequence[Answer], round_number: int
) -> tuple[AutomaticCorrection, ...]:
    """Return the automatic corrections that a round's answers justify.

    Parameters
    ----------
    snapshot : answers and corrections up to now, this round's answers included
    scores : of the model that asked; its ``features`` are what the correction module reads
    answers : this round's
    round_number : int
    """
    from napari_al.learning.correction_module import (
        automatic_corrections,
        predict_corrections,
        train_correction_module,
    )

    taught = [answer for answer in answers if answer.outcome == "labelled"]
    if scores.features is None or not taught:
        return ()
    config, n_classes = snapshot.config, len(snapshot.config.classes)
    features = fitted_features(scores.features, config.classes)
    rows = _rows_of(scores, taught)
    targets = np.array([answer.class_ids[0] for answer in taught])
    known = rows >= 0
    counts = np.bincount(targets, minlength=n_classes)
    module = train_correction_module(
        features[rows[known]],
        targets[known],
        counts,
        seed=config.seed + round_number,
        loss=config.targets.lcm_loss,
    )
    predicted, confidence = predict_corrections(module, features)
    labels, protected = _majority_labels(snapshot, scores)
    thresholds = config.targets.lcm_confidence
    accepted = automatic_corrections(
        labels,
        predicted,
        confidence,
        protected,
        counts,
        tau=thresholds[min(round_number, len(thresholds)) - 1],
        tail_fraction=config.targets.lcm_tail,
    )
    return tuple(
        AutomaticCorrection(
            round_number,
            region_of_row(snapshot, scores, int(row)),
            int(labels[row]),
            int(predicted[row]),
            float(confidence[row]),
        )
        for row in np.flatnonzero(accepted)
    )


def region_of_row(snapshot: Snapshot, scores: PoolScores, row: int) -> Region:
    """Return what a row of the scores stands for, with its pixels."""
    index = int(scores.image_index[row])
    image = scores.images[index]
    region_map = snapshot.maps(image)
    scores.check_fit(index, region_map)
    groups = scores.groups_of(index)
    region_id = scores.region_id[row]
    inside = region_map == region_id if groups is None else (groups == region_id)[region_map]
    return Region(image, scores.base_ids(row), Mask.from_array(inside))


def _rows_of(scores: PoolScores, answers: Sequence[Answer]) -> NDArray[np.int64]:
    """Row of each answer's region, -1 if the scores do not have it."""
    index_of = {image: index for index, image in enumerate(scores.images)}
    rows = np.full(len(answers), -1)
    for position, answer in enumerate(answers):
        region = answer.query.region
        within = scores.rows_of(index_of[region.image]) if region.image in index_of else slice(0)
        found = np.flatnonzero(scores.region_id[within] == region.ids[0])
        if found.size:
            rows[position] = within.start + found[0]
    return rows


def _majority_labels(
    snapshot: Snapshot, scores: PoolScores
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of each row: the commonest current class (lowest on a tie), and whether it was answered."""
    labels = np.full(len(scores.score), IGNORE, np.int64)
    protected = np.zeros(len(scores.score), bool)
    for index, image in enumerate(scores.images):
        rows = scores.rows_of(index)
        n_regions = rows.stop - rows.start
        if n_regions == 0:
            continue
        region_map, class_map = snapshot.maps(image), snapshot.current_labels(image)
        inside = region_map >= 0
        pairs = region_map[inside].astype(np.int64) * (IGNORE + 1) + class_map[inside]
        histogram = np.bincount(pairs, minlength=n_regions * (IGNORE + 1))
        labels[rows] = histogram.reshape(n_regions, IGNORE + 1).argmax(axis=1)
        protected[rows] = np.isin(scores.region_id[rows], list(snapshot.answered_ids(image)))
    return labels, protected
