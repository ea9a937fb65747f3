"""The targets column: answers to training labels, one image at a time.

``fill``, ``exact``, ``partial`` and ``localise`` start from what was answered, ``sieve`` keeps the
pixels that a model is confident of, ``correct`` paints answers over labels that were there. Sets of
classes (Hwang et al. 2023) are trained on as they are and made pixel-wise by ``localised``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_al.core.sieving import ConfidenceCurve
    from napari_al.methods.queries import Answer, AutomaticCorrection, Outcome
    from napari_al.methods.settings import TargetSettings


ANSWERED: tuple[Outcome, ...] = ("labelled", "ignored")
"""Outcomes that say something of a region's pixels."""


@dataclass(frozen=True)
class ImageRecords:
    """What is known of one image.

    Attributes
    ----------
    shape : (int, int)
        H, W.
    initial : callable
        Returns the (H, W) uint8 labels to correct.
    answers, corrections
        Those in force, oldest first.
    """

    shape: tuple[int, int]
    initial: Callable[[], NDArray[np.uint8]]
    answers: Sequence[Answer] = ()
    corrections: Sequence[AutomaticCorrection] = ()


@dataclass(frozen=True)
class Targets:
    """(H, W) uint8 training labels, and by answer id the curve that sieved it."""

    class_map: NDArray[np.uint8]
    curves: dict[str, ConfidenceCurve] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetRule:
    """One row: how an image's targets are made, and whether the newest model's probabilities help.

    ``make`` gets the records, the (C, H, W) probabilities (None before the first model) and the
    settings.
    """

    make: Callable[[ImageRecords, NDArray[np.floating[Any]] | None, TargetSettings], Targets]
    uses_model: bool = False


def filled(records: ImageRecords) -> NDArray[np.uint8]:
    """(H, W) class map of the answers alone, later ones over earlier ones.

    Answers with several classes say nothing about single pixels and leave IGNORE.
    """
    return with_answers(np.full(records.shape, IGNORE, np.uint8), records.answers)


def corrected(records: ImageRecords) -> NDArray[np.uint8]:
    """(H, W) labels to correct, automatic corrections over them, answers over both."""
    class_map = records.initial().copy()
    for correction in records.corrections:
        mask = correction.region.mask
        mask.view(class_map)[mask.crop()] = correction.new_class
    return with_answers(class_map, records.answers)


def sieved(
    records: ImageRecords, probs: NDArray[np.floating[Any]] | None, settings: TargetSettings
) -> Targets:
    """Give a region's class to pixels whose confidence passes the knee (Kim et al. 2023, eq. 8).

    Regions are painted in the order of their answers; a pixel that a later region's sieve removes
    keeps what an earlier region gave it. Without a model nothing is removed.
    """
    if probs is None:
        return Targets(filled(records))
    from napari_al.core.sieving import confidence_curve, sieve

    class_map = np.full(records.shape, IGNORE, np.uint8)
    curves = {}
    for n_before, answer in enumerate(records.answers):
        mask = answer.query.region.mask
        view = mask.view(class_map)
        if answer.outcome == "ignored":
            view[_pixels_of(answer, records.answers[:n_before], records.shape)] = IGNORE
        elif answer.outcome == "labelled":
            inside = mask.crop()
            class_id = answer.class_ids[0]
            confidence = mask.view(probs[class_id])[inside]
            curve = curves[answer.id] = confidence_curve(
                confidence, points=settings.sieve_points, min_size=settings.sieve_min_size_px
            )
            view[inside] = np.where(sieve(confidence, curve), class_id, view[inside])
    return Targets(class_map, curves)


