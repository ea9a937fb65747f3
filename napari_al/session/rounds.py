"""A round's work: targets, training, validation, scores.

Each job (``jobs.py``) gets a project folder, a round and a position of the log; it reads the rest
from the folder and writes its results there. So it runs alike in the benchmark's process, in a
child of the window, or on another executor, and doing it again after a crash gives the same result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.metrics import confusion_matrix, mean_iou, per_class_iou
from napari_al.session import pictures
from napari_al.session.jobs import JobProgress, Stopped
from napari_al.session.project import write_atomic
from napari_al.session.scores import PoolScores, model_scores, random_scores
from napari_al.session.snapshot import open_snapshot
from napari_al.session.targets import TARGETS, localisation_input, partial_labels, target_images

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_al.learning.segmenter import Segmenter
    from napari_al.learning.training import StepReport, TrainSettings
    from napari_al.methods import Loss
    from napari_al.session.config import TrainingSettings
    from napari_al.session.jobs import Stage
    from napari_al.session.snapshot import Snapshot

Progress = Callable[[JobProgress], None]
ShouldStop = Callable[[], bool]
TrainingStage = Literal[1, 2]

N_IMAGES_FOR_STATISTICS = 64
"""Enough for a mean and a standard deviation; reading every image would cost more than it gives."""


@dataclass(frozen=True)
class _Job:
    """What every step of a job needs."""

    snapshot: Snapshot
    round: int
    device: torch.device
    progress: Progress
    should_stop: ShouldStop

    def report(self, stage: Stage, done: int, total: int) -> None:
        """Say how far it is; raise Stopped if it has to end."""
        if self.should_stop():
            raise Stopped
        self.progress(JobProgress(stage, done, total))


def train_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train the model of a round; write it, its metrics and its row.

    Parameters
    ----------
    args : dict
        ``project`` (path), ``round``, ``log_seq`` (the answers up to it count), ``row`` (the
        columns of rounds.csv that the caller knows).
    progress, should_stop : see ``jobs.py``

    Returns
    -------
    dict
        The content of ``models/round_NN.json``, whose presence makes the round count as done.
    """
    job = _open_job(args, progress, should_stop)
    project, round_number = job.snapshot.project, job.round
    images = _write_targets(job)
    data_confusion, data_coverage = _measure_targets(job, images)
    started = time.perf_counter()
    segmenter = _start_segmenter(job.snapshot, round_number)
    _train(job, segmenter, images)
    train_s = time.perf_counter() - started
    model_confusion = _validate(job, segmenter)
    project.save_model(round_number, segmenter)
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
    if job.snapshot.config.method.targets == "localise":
        started = time.perf_counter()
        row |= _second_stage(job, segmenter, images)
        train_s += time.perf_counter() - started
    result["row"] = {**row, "train_s": round(train_s, 3)}
    write_atomic(project.round_file(round_number), json.dumps(result, indent=1).encode())
    return result


def score_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Score the pool with the model of a round (``args`` as of ``train_round``)."""
    job = _open_job(args, progress, should_stop)
    started = time.perf_counter()
    make_scores(job.snapshot, job.round, progress, should_stop)
    return {"round": job.round, "score_s": time.perf_counter() - started}


def train_and_score(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Both in turn: what the window runs in its child process."""
    return train_round(args, progress, should_stop) | score_round(args, progress, should_stop)


def make_scores(
    snapshot: Snapshot, model_round: int, progress: Progress, should_stop: ShouldStop
) -> PoolScores:
    """Return the pool's scores by the model of a round, from ``cache/`` if they are there.

    Without a model (round 0), or for the random method, they are random.
    """
    path = snapshot.project.scores_file(model_round)
    scores = PoolScores.load(path)
    if scores is not None:
        return scores
    has_model = snapshot.project.model_file(model_round).exists()
    n_images = len(snapshot.data.train)
    snapshot.maps.prepare(
        snapshot.data.train,
        lambda done: progress(JobProgress("superpixels", done, n_images)),
    )
    if snapshot.config.method.acquisition == "random" or not has_model:
        scores = random_scores(snapshot, model_round)
    else:
        from napari_al.learning.devices import resolve_device

        device = resolve_device(snapshot.config.training.device)
        segmenter = snapshot.project.load_model(model_round)
        scores = model_scores(snapshot, segmenter, model_round, device, progress, should_stop)
    scores.save(path)
    return scores


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


