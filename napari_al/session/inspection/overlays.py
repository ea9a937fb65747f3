"""The table of overlays of one image in one round, in drawing order.

Each is computed from files of the round; ``NotThereError`` says what is missing and whether it can
be rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.adjacency import borders
from napari_al.methods.targets import TARGETS, partial_labels
from napari_al.session.inspection.colouring import cells, errors, looked_up, stripe_px, striped
from napari_al.session.inspection.inspection import NotThereError
from napari_al.session.pool.scores import paint_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.methods.table import Method
    from napari_al.session.inspection.inspection import Inspection, RoundRecord

Shows = Literal["classes", "numbers", "lines", "cells", "codes"]
"""What a picture's values are: class ids; numbers, NaN = nothing; 1 on a border; 1.. = colours that
tell neighbours apart; 1.. = positions in ``Picture.codes``. 0 (IGNORE for classes) = nothing."""
Step = Literal["asked", "answered", "trained on", "model", "truth"]


@dataclass(frozen=True)
class RoundImage:
    """One image in one round."""

    inspection: Inspection
    record: RoundRecord
    image: str


@dataclass(frozen=True)
class Picture:
    """One row of the table.

    Attributes
    ----------
    name, tip : str
        For people.
    step : str
        The part of a round that it belongs to.
    shows : str
        See ``Shows``.
    make : callable
    applies : callable
        Whether a method has such a thing.
    codes : tuple of str
        Names of the values 1, 2, ... of a picture of codes.
    needs_truth : bool
    """

    name: str
    tip: str
    step: Step
    shows: Shows
    make: Callable[[RoundImage], NDArray[Any]]
    applies: Callable[[Method], bool] = lambda method: True
    codes: tuple[str, ...] = ()
    needs_truth: bool = False


def available(inspection: Inspection) -> dict[str, Picture]:
    """Return the rows that a project can have pictures of."""
    method, has_truth = inspection.config.method, inspection.data.has_some("labels")
    return {
        key: picture
        for key, picture in PICTURES.items()
        if picture.applies(method) and (has_truth or not picture.needs_truth)
    }


# -- asked


def groups_of(shown: RoundImage) -> NDArray[np.int32]:
    """(R,) of each base region of an image the seed of its merged region.

    Raises
    ------
    NotThereError
        Nothing was merged in this round, for there was no model; or it is not known any more.
    """
    asked_by = shown.record.asked_by
    scores = shown.inspection.scores(asked_by)
    if shown.image not in scores.images:
        raise NotThereError(f"the model of round {asked_by} has not scored {shown.image}")
    groups = scores.groups_of(scores.images.index(shown.image))
    if groups is None:
        raise NotThereError(f"nothing was merged in round {shown.record.number}: no model yet")
    return groups


def _base(shown: RoundImage) -> NDArray[np.int32]:
    return shown.inspection.maps(shown.image)


def _superpixels(shown: RoundImage) -> NDArray[np.uint8]:
    return borders(_base(shown))


def _merged_lines(shown: RoundImage) -> NDArray[np.uint8]:
    return borders(looked_up(groups_of(shown), _base(shown), -1))


def _merged_cells(shown: RoundImage) -> NDArray[np.uint8]:
    return cells(groups_of(shown), _base(shown))


def _merged_counts(shown: RoundImage) -> NDArray[np.float32]:
    groups = groups_of(shown)
    counts = np.bincount(groups, minlength=len(groups))[groups].astype(np.float32)
    counts[counts < 2] = np.nan
    return looked_up(counts, _base(shown), np.nan)


def _heatmap(shown: RoundImage) -> NDArray[np.float32]:
    scores = shown.inspection.scores(shown.record.asked_by)
    if shown.image not in scores.images:
        raise NotThereError(f"{shown.image} was not scored")
    base = _base(shown)
    of_base = scores.spread(scores.images.index(shown.image), scores.score, base)
    return paint_scores(of_base, base, shown.record.before.answered_ids(shown.image))


# -- answered


def _answers_of(shown: RoundImage) -> list[Answer]:
    return [a for a in shown.record.answers if a.query.region.image == shown.image]


def _queried(shown: RoundImage) -> NDArray[np.uint8]:
    """Paint this round's answers: a class, several as stripes, or exact pieces."""
    shape = shown.inspection.data.shape(shown.image)
    class_map = np.full(shape, IGNORE, np.uint8)
    n_classes = len(shown.inspection.classes)
    for answer in _answers_of(shown):
        mask = answer.query.region.mask
        candidates = np.zeros((1, n_classes), bool)
        candidates[0, list(answer.class_ids)] = True
        if answer.pieces:
            for piece in answer.pieces:
                piece.mask.view(class_map)[piece.mask.crop()] = piece.class_id
        else:
            inside = mask.to_array(shape)
            alone = np.where(inside, 0, -1).astype(np.int32)
            class_map[inside] = striped(alone, candidates, stripe_px(shape))[inside]
    return class_map


