"""A round's work: targets, training, validation, scores.

Each job (``jobs.py``) gets a project folder, a round and a position of the log; it reads the rest
from the folder and writes its results there. So it runs alike in the benchmark's process, in a
child of the window, or on another executor, and doing it again after a crash gives the same result.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.metrics import confusion_matrix, mean_iou, per_class_iou
from napari_al.errors import InputError
from napari_al.session import pictures
from napari_al.session.encodings import Predictor
from napari_al.session.jobs import JobProgress
from napari_al.session.scoring import make_scores
from napari_al.session.tables import write_curves
from napari_al.session.targets import TARGETS, localisation_input, partial_labels, target_images
from napari_al.session.work import Work
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.learning.batches import Sample
    from napari_al.learning.segmenter import Segmenter
    from napari_al.learning.training import StepReport, TrainSettings
    from napari_al.methods import Classifier, Loss
    from napari_al.session.config import ProjectConfig, TrainingSettings
    from napari_al.session.snapshot import Snapshot
    from napari_al.session.targets import Predict
    from napari_al.session.work import Progress, ShouldStop

TrainingStage = Literal[1, 2]

N_IMAGES_FOR_STATISTICS = 64
"""Enough for a mean and a standard deviation; reading every image would cost more than it gives."""


def train_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train the model of a round; write it, its metrics and its row.

    Parameters
    ----------
    args : dict
        ``project`` (path), ``round``, ``log_seq`` (the answers up to it count), ``row`` (the
        columns of rounds.csv that the caller knows); perhaps ``live`` (see ``Work``) and
        ``batch_size`` (in the place of the project's, where that does not fit the memory).
    progress, should_stop : see ``jobs.py``

    Returns
    -------
    dict
        The content of ``models/round_NN.json``, whose presence makes the round count as done.
    """
    return _train_round(Work.of_job(args, progress, should_stop), args)


def score_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Score the pool with the model of a round (``args`` as of ``train_round``)."""
    return _score_round(Work.of_job(args, progress, should_stop))


def train_and_score(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Both in turn: what the window runs in its child process."""
    work = Work.of_job(args, progress, should_stop)
    return _train_round(work, args) | _score_round(work)


