"""The targets column of the method table: answers to training labels, image by image.

What the training used is written to ``cache/targets/round_NN`` for whoever wants to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_al.core.sieving import ConfidenceCurve
    from napari_al.session.rounds.snapshot import Snapshot

Predict = Callable[[str], "torch.Tensor"]
"""Name of an image to its (C, H, W) probabilities by the newest model."""


@dataclass(frozen=True)
class Targets:
    """(H, W) training labels of an image, and the curve by which each of its answers was sieved."""

    class_map: NDArray[np.uint8]
    curves: dict[str, ConfidenceCurve] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetRule:
    """One row: how an image's targets are made, and whether that needs a model."""

    make: Callable[[Snapshot, str, Predict | None], Targets]
    uses_model: bool = False


def _answers(snapshot: Snapshot, image: str, predict: Predict | None) -> Targets:
    return Targets(snapshot.answers_map(image))


def _sieved(snapshot: Snapshot, image: str, predict: Predict | None) -> Targets:
    """Kim et al. 2023, eq. 8 and 9: a class goes to the pixels whose confidence passes the knee.

    Regions are painted in the order of their answers; a pixel that a later region's sieve removes
    keeps what an earlier region gave it.
    """
    if predict is None:
        return _answers(snapshot, image, None)
    from napari_al.core.sieving import confidence_curve

    settings = snapshot.config.targets
    probs = predict(image).to("cpu").numpy()
    class_map = np.full(probs.shape[1:], IGNORE, np.uint8)
    curves = {}
    for answer in snapshot.answers.get(image, ()):
        mask = answer.query.region.mask
        view, inside = mask.view(class_map), mask.crop()
        if answer.outcome == "ignored":
            view[inside] = IGNORE
        elif answer.outcome == "labelled":
            class_id = answer.class_ids[0]
            confidence = mask.view(probs[class_id])[inside]
            curve = curves[answer.id] = confidence_curve(
                confidence, points=settings.sieve_points, min_size=settings.sieve_min_size_px
            )
            view[inside] = np.where(confidence >= curve.threshold, class_id, view[inside])
    return Targets(class_map, curves)


def _corrected(snapshot: Snapshot, image: str, predict: Predict | None) -> Targets:
    return Targets(snapshot.current_labels(image))


TARGETS: dict[str, TargetRule] = {
    "fill": TargetRule(_answers),
    "exact": TargetRule(_answers),
    "sieve": TargetRule(_sieved, uses_model=True),
    "partial": TargetRule(_answers),
    "localise": TargetRule(_answers),
    "correct": TargetRule(_corrected),
}


def target_images(snapshot: Snapshot) -> tuple[str, ...]:
    """Names of the images that have targets, in the pool's order."""
    if snapshot.config.method.starts_from_labels:
        return snapshot.data.train
    return tuple(name for name in snapshot.data.train if name in snapshot.answers)


def partial_labels(snapshot: Snapshot, image: str) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Sets of classes as labels (Hwang et al. 2023): which region a pixel is in, and its classes.

    Returns
    -------
    region_map : (H, W) int32, -1 where there is no answer
    candidates : (R, C) bool; no class for a region that is to be ignored
    """
    answers = [
        answer
        for answer in snapshot.answers.get(image, ())
        if answer.outcome in ("labelled", "ignored")
    ]
    region_map = np.full(snapshot.data.shape(image), -1, np.int32)
    candidates = np.zeros((len(answers), len(snapshot.config.classes)), bool)
    for row, answer in enumerate(answers):
        mask = answer.query.region.mask
        mask.view(region_map)[mask.crop()] = row
        candidates[row, list(answer.class_ids)] = True
    return region_map, candidates


def localisation_input(
    snapshot: Snapshot, image: str
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
    """Return an image's regions, which of them are labelled, and the classes of those.

    A labelled region has an id of its own after the base ids, so that merged and overlapping
    answers fit; where two overlap, the later one has the pixels.

    Returns
    -------
    region_map : (H, W) int32
    labelled : (R,) int64, region ids
    candidates : (R, C) bool
    """
    base = snapshot.maps(image)
    answered, candidates = partial_labels(snapshot, image)
    n_base = int(base.max()) + 1
    region_map = np.where(answered >= 0, answered + n_base, base).astype(np.int32)
    rows = np.unique(answered[answered >= 0])
    return region_map, rows.astype(np.int64) + n_base, candidates[rows]