def _open_job(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> _Job:
    import torch

    from napari_al.learning.devices import resolve_device

    snapshot = open_snapshot(Path(args["project"]), args["log_seq"])
    if snapshot.config.training.threads:
        torch.set_num_threads(snapshot.config.training.threads)
    device = resolve_device(snapshot.config.training.device)
    return _Job(snapshot, int(args["round"]), device, progress, should_stop)


def _start_segmenter(snapshot: Snapshot, round_number: int) -> Segmenter:
    """Return the last round's segmenter, or a fresh one, by choice."""
    from napari_al.learning.segmenter import build_segmenter
    from napari_al.learning.weights import input_statistics

    config, project = snapshot.config, snapshot.project
    if config.training.keep_weights and project.model_file(round_number - 1).exists():
        return project.load_model(round_number - 1)
    names = snapshot.data.train
    chosen = names[:: max(1, len(names) // N_IMAGES_FOR_STATISTICS)]
    mean, std = input_statistics(snapshot.data.image(name) for name in chosen)
    return build_segmenter(
        config.training.segmenter,
        snapshot.data.n_channels,
        len(config.classes),
        classifier=config.method.classifier,
        temperature=config.training.temperature,
        mean=mean.tolist(),
        std=std.tolist(),
        seed=config.seed,
    )


def _write_targets(job: _Job) -> tuple[str, ...]:
    """Write each image's class map for this round; return the images that have one."""
    from napari_al.learning.inference import predict_probs

    snapshot, project = job.snapshot, job.snapshot.project
    rule = TARGETS[snapshot.config.method.targets]
    predict = None
    if rule.uses_model and project.model_file(job.round - 1).exists():
        segmenter = project.load_model(job.round - 1)

        def predict(image: str) -> torch.Tensor:
            return predict_probs(segmenter, snapshot.data.image(image), job.device)

    images = target_images(snapshot)
    for n_done, image in enumerate(images, start=1):
        class_map = rule.make(snapshot, image, predict)
        pictures.write_class_map(project.target_file(job.round, image), class_map)
        job.report("targets", n_done, len(images))
    return images


def _measure_targets(
    job: _Job, images: tuple[str, ...], stage: TrainingStage = 1
) -> tuple[NDArray[np.int64] | None, float | None]:
    """Confusion of the targets with ground truth, and the share of its pixels that have one.

    Both None without ground truth.
    """
    data = job.snapshot.data
    if not data.has_labels:
        return None, None
    n_classes = len(job.snapshot.config.classes)
    confusion = np.zeros((n_classes, n_classes), np.int64)
    n_true = n_covered = 0
    targeted = set(images)
    for image in data.train:
        truth = data.labels(image)
        if truth is None:
            continue
        n_true += int((truth != IGNORE).sum())
        target = _read_target(job, image, stage) if image in targeted else None
        if target is not None:
            n_covered += int(((truth != IGNORE) & (target != IGNORE)).sum())
            confusion += confusion_matrix(target, truth, n_classes)
    return confusion, n_covered / max(n_true, 1)


def _read_target(job: _Job, image: str, stage: TrainingStage) -> NDArray[np.uint8]:
    path = job.snapshot.project.target_file(job.round, image, stage=stage)
    class_map = pictures.read_class_map(path)
    if class_map is None:
        raise OSError(f"{path} was written a moment ago and cannot be read; is the disk full?")
    return class_map


def _train(
    job: _Job, segmenter: Segmenter, images: tuple[str, ...], stage: TrainingStage = 1
) -> None:
    """Train ``segmenter`` in place on this round's targets and log its losses."""
    from napari_al.learning.training import Sample, train

    snapshot, config = job.snapshot, job.snapshot.config
    partial = config.method.loss == "multi-class" and stage == 1

    def get_sample(index: int) -> Sample:
        image = images[index]
        pixels = snapshot.data.image(image)
        if partial:
            region_map, candidates = partial_labels(snapshot, image)
            return Sample(pixels, None, region_map, candidates)
        return Sample(pixels, _read_target(job, image, stage), None, None)

    def on_step(step: StepReport) -> None:
        snapshot.project.append_training({"round": job.round, "stage": stage, **asdict(step)})
        job.progress(
            JobProgress("training", step.step, step.n_steps, loss=step.loss, eta_s=step.eta_seconds)
        )

    train(
        segmenter,
        len(images),
        get_sample,
        replace(
            loop_settings(config.training, "multi-class" if partial else "cross-entropy"),
            crop_px=_crop_px(snapshot, images),
        ),
        seed=int(np.random.SeedSequence([config.seed, job.round, stage]).generate_state(1)[0]),
        device=job.device,
        on_step=on_step,
        should_stop=job.should_stop,
    )
    if job.should_stop():
        raise Stopped


def _crop_px(snapshot: Snapshot, images: tuple[str, ...]) -> int:
    """Side of training crops: as set, but no larger than the largest image (in steps of 32)."""
    largest = max(max(snapshot.data.shape(image)) for image in images)
    return min(snapshot.config.training.crop_px, -(-largest // 32) * 32)


def _validate(job: _Job, segmenter: Segmenter) -> NDArray[np.int64] | None:
    """Return the confusion matrix over the validation split; None where there is none."""
    from napari_al.learning.inference import predict_probs

    data = job.snapshot.data
    if not data.has_val:
        return None
    n_classes = len(job.snapshot.config.classes)
    confusion = np.zeros((n_classes, n_classes), np.int64)
    for n_done, name in enumerate(data.val, start=1):
        truth = data.labels(name, "val")
        if truth is not None:
            probs = predict_probs(segmenter, data.image(name, "val"), job.device)
            prediction = probs.argmax(0).to("cpu").numpy()
            confusion += confusion_matrix(prediction, truth, n_classes)
        job.report("validation", n_done, len(data.val))
    return confusion


def _second_stage(job: _Job, segmenter: Segmenter, images: tuple[str, ...]) -> dict[str, Any]:
    """Hwang et al. 2023, stage 2: pixel-wise pseudo-labels, and a model trained on them.

    The model starts from stage 1's weights where weights are kept, else afresh; it never selects.
    """
    from napari_al.core.localisation import localise
    from napari_al.learning.inference import predict_features

    snapshot, project = job.snapshot, job.snapshot.project
    for n_done, image in enumerate(images, start=1):
        probs, features = predict_features(segmenter, snapshot.data.image(image), job.device)
        region_map, labelled, candidates = localisation_input(snapshot, image)
        class_map = localise(features, probs, region_map, labelled, candidates)
        pictures.write_class_map(project.target_file(job.round, image, stage=2), class_map)
        job.report("pseudo-labels", n_done, len(images))
    confusion, share = _measure_targets(job, images, stage=2)
    second = (
        segmenter
        if snapshot.config.training.keep_weights
        else _start_segmenter(snapshot, round_number=0)
    )
    _train(job, second, images, stage=2)
    model_confusion = _validate(job, second)
    project.save_model(job.round, second, stage=2)
    return {
        "stage2_model_miou": _mean_or_none(model_confusion),
        "stage2_data_miou": _mean_or_none(confusion),
        "stage2_data_coverage": share,
    }


def _mean_or_none(confusion: NDArray[np.int64] | None) -> float | None:
    if confusion is None or not confusion.any():
        return None
    return round(float(mean_iou(confusion)), 6)


def _iou_or_none(confusion: NDArray[np.int64] | None) -> list[float | None] | None:
    """IoU by class id; None for a class in neither prediction nor truth."""
    if confusion is None:
        return None
    return [None if np.isnan(iou) else round(float(iou), 6) for iou in per_class_iou(confusion)]