def partial_labels(
    records: ImageRecords, n_classes: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Sets of classes as labels (Hwang et al. 2023): which region a pixel is in, and its classes.

    Returns
    -------
    region_map : (H, W) int32, -1 where there is no answer
    candidates : (R, C) bool; no class for a region that is to be ignored
    """
    answers = [a for a in records.answers if a.outcome in ANSWERED]
    region_map = np.full(records.shape, -1, np.int32)
    candidates = np.zeros((len(answers), n_classes), bool)
    for row, answer in enumerate(answers):
        view = answer.query.region.mask.view(region_map)
        view[_pixels_of(answer, answers[:row], records.shape)] = row
        candidates[row, list(answer.class_ids)] = True
    return region_map, candidates


def localised(
    records: ImageRecords,
    base: NDArray[np.int32],
    features: Tensor,
    probs: Tensor,
    settings: TargetSettings,
    *,
    stride: int,
    temperature: float = 1.0,
) -> NDArray[np.uint8]:
    """Pixel-wise pseudo-labels of answered regions and around them (Hwang et al. 2023, stage 2).

    A labelled region has an id of its own after the base ids, so that merged and overlapping
    answers fit; where two overlap, the later one has the pixels. These ids are in the order of the
    base ids, so that "the highest region id" of ``expansion_conflicts`` does not depend on which
    region was answered first.

    Parameters
    ----------
    records
    base : (H, W) int32
        Base region ids.
    features, probs, stride
        Of stage 1's model, as for ``core.localisation.localise``.
    settings
    temperature : float
        Of the cosine classifier that ``probs`` come from; 1 for another one.
    """
    from napari_al.core.localisation import localise

    if settings.prototypes == "cosine":  # softmax(cos / T) to softmax(cos)
        probs = (probs.log() * temperature).softmax(dim=0)
    in_order = sorted(records.answers, key=lambda answer: answer.query.region.ids)
    place = {answer.id: number for number, answer in enumerate(in_order)}
    answers = [a for a in records.answers if a.outcome in ANSWERED]
    answered, candidates = partial_labels(records, probs.shape[0])
    n_base = int(base.max()) + 1
    region_ids = n_base + np.array([place[answer.id] for answer in answers], np.int64)
    region_map = np.append(region_ids, -1)[answered]
    region_map = np.where(answered >= 0, region_map, base).astype(np.int32)
    rows = np.unique(answered[answered >= 0])
    return localise(
        features,
        probs,
        region_map,
        region_ids[rows],
        candidates[rows],
        stride=stride,
        similarity=settings.similarity,
        expansion_rule=settings.expansion_rule,
        conflicts=settings.expansion_conflicts,
    )


def with_answers(class_map: NDArray[np.uint8], answers: Sequence[Answer]) -> NDArray[np.uint8]:
    """Paint what answers say of their pixels over a class map, in place; return it."""
    shape = (class_map.shape[0], class_map.shape[1])
    for n_before, answer in enumerate(answers):
        if answer.outcome not in ANSWERED:
            continue
        mask = answer.query.region.mask
        if answer.outcome == "ignored" or answer.pieces:
            mask.view(class_map)[_pixels_of(answer, answers[:n_before], shape)] = IGNORE
        for piece in answer.pieces:
            piece.mask.view(class_map)[piece.mask.crop()] = piece.class_id
        if not answer.pieces and len(answer.class_ids) == 1:
            mask.view(class_map)[mask.crop()] = answer.class_ids[0]
    return class_map


def over_prediction(prediction: NDArray[np.uint8], answers: Sequence[Answer]) -> NDArray[np.uint8]:
    """Paint what answers say over what a model predicts, in place; return it.

    A void region becomes IGNORE. Of a region with several classes, pixels that are predicted to be
    of another take the one of them that most of it is predicted to be; IGNORE where none is. What
    no polygon of a drawn answer covers stays as predicted.
    """
    shape = (prediction.shape[0], prediction.shape[1])
    for n_before, answer in enumerate(answers):
        mask = answer.query.region.mask
        if answer.outcome == "ignored":
            free = _pixels_of(answer, answers[:n_before], shape)
            mask.view(prediction)[free] = IGNORE
        elif answer.outcome == "labelled" and not answer.pieces:
            view, inside = mask.view(prediction), mask.crop()
            counts = np.bincount(view[inside], minlength=IGNORE + 1)[list(answer.class_ids)]
            several = len(answer.class_ids) > 1
            most = answer.class_ids[int(counts.argmax())] if counts.any() or not several else IGNORE
            view[inside & ~np.isin(view, answer.class_ids)] = most
        for piece in answer.pieces:
            piece.mask.view(prediction)[piece.mask.crop()] = piece.class_id
    return prediction


def answered_pixels(shape: tuple[int, int], answers: Sequence[Answer]) -> NDArray[np.bool_]:
    """(H, W) where an answer says something: which class, or classes, or none."""
    answered = np.zeros(shape, bool)
    for answer in answers:
        if answer.outcome in ANSWERED:
            mask = answer.query.region.mask
            mask.view(answered)[mask.crop()] = True
    return answered


def _pixels_of(
    answer: Answer, before: Sequence[Answer], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Pixels that an answer is about, within the box of its region.

    A merged region may hold superpixels that were answered before. Where the annotator finds most
    of it void, those keep their labels.
    """
    region = answer.query.region
    inside = region.mask.crop()
    if answer.outcome != "ignored" or len(region.ids) == 1:
        return inside
    is_free = np.ones(shape, bool)
    for earlier in before:
        if earlier.outcome == "labelled":
            mask = earlier.query.region.mask
            mask.view(is_free)[mask.crop()] = False
    free: NDArray[np.bool_] = inside & region.mask.view(is_free)
    return free


_FILL = TargetRule(lambda records, probs, settings: Targets(filled(records)))

TARGETS: dict[str, TargetRule] = {
    "fill": _FILL,
    "exact": _FILL,
    "sieve": TargetRule(sieved, uses_model=True),
    "partial": _FILL,
    "localise": _FILL,
    "correct": TargetRule(lambda records, probs, settings: Targets(corrected(records))),
}