def _queried_lines(shown: RoundImage) -> NDArray[np.uint8]:
    shape = shown.inspection.data.shape(shown.image)
    asked = np.full(shape, -1, np.int32)
    for number, answer in enumerate(_answers_of(shown)):
        mask = answer.query.region.mask
        mask.view(asked)[mask.crop()] = number
    return borders(asked)


def _corrections_of(
    shown: RoundImage, records: tuple[AutomaticCorrection, ...]
) -> list[AutomaticCorrection]:
    return [c for c in records if c.region.image == shown.image]


def _corrections(shown: RoundImage) -> NDArray[np.uint8]:
    class_map = np.full(shown.inspection.data.shape(shown.image), IGNORE, np.uint8)
    for correction in _corrections_of(shown, shown.record.accepted):
        mask = correction.region.mask
        mask.view(class_map)[mask.crop()] = correction.new_class
    return class_map


def _corrections_checked(shown: RoundImage) -> NDArray[np.uint8]:
    truth, codes = _truth(shown), np.zeros(shown.inspection.data.shape(shown.image), np.uint8)
    for accepted, records in ((True, shown.record.accepted), (False, shown.record.refused)):
        for correction in _corrections_of(shown, records):
            mask = correction.region.mask
            inside, true = mask.crop(), mask.view(truth)
            view = mask.view(codes)
            right = np.where(true == correction.new_class, 1, 2)
            view[inside] = (right if accepted else np.full_like(right, 3))[inside]
    return codes


# -- trained on


def _initial(shown: RoundImage) -> NDArray[np.uint8]:
    return shown.record.before.current_labels(shown.image)


def _stage_1(shown: RoundImage) -> NDArray[np.uint8]:
    """Return the labels of a round; of sets of classes, the sets as stripes."""
    record, inspection = shown.record, shown.inspection
    _check_done(shown)
    if inspection.config.method.query == "multi-class":
        records = record.after.records(shown.image)
        region_map, candidates = partial_labels(records, len(record.after.config.classes))
        return striped(region_map, candidates, stripe_px(region_map.shape))
    rule = TARGETS[inspection.config.method.targets]
    try:
        return inspection.target(record.number, shown.image)
    except NotThereError:
        if rule.uses_model and inspection.has_model(record.asked_by):
            raise
        return rule.make(
            record.after.records(shown.image), None, inspection.config.targets
        ).class_map


def _check_done(shown: RoundImage) -> None:
    if not shown.record.is_done:
        raise NotThereError(f"round {shown.record.number} has not been trained yet")


def _sieved(shown: RoundImage) -> NDArray[np.uint8]:
    """1 = kept, 2 = removed, 3 = removed by the last answer, but kept from an earlier one."""
    answered = shown.record.after.answers_map(shown.image)
    target = _stage_1(shown)
    codes = np.where(target == answered, 1, np.where(target == IGNORE, 2, 3)).astype(np.uint8)
    codes[answered == IGNORE] = 0
    return codes


def _stage_2(shown: RoundImage, *, inside: bool) -> NDArray[np.uint8]:
    _check_done(shown)
    records = shown.record.after.records(shown.image)
    answered = partial_labels(records, len(shown.record.after.config.classes))[0] >= 0
    if not answered.any():
        return np.full(answered.shape, IGNORE, np.uint8)
    class_map = shown.inspection.target(shown.record.number, shown.image, stage=2)
    part: NDArray[np.uint8] = np.where(answered == inside, class_map, np.uint8(IGNORE))
    return part


