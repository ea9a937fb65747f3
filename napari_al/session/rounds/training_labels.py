"""A round's training labels: written for each image, measured against ground truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.metrics import confusion_matrix
from napari_al.errors import InputError
from napari_al.methods.targets import TARGETS, localised
from napari_al.session.project import cache_files
from napari_al.session.project.initial_labels import has_initial_labels
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.region_tables import write_curves

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.rounds.job_context import JobContext

TrainingStage = Literal[1, 2]
Predict = Callable[[str], "torch.Tensor"]
"""Name of an image to its (C, H, W) probabilities by the newest model."""


def target_images(snapshot: Snapshot) -> tuple[str, ...]:
    """Names of the images that have targets, in the pool's order."""
    starts, data = snapshot.config.method.starts_from_labels, snapshot.data
    return tuple(
        name
        for name in data.train
        if name in snapshot.answers or (starts and has_initial_labels(snapshot.project, data, name))
    )


def write_targets(work: JobContext) -> tuple[str, ...]:
    """Write each image's class map for this round; return the images that have one."""
    predict = predictor_of_targets(work)
    for image, error in work.snapshot.lost_images():
        work.leave_out(image, error)
    images = [image for image in target_images(work.snapshot) if image not in work.left_out]
    written = work.each("targets", images, lambda image: write_target(work, image, predict))
    if not written:
        reasons = " ".join(list(work.left_out.values())[:1])
        raise InputError(f"there is nothing to train on: no image with answers is left. {reasons}")
    return written


def predictor_of_targets(work: JobContext) -> Predict | None:
    """Return the last round's model if computing the round's targets needs it, else None."""
    snapshot, project = work.snapshot, work.snapshot.project
    rule = TARGETS[snapshot.config.method.targets]
    if not rule.uses_model or not project.has_trained_model(work.round - 1):
        return None
    return Predictor(work, snapshot.load_model(work.round - 1)).probs


def write_target(work: JobContext, image: str, predict: Predict | None) -> None:
    """Write an image's class map for this round."""
    snapshot, project = work.snapshot, work.snapshot.project
    rule, settings = TARGETS[snapshot.config.method.targets], snapshot.config.targets
    probs = None if predict is None else predict(image).to("cpu").numpy()
    targets = rule.make(snapshot.records(image), probs, settings)
    cache_files.write_class_map(project.target_file(work.round, image), targets.class_map)
    if targets.curves:
        write_curves(project.curves_file(work.round, image), targets.curves)


def write_pseudo_labels(work: JobContext, predictor: Predictor, image: str) -> None:
    """Write an image's class map for the second stage, by the model of the first."""
    snapshot = work.snapshot
    probs, features = predictor.features(image)
    is_cosine = snapshot.config.method.classifier == "cosine"
    temperature = predictor.segmenter.temperature if is_cosine else 1.0
    class_map = localised(
        snapshot.records(image),
        snapshot.maps(image),
        features,
        probs,
        snapshot.config.targets,
        stride=predictor.segmenter.stride,
        temperature=temperature,
    )
    cache_files.write_class_map(snapshot.project.target_file(work.round, image, stage=2), class_map)


def measure_targets(
    work: JobContext, images: tuple[str, ...], stage: TrainingStage = 1
) -> tuple[NDArray[np.int64] | None, float | None]:
    """Confusion of the targets with ground truth, and the share of its pixels that have one.

    Of the images that have ground truth; both None where none has.
    """
    data = work.snapshot.data
    if not data.has_some("labels"):
        return None, None
    n_classes = data.n_classes
    confusion = np.zeros((n_classes, n_classes), np.int64)
    n_true = n_covered = 0
    targeted = set(images)
    for image in data.train:
        truth = None
        with work.using(f"{image} (labels)"):  # the image can be used without them
            truth = data.labels(image)
        if truth is None:
            continue
        n_true += int((truth != IGNORE).sum())
        target = read_target(work, image, stage) if image in targeted else None
        if target is not None:
            n_covered += int(((truth != IGNORE) & (target != IGNORE)).sum())
            confusion += confusion_matrix(target, truth, n_classes)
    return confusion, n_covered / max(n_true, 1)


def read_target(work: JobContext, image: str, stage: TrainingStage) -> NDArray[np.uint8]:
    """Read an image's class map of this round, which has been written."""
    path = work.snapshot.project.target_file(work.round, image, stage=stage)
    class_map = cache_files.read_class_map(path)
    if class_map is None:
        raise OSError(f"{path} was written a moment ago and cannot be read; is the disk full?")
    return class_map
