"""The model of a round: initial weights, training, validation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.metrics import confusion_matrix, mean_iou
from napari_al.errors import InputError
from napari_al.methods.targets import partial_labels
from napari_al.session.rounds.job_function import JobProgress
from napari_al.session.rounds.training_labels import read_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.learning.batches import Sample
    from napari_al.learning.segmenter import Segmenter
    from napari_al.learning.training import StepReport, TrainingOutcome, TrainSettings
    from napari_al.methods.table import Classifier, Loss
    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.project.config import ProjectConfig, TrainingSettings
    from napari_al.session.rounds.encodings import Predictor
    from napari_al.session.rounds.job_context import JobContext
    from napari_al.session.rounds.training_labels import TrainingStage

N_IMAGES_FOR_STATISTICS = 64
"""Images for mean and standard deviation; more would hardly change them."""


def start_segmenter(work: JobContext, round_number: int, images: Iterable[str] = ()) -> Segmenter:
    """Return the last round's segmenter, or a new one to learn from ``images``, by the settings."""
    data, config = work.snapshot.data, work.snapshot.config
    if config.training.keep_weights and work.snapshot.project.model_file(round_number - 1).exists():
        segmenter = work.snapshot.load_model(round_number - 1)
        segmenter.n_known = segmenter.n_classes
        return segmenter
    chosen = data.train[:: max(1, len(data.train) // N_IMAGES_FOR_STATISTICS)]
    return new_segmenter(
        config,
        data,
        _readable(work, chosen),
        config.method.classifier,
        n_regions=_n_labelled_regions(work.snapshot, images) if config.training.frozen else 0,
    )


def _n_labelled_regions(snapshot: Snapshot, images: Iterable[str]) -> int:
    """Return how many regions of images have a label: answers, or all where labels were there."""
    if snapshot.config.method.starts_from_labels:
        return sum(map(snapshot.maps.n_regions, images))
    return sum(len(snapshot.answers[image]) for image in images)


def new_segmenter(
    config: ProjectConfig,
    data: DataFolder,
    images: Iterable[NDArray[np.generic]],
    classifier: Classifier = "linear",
    *,
    n_regions: int = 0,
) -> Segmenter:
    """Return a new segmenter with its initial weights, as the settings say.

    Parameters
    ----------
    config, data
    images : iterable of (H, W, C) arrays
        From which the scale of the input is taken.
    classifier
    n_regions : int
        About how many labelled regions it learns from.
    """
    from napari_al.learning.networks.catalogue import segmenter_info
    from napari_al.learning.networks.pretrained import find_weights
    from napari_al.learning.normalisation import input_normalisation
    from napari_al.learning.segmenter import build_segmenter
    from napari_al.learning.training import hidden_units

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
        n_members=training.members,
        noise=training.noise,
        n_hidden=hidden_units(n_regions),
        backbone=weights,
    )


def _readable(work: JobContext, images: Iterable[str]) -> Iterator[NDArray[np.generic]]:
    """Read those of the images that can be read."""
    for image in images:
        pixels = valid = None
        with work.using(image):
            pixels, valid = work.snapshot.data.image(image), work.snapshot.data.valid(image)
        if pixels is not None:
            yield pixels if valid is None else pixels[valid][None]


def loop_settings(settings: TrainingSettings, loss: Loss) -> TrainSettings:
    """Return what the training loop needs of a project's settings."""
    from napari_al.learning.training import TrainSettings
    from napari_al.methods.loss import loss_function

    return TrainSettings(
        steps=settings.steps,
        batch_size=settings.batch_size,
        crop_px=settings.crop_px,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        loss=loss_function(loss, weights=settings.loss_weights, pooling=settings.loss_pooling),
    )


def train_model(
    work: JobContext,
    predictor: Predictor,
    images: tuple[str, ...],
    config: ProjectConfig,
    stage: TrainingStage = 1,
) -> TrainingOutcome:
    """Train the predictor's segmenter in place on this round's targets and log its losses."""
    from napari_al.learning.training import train

    project = work.snapshot.project
    partial = config.method.loss == "multi-class" and stage == 1
    encodings = predictor.encodings

    def get_sample(index: int) -> Sample:
        try:
            return _sample(work, images[index], partial, stage, frozen=encodings is not None)
        except InputError as error:  # the file was good when its targets were made
            work.leave_out(images[index], error)
            return _empty_sample(work.snapshot, images[index], partial)

    def on_step(step: StepReport) -> None:
        project.append_training({"round": work.round, "stage": stage, **asdict(step)})
        work.progress(
            JobProgress("training", step.step, step.n_steps, loss=step.loss, eta_s=step.eta_seconds)
        )

    outcome = train(
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
    return outcome


def _sample(
    work: JobContext, image: str, partial: bool, stage: TrainingStage, *, frozen: bool
) -> Sample:
    from napari_al.learning.batches import Sample

    snapshot = work.snapshot
    if not frozen:
        pixels = snapshot.data.image(image)
    else:  # the encoder's maps replace the image
        pixels = np.broadcast_to(np.uint8(0), (*snapshot.data.shape(image), 1))
    if partial:
        records, n_classes = snapshot.records(image), snapshot.data.n_classes
        return Sample(pixels, None, *partial_labels(records, n_classes))
    # objects differ too much in size to weigh the same
    by_pixel = not frozen or snapshot.config.method.regions == "masks"
    region_map = None if by_pixel else _regions(snapshot, image)
    return Sample(pixels, read_target(work, image, stage), region_map)


def _regions(snapshot: Snapshot, image: str) -> NDArray[np.int32]:
    """(H, W) ids of regions with equal weight in training: answered regions and base regions."""
    base = snapshot.maps(image)
    answered, _ = partial_labels(snapshot.records(image), snapshot.data.n_classes)
    return np.where(answered >= 0, int(base.max()) + 1 + answered, base)


def _empty_sample(snapshot: Snapshot, image: str, partial: bool) -> Sample:
    """Return a sample without any label."""
    from napari_al.learning.batches import Sample

    shape = snapshot.data.shape(image)
    pixels = np.zeros((*shape, snapshot.data.n_channels), np.float32)
    if partial:
        no_candidates = np.zeros((0, snapshot.data.n_classes), bool)
        return Sample(pixels, None, np.full(shape, -1, np.int32), no_candidates)
    return Sample(pixels, np.full(shape, IGNORE, np.uint8))


@dataclass(frozen=True)
class Validation:
    """Metrics of a model on the validation split.

    Attributes
    ----------
    confusion : (C, C) int64
        Over all its pixels.
    miou_of_image : dict of str to float
        mIoU of each image alone.
    """

    confusion: NDArray[np.int64]
    miou_of_image: dict[str, float]


def validate(work: JobContext, predictor: Predictor) -> Validation | None:
    """Predict the validation split; None where there is none."""
    from napari_al.learning.inference import class_map_of

    data = work.snapshot.data
    if not data.has_val:
        return None
    miou_of_image: dict[str, float] = {}
    confusion = np.zeros((data.n_classes, data.n_classes), np.int64)

    def confusion_of(name: str) -> NDArray[np.int64] | None:
        truth = data.labels(name, "val")
        if truth is None:
            return None
        prediction = class_map_of(predictor.probs(name, "val"))
        return confusion_matrix(prediction, truth, data.n_classes)

    for n_done, (name, found) in enumerate(predictor.for_each(data.val, confusion_of), start=1):
        with work.using(f"{name} (val)"):
            one = found()
            if one is not None:
                confusion += one
                if one.any():
                    miou_of_image[name] = round(float(mean_iou(one)), 4)
        work.report("validation", n_done, len(data.val))
    return Validation(confusion, miou_of_image)
