"""The jobs of a round, step by step: targets, training, validation, scores.

Each job (``job_function.py``) gets a project folder, a round and a position of the log, reads the
rest from the folder and writes its results there. So it runs alike in the benchmark's process, in a
child of the window, or on a cluster, and again after a crash, with the same result.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core.metrics import mean_iou, per_class_iou
from napari_al.errors import InputError
from napari_al.session.rounds.cluster import connected
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import JobContext
from napari_al.session.rounds.scoring import make_scores
from napari_al.session.rounds.training import start_segmenter, train_model, validate
from napari_al.session.rounds.training_labels import (
    measure_targets,
    write_pseudo_labels,
    write_targets,
)
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_al.formats.dataset import Split
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.rounds.job_context import Progress, Results, ShouldStop

SHARED_FOLDER_S = 60.0
"""How long a shared folder may take to show what another machine has written."""


def train_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train the model of a round; write it, its metrics and its row.

    Parameters
    ----------
    args : dict
        ``project`` (path), ``round``, ``log_seq`` (the answers up to it count), ``row`` (the
        columns of rounds.csv that the caller knows); perhaps ``live``, ``cluster`` (see
        ``JobContext``) and ``batch_size`` (in the place of the project's, where that does not fit
        the memory).
    progress, should_stop : see ``job_function.py``

    Returns
    -------
    dict
        The content of ``models/round_NN.json``, whose presence makes the round count as done.
    """
    return _train_somewhere(JobContext.of_job(args, progress, should_stop), args)