def _train_round(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    project, config = work.snapshot.project, _config_of_job(work, args)
    project.drop_cache_of_round(work.round)  # of an earlier model of this round
    images = _write_targets(work)
    data_confusion, data_coverage = _measure_targets(work, images)
    started = time.perf_counter()
    predictor = Predictor(work, _start_segmenter(work, work.round))
    _train(work, predictor, images, config)
    train_s = time.perf_counter() - started
    model_confusion = _validate(work, predictor)
    project.save_model(work.round, predictor.segmenter)
    row = {
        **args["row"],
        "model_miou": _mean_or_none(model_confusion),
        "data_miou": _mean_or_none(data_confusion),
        "data_coverage": data_coverage,
    }
    result: dict[str, Any] = {
        "log_seq": args["log_seq"],
        "model_iou": _iou_or_none(model_confusion),
        "data_iou": _iou_or_none(data_confusion),
    }
    if config.method.targets == "localise":
        started = time.perf_counter()
        row |= _second_stage(work, predictor, images, config)
        train_s += time.perf_counter() - started
    result["row"] = {**row, "train_s": round(train_s, 3)}
    result["left_out"] = work.left_out
    work.check()  # a window that was killed may be open again by now
    write_atomic(project.round_file(work.round), json.dumps(result, indent=1).encode())
    return result


def _score_round(work: Work) -> dict[str, Any]:
    started = time.perf_counter()
    make_scores(work)
    return {"score_s": time.perf_counter() - started, "left_out": work.left_out}


def _config_of_job(work: Work, args: dict[str, Any]) -> ProjectConfig:
    config = work.snapshot.config
    if "batch_size" not in args:
        return config
    training = config.training.model_copy(update={"batch_size": int(args["batch_size"])})
    return config.model_copy(update={"training": training})


def loop_settings(settings: TrainingSettings, loss: Loss) -> TrainSettings:
    """Return what the training loop needs of a project's settings."""
    from napari_al.learning.training import TrainSettings

    return TrainSettings(
        steps=settings.steps,
        batch_size=settings.batch_size,
        crop_px=settings.crop_px,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        loss=loss,
        loss_weights=settings.loss_weights,
    )


def _start_segmenter(work: Work, round_number: int) -> Segmenter:
    """Return the last round's segmenter, or a fresh one, by choice."""
    data, config = work.snapshot.data, work.snapshot.config
    if config.training.keep_weights and work.snapshot.project.model_file(round_number - 1).exists():
        segmenter = work.snapshot.load_model(round_number - 1)
        segmenter.n_known = segmenter.n_classes
        return segmenter
    chosen = data.train[:: max(1, len(data.train) // N_IMAGES_FOR_STATISTICS)]
    return new_segmenter(config, data, _readable(work, chosen), config.method.classifier)


def new_segmenter(
    config: ProjectConfig,
    data: DataFolder,
    images: Iterable[NDArray[np.generic]],
    classifier: Classifier = "linear",
) -> Segmenter:
    """Return a segmenter as the settings say, from its first weights.

    Parameters
    ----------
    config, data
    images : iterable of (H, W, C) arrays
        From which the scale of the input is taken.
    classifier
    """
    from napari_al.learning.catalogue import segmenter_info
    from napari_al.learning.pretrained import find_weights
    from napari_al.learning.segmenter import build_segmenter
    from napari_al.learning.weights import input_normalisation

    training = config.training
    weights = find_weights(training.segmenter, training.weights)
    info = segmenter_info(training.segmenter)
    mean, std = input_normalisation(info, images, pretrained=weights is not None)
    return build_segmenter(
        training.segmenter,
        data.n_channels,
        data.n_classes,
        classifier=classifier,
        temperature=training.temperature,
        mean=mean,
        std=std,
        seed=config.seed,
        frozen=training.frozen,
        backbone=weights,
    )


def _readable(work: Work, images: Iterable[str]) -> Iterator[NDArray[np.generic]]:
    """Read those of the images that can be read."""
    for image in images:
        pixels = None
        with work.using(image):
            pixels = work.snapshot.data.image(image)
        if pixels is not None:
            yield pixels


def _write_targets(work: Work) -> tuple[str, ...]:
    """Write each image's class map for this round; return the images that have one."""
    predict = predictor_of_targets(work)
    for image, error in work.snapshot.lost_images():
        work.leave_out(image, error)
    images = [image for image in target_images(work.snapshot) if image not in work.left_out]
    written = []
    for n_done, image in enumerate(images, start=1):
        with work.using(image):
            write_target(work, image, predict)
            written.append(image)
        work.report("targets", n_done, len(images))
    if not written:
        reasons = " ".join(list(work.left_out.values())[:1])
        raise InputError(f"there is nothing to train on: no image with answers is left. {reasons}")
    return tuple(written)


def predictor_of_targets(work: Work) -> Predict | None:
    """Return what the round's targets are made with: the last round's model, if they need it."""
    snapshot, project = work.snapshot, work.snapshot.project
    rule = TARGETS[snapshot.config.method.targets]
    if not rule.uses_model or not project.model_file(work.round - 1).exists():
        return None
    return Predictor(work, snapshot.load_model(work.round - 1)).probs


def write_target(work: Work, image: str, predict: Predict | None) -> None:
    """Write an image's class map for this round."""
    snapshot, project = work.snapshot, work.snapshot.project
    targets = TARGETS[snapshot.config.method.targets].make(snapshot, image, predict)
    pictures.write_class_map(project.target_file(work.round, image), targets.class_map)
    if targets.curves:
        write_curves(project.curves_file(work.round, image), targets.curves)


def _measure_targets(
    work: Work, images: tuple[str, ...], stage: TrainingStage = 1
) -> tuple[NDArray[np.int64] | None, float | None]:
    """Confusion of the targets with ground truth, and the share of its pixels that have one.

    Both None without ground truth.
    """
    data = work.snapshot.data
    if not data.has_labels:
        return None, None
    n_classes = data.n_classes
    confusion = np.zeros((n_classes, n_classes), np.int64)
    n_true = n_covered = 0
    targeted = set(images)
    for image in data.train:
        truth = None
        with work.using(image):
            truth = data.labels(image)
        if truth is None:
            continue
        n_true += int((truth != IGNORE).sum())
        target = _read_target(work, image, stage) if image in targeted else None
        if target is not None:
            n_covered += int(((truth != IGNORE) & (target != IGNORE)).sum())
            confusion += confusion_matrix(target, truth, n_classes)
    return confusion, n_covered / max(n_true, 1)


def _read_target(work: Work, image: str, stage: TrainingStage) -> NDArray[np.uint8]:
    path = work.snapshot.project.target_file(work.round, image, stage=stage)
    class_map = pictures.read_class_map(path)
    if class_map is None:
        raise OSError(f"{path} was written a moment ago and cannot be read; is the disk full?")
    return class_map


def _train(
    work: Work,
    predictor: Predictor,
    images: tuple[str, ...],
    config: ProjectConfig,
    stage: TrainingStage = 1,
) -> None:
    """Train the predictor's segmenter in place on this round's targets and log its losses."""
    from napari_al.learning.training import train

    project = work.snapshot.project
    partial = config.method.loss == "multi-class" and stage == 1

    def get_sample(index: int) -> Sample:
        try:
            return _sample(work, images[index], partial, stage)
        except InputError as error:  # the file was good when its targets were made
            work.leave_out(images[index], error)
            return _empty_sample(work.snapshot, images[index], partial)

    def on_step(step: StepReport) -> None:
        project.append_training({"round": work.round, "stage": stage, **asdict(step)})
        work.progress(
            JobProgress("training", step.step, step.n_steps, loss=step.loss, eta_s=step.eta_seconds)
        )

    encodings = predictor.encodings
    train(
        predictor.segmenter,
        len(images),
        get_sample,
        loop_settings(config.training, "multi-class" if partial else "cross-entropy"),
        seed=int(np.random.SeedSequence([config.seed, work.round, stage]).generate_state(1)[0]),
        device=work.device,
        on_step=on_step,
        should_stop=work.should_stop,
        encode=None if encodings is None else lambda index, _: encodings(images[index]),
    )
    work.check()


def _sample(work: Work, image: str, partial: bool, stage: TrainingStage) -> Sample:
    from napari_al.learning.batches import Sample

    pixels = work.snapshot.data.image(image)
    if partial:
        return Sample(pixels, None, *partial_labels(work.snapshot, image))
    return Sample(pixels, _read_target(work, image, stage))


def _empty_sample(snapshot: Snapshot, image: str, partial: bool) -> Sample:
    """Return what teaches nothing."""
    from napari_al.learning.batches import Sample

    shape = snapshot.data.shape(image)
    pixels = np.zeros((*shape, snapshot.data.n_channels), np.float32)
    if partial:
        no_candidates = np.zeros((0, snapshot.data.n_classes), bool)
        return Sample(pixels, None, np.full(shape, -1, np.int32), no_candidates)
    return Sample(pixels, np.full(shape, IGNORE, np.uint8))


def _validate(work: Work, predictor: Predictor) -> NDArray[np.int64] | None:
    """Return the confusion matrix over the validation split; None where there is none."""
    data = work.snapshot.data
    if not data.has_val:
        return None
    confusion = np.zeros((data.n_classes, data.n_classes), np.int64)
    for n_done, name in enumerate(data.val, start=1):
        with work.using(f"{name} (val)"):
            truth = data.labels(name, "val")
            if truth is not None:
                prediction = predictor.probs(name, "val").argmax(0).to("cpu").numpy()
                confusion += confusion_matrix(prediction, truth, data.n_classes)
        work.report("validation", n_done, len(data.val))
    return confusion


def _second_stage(
    work: Work, predictor: Predictor, images: tuple[str, ...], config: ProjectConfig
) -> dict[str, Any]:
    """Hwang et al. 2023, stage 2: pixel-wise pseudo-labels, and a model trained on them.

    The model starts from stage 1's weights where weights are kept, else afresh; it never selects.
    """
    localised = []
    for n_done, image in enumerate(images, start=1):
        with work.using(image):
            write_pseudo_labels(work, predictor, image)
            localised.append(image)
        work.report("pseudo-labels", n_done, len(images))
    images = tuple(localised)
    confusion, share = _measure_targets(work, images, stage=2)
    if not config.training.keep_weights:
        predictor = Predictor(work, _start_segmenter(work, round_number=0))
    _train(work, predictor, images, config, stage=2)
    model_confusion = _validate(work, predictor)
    work.snapshot.project.save_model(work.round, predictor.segmenter, stage=2)
    return {
        "stage2_model_miou": _mean_or_none(model_confusion),
        "stage2_data_miou": _mean_or_none(confusion),
        "stage2_data_coverage": share,
    }


def write_pseudo_labels(work: Work, predictor: Predictor, image: str) -> None:
    """Write an image's class map for the second stage, by the model of the first."""
    from napari_al.core.localisation import localise

    snapshot, settings = work.snapshot, work.snapshot.config.targets
    probs, features = predictor.features(image)
    region_map, labelled, candidates = localisation_input(snapshot, image)
    class_map = localise(
        features,
        probs,
        region_map,
        labelled,
        candidates,
        stride=predictor.segmenter.stride,
        expansion_rule=settings.expansion_rule,
        conflicts=settings.expansion_conflicts,
    )
    pictures.write_class_map(snapshot.project.target_file(work.round, image, stage=2), class_map)


def _mean_or_none(confusion: NDArray[np.int64] | None) -> float | None:
    if confusion is None or not confusion.any():
        return None
    return round(float(mean_iou(confusion)), 6)


def _iou_or_none(confusion: NDArray[np.int64] | None) -> list[float | None] | None:
    """IoU by class id; None for a class in neither prediction nor truth."""
    if confusion is None:
        return None
    return [None if np.isnan(iou) else round(float(iou), 6) for iou in per_class_iou(confusion)]