# -- model, truth


def _prediction(shown: RoundImage) -> NDArray[np.uint8]:
    _check_done(shown)
    return shown.inspection.prediction(shown.record.number, shown.image)


def _truth(shown: RoundImage) -> NDArray[np.uint8]:
    truth = shown.record.after.data.labels(shown.image)
    if truth is None:
        raise NotThereError(f"{shown.image} has no ground truth")
    return truth


def _prediction_errors(shown: RoundImage) -> NDArray[np.uint8]:
    return errors(_prediction(shown), _truth(shown))


def _target_errors(shown: RoundImage) -> NDArray[np.uint8]:
    if shown.inspection.config.method.targets == "localise":
        _check_done(shown)
        labels = shown.inspection.target(shown.record.number, shown.image, stage=2)
    else:
        labels = _stage_1(shown)
    return errors(labels, _truth(shown))


def _merges(method: Method) -> bool:
    return method.merging == "adaptive"


def _localises(method: Method) -> bool:
    return method.targets == "localise"


def _corrects(method: Method) -> bool:
    return method.correction == "automatic"


PICTURES: dict[str, Picture] = {
    "truth": Picture("Ground truth", "the true classes", "truth", "classes", _truth,
        needs_truth=True),
    "initial": Picture("Labels before", "initial labels and all corrections up to this round",
        "asked", "classes", _initial, lambda method: method.starts_from_labels),
    "targets": Picture("Training labels", "what the round's model was trained on; sets of classes "
        "as stripes", "trained on", "classes", _stage_1),
    "localised": Picture("Pseudo-labels, localised", "stage 2: pixels of answered regions, each "
        "given one of its region's classes", "trained on", "classes",
        lambda shown: _stage_2(shown, inside=True), _localises),
    "expanded": Picture("Pseudo-labels, expanded", "stage 2: pixels around answered regions that "
        "are like enough", "trained on", "classes",
        lambda shown: _stage_2(shown, inside=False), _localises),
    "prediction": Picture("Prediction", "the likeliest class, by the round's model; of two stages, "
        "by the second", "model", "classes", _prediction),
    "heatmap": Picture("Acquisition scores", "bright regions were to be asked first; those "
        "answered before have none", "asked", "numbers", _heatmap),
    "merged_counts": Picture("Merged: how many", "superpixels in each merged region", "asked",
        "numbers", _merged_counts, _merges),
    "merged_cells": Picture("Merged: regions", "merged regions in colours that tell neighbours "
        "apart; superpixels left alone stay clear", "asked", "cells", _merged_cells, _merges),
    "queried": Picture("Answers", "the regions asked in this round, in the colours of their "
        "answers; several classes as stripes", "answered", "classes", _queried),
    "corrections": Picture("Automatic corrections", "regions whose class a model changed, in the "
        "new class's colour", "answered", "classes", _corrections, _corrects),
    "corrections_checked": Picture("Corrections, checked", "automatic corrections against ground "
        "truth, and those a person refused", "answered", "codes", _corrections_checked, _corrects,
        ("right", "wrong", "refused"), needs_truth=True),
    "sieved": Picture("Sieved pixels", "pixels that kept their region's class, and those below the "
        "knee of its confidence curve", "trained on", "codes", _sieved,
        lambda method: method.targets == "sieve",
        ("kept", "removed", "kept earlier")),
    "target_errors": Picture("Wrong training labels", "pixels trained on with another class than "
        "the true one", "trained on", "codes", _target_errors, codes=("wrong",), needs_truth=True),
    "prediction_errors": Picture("Wrong predictions", "pixels predicted to be of another class "
        "than the true one", "model", "codes", _prediction_errors, codes=("wrong",),
        needs_truth=True),
    "superpixels": Picture("Superpixels", "borders of the base regions", "asked", "lines",
        _superpixels),
    "merged_lines": Picture("Merged: borders", "borders of the regions as they were asked",
        "asked", "lines", _merged_lines, _merges),
    "queried_lines": Picture("Queried regions", "outlines of the regions asked in this round",
        "answered", "lines", _queried_lines),
}  # fmt: skip
