"""Automatic corrections of a round: collects the input of ``methods/corrections.py``.

A person may look at the proposals before they are applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.methods.queries import AutomaticCorrection
from napari_al.session.log.class_edits import fitted_features
from napari_al.session.pool.queue import region_of_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_al.methods.queries import Answer
    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.pool.scores import PoolScores


def propose_corrections(
    snapshot: Snapshot, scores: PoolScores, answers: Sequence[Answer], round_number: int
) -> tuple[AutomaticCorrection, ...]:
    """Return the automatic corrections that a round's answers justify; none without answers.

    Parameters
    ----------
    snapshot : answers and corrections up to now, this round's answers included
    scores : of the model that asked; its ``features`` are what the correction module reads
    answers : this round's
    round_number : int
    """
    from napari_al.methods.corrections import correct_automatically

    taught = [answer for answer in answers if answer.outcome == "labelled"]
    if scores.features is None or not taught:
        return ()
    labels, protected = _majority_labels(snapshot, scores)
    corrected = correct_automatically(
        fitted_features(scores.features, snapshot.config.classes),
        labels,
        protected,
        _rows_of(scores, taught),
        np.array([answer.class_ids[0] for answer in taught]),
        np.array([_class_before(answer) for answer in taught]),
        snapshot.config.targets,
        round_number=round_number,
        seed=snapshot.config.seed,
    )
    return tuple(
        AutomaticCorrection(
            round_number,
            region_of_row(snapshot.maps, scores, int(row)),
            int(labels[row]),
            int(corrected.class_ids[row]),
            float(corrected.confidence[row]),
        )
        for row in np.flatnonzero(corrected.accepted)
    )


def _class_before(answer: Answer) -> int:
    before = answer.query.pseudo_label
    return IGNORE if before is None else before


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
    """Most frequent current class of each row (lowest on a tie), and whether it was answered."""
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