def score_round(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Score the pool with the model of a round (``args`` as of ``train_round``)."""
    return _score_round(JobContext.of_job(args, progress, should_stop))


def train_and_score(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Both in turn: what the window runs in its child process."""
    work = JobContext.of_job(args, progress, should_stop)
    result = _train_somewhere(work, args) | _score_round(work)
    if work.snapshot.config.retrain_after is not None:
        work.snapshot.project.drop_older_models()  # no image needs their scores any more
    return result


def encode_images(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Encode all images ahead of the first training (``args`` as of ``train_round``)."""
    work = JobContext.of_job(args, progress, should_stop)
    data = work.snapshot.data
    splits = ((encoded, data.train), (encoded_to_validate, data.val if data.has_val else ()))
    for step, names in splits if work.snapshot.config.training.frozen else ():
        images = work.each_image(step, names) if names else ()
        for n_done, (name, done) in enumerate(images, start=1):
            with work.using(name):
                done()
            work.report("encoding", n_done, len(names))
    return {"left_out": work.left_out}


def encoded(work: JobContext, split: Split = "train") -> Callable[[Iterable[str]], Results[None]]:
    """Return what encodes images; the encodings stay in the cache."""
    encodings = Predictor(work, start_segmenter(work, round_number=1)).encodings

    def encode(name: str) -> None:
        if encodings is not None:
            encodings(name, split)

    return lambda names: ((name, partial(encode, name)) for name in work.turns(names))


def encoded_to_validate(work: JobContext) -> Callable[[Iterable[str]], Results[None]]:
    """Return what encodes validation images."""
    return encoded(work, "val")


def _train_somewhere(work: JobContext, args: dict[str, Any]) -> dict[str, Any]:
    """Train here, or as one task of the cluster."""
    if not work.cluster:
        return _train_round(work, args)
    cluster, project = connected(work.cluster), work.snapshot.project
    cluster.check_sees(project.path.absolute())
    there = {**args, **work.args_elsewhere, "cluster": ""}
    result: dict[str, Any] = cluster.run(
        f"{__name__}:train_round", there, work.progress, work.should_stop
    )
    give_up_s = time.monotonic() + SHARED_FOLDER_S
    while not project.round_file(work.round).exists():  # a network's folder shows it in a while
        if time.monotonic() > give_up_s:
            raise InputError(
                f"{project.round_file(work.round)} was written by a worker and is not seen here; "
                "the project lies on a folder that all machines have at the same path"
            )
        work.check()
        time.sleep(0.1)
    work.left_out.update(result["left_out"])
    return result


def _train_round(work: JobContext, args: dict[str, Any]) -> dict[str, Any]:
    project, config = work.snapshot.project, _config_of_job(work, args)
    project.drop_cache_of_round(work.round)  # of an earlier model of this round
    images = write_targets(work)
    data_confusion, data_coverage = measure_targets(work, images)
    started = time.perf_counter()
    predictor = Predictor(work, start_segmenter(work, work.round, images))
    outcome = train_model(work, predictor, images, config)
    train_s = time.perf_counter() - started
    has_model = outcome.has_learnt or project.has_trained_model(work.round - 1)
    if has_model and not outcome.has_learnt:  # the model stays the one of the round before
        predictor = Predictor(work, work.snapshot.load_model(work.round - 1))
    is_due = has_model and config.validates(work.round)
    validation = validate(work, predictor) if is_due else None
    model_confusion = None if validation is None else validation.confusion
    project.save_model(work.round, predictor.segmenter)
    if not outcome.has_learnt and project.last_stage(work.round - 1) == 2:
        project.save_model(work.round, work.snapshot.load_model(work.round - 1, stage=2), stage=2)
    row = {
        **args["row"],
        "train_steps": outcome.n_taken,
        "model_miou": _mean_or_none(model_confusion),
        "data_miou": _mean_or_none(data_confusion),
        "data_coverage": data_coverage,
    }
    result: dict[str, Any] = {
        "log_seq": args["log_seq"],
        "has_model": has_model,
        "model_iou": _iou_or_none(model_confusion),
        "data_iou": _iou_or_none(data_confusion),
    }
    if validation is not None:
        result["val_miou"] = validation.miou_of_image
    if config.method.targets == "localise" and outcome.has_learnt:
        started = time.perf_counter()
        row |= _second_stage(work, predictor, images, config, result)
        train_s += time.perf_counter() - started
    result["row"] = {**row, "train_s": round(train_s, 3)}
    result["left_out"] = work.left_out
    if not outcome.has_learnt:
        result["warning"] = _nothing_learnt(work.round, has_model=has_model)
        project.append_training({"round": work.round, "warning": result["warning"]})
    work.check()  # a window that was killed may be open again by now
    write_atomic(project.round_file(work.round), json.dumps(result, indent=1).encode())
    return result


def _nothing_learnt(round_number: int, *, has_model: bool) -> str:
    stays = "the model stays as it was" if has_model else "there is no model yet"
    return (
        f"Round {round_number}: nothing was learnt, since no answer so far says what class a pixel "
        f"is ({stays}). Name the classes of some regions, and train again."
    )


def _second_stage(
    work: JobContext,
    predictor: Predictor,
    images: tuple[str, ...],
    config: ProjectConfig,
    result: dict[str, Any],
) -> dict[str, Any]:
    """Hwang et al. 2023, stage 2: pixel-wise pseudo-labels, and a model trained on them.

    The model starts from stage 1's weights where weights are kept, else afresh; it never selects.
    Returns columns of the round's row; IoU by class, and mIoU by image, go into ``result``.
    """
    images = work.each(
        "pseudo-labels", images, lambda image: write_pseudo_labels(work, predictor, image)
    )
    confusion, share = measure_targets(work, images, stage=2)
    if not config.training.keep_weights:
        predictor = Predictor(work, start_segmenter(work, 0, images))
    train_model(work, predictor, images, config, stage=2)
    validation = validate(work, predictor) if config.validates(work.round) else None
    model_confusion = None if validation is None else validation.confusion
    work.snapshot.project.save_model(work.round, predictor.segmenter, stage=2)
    result["stage2_model_iou"] = _iou_or_none(model_confusion)
    if validation is not None:
        result["val_miou"] = validation.miou_of_image
    return {
        "stage2_model_miou": _mean_or_none(model_confusion),
        "stage2_data_miou": _mean_or_none(confusion),
        "stage2_data_coverage": share,
    }


def _score_round(work: JobContext) -> dict[str, Any]:
    started = time.perf_counter()
    make_scores(work)
    return {"score_s": time.perf_counter() - started, "left_out": work.left_out}


def _config_of_job(work: JobContext, args: dict[str, Any]) -> ProjectConfig:
    config = work.snapshot.config
    if "batch_size" not in args:
        return config
    training = config.training.model_copy(update={"batch_size": int(args["batch_size"])})
    return config.model_copy(update={"training": training})


def _mean_or_none(confusion: NDArray[np.int64] | None) -> float | None:
    if confusion is None or not confusion.any():
        return None
    return round(float(mean_iou(confusion)), 6)


def _iou_or_none(confusion: NDArray[np.int64] | None) -> list[float | None] | None:
    """IoU by class id; None for a class in neither prediction nor truth."""
    if confusion is None:
        return None
    return [None if np.isnan(iou) else round(float(iou), 6) for iou in per_class_iou(confusion)]
