"""Quality of a run's regions, answers and targets by ground truth, beyond ``rounds.csv``.

Read-only, also while somebody annotates. Figures whose files are missing from the cache are
unknown; nothing is trained or predicted again.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.metrics import (
    CorrectionCounts,
    SieveCounts,
    achievable_segmentation_accuracy,
    boundary_recall,
    correction_counts,
    sieve_counts,
    undersegmentation_error,
)
from napari_al.session.log.class_edits import load_model, read_config_in_force
from napari_al.session.log.log import AnnotationLog
from napari_al.session.log.snapshot import Snapshot, open_data, snapshot_of
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project import cache_files
from napari_al.session.project.folder import Project
from napari_al.session.project.region_maps import RegionMaps
from napari_al.simulate.supervised import SUPERVISED
from napari_al.simulate.truth import check_has_truth, truth_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.dataset import DataFolder

N_IMAGES_OF_REGIONS = 50
"""Images, spread evenly, of which the quality of regions is a mean."""


@dataclass(frozen=True)
class RegionQuality:
    """Means over images of what the regions that are asked in a round are like.

    Attributes
    ----------
    n_per_image : float
    achievable_accuracy, boundary_recall, undersegmentation_error : float
        See ``core/metrics.py``.
    """

    n_per_image: float
    achievable_accuracy: float
    boundary_recall: float
    undersegmentation_error: float


@dataclass(frozen=True)
class Measures:
    """Of one run; dicts are by round, empty where the method has no such thing.

    Attributes
    ----------
    asked, pool : (C,) int64
        Pixels by true class, of the regions that were answered and of all training images.
    regions : dict of int to RegionQuality
        Of base regions only the first round that asks about them.
    sieve : dict of int to SieveCounts
    manual, automatic : dict of int to CorrectionCounts
        Of the answers and of the automatic corrections of a round, in this order.
    """

    asked: NDArray[np.int64]
    pool: NDArray[np.int64]
    regions: dict[int, RegionQuality] = field(default_factory=dict)
    sieve: dict[int, SieveCounts] = field(default_factory=dict)
    manual: dict[int, CorrectionCounts] = field(default_factory=dict)
    automatic: dict[int, CorrectionCounts] = field(default_factory=dict)


def measure(project: Project) -> Measures:
    """Measure a project as of its last finished round.

    Raises
    ------
    InputError
        If the data folder cannot be read, or its training images have no ground truth.
    """
    states, newest = _states(project)
    data = newest.data
    check_has_truth(data)
    measures = Measures(np.zeros(data.n_classes, np.int64), np.zeros(data.n_classes, np.int64))
    for image in data.train:
        _add_image(measures, states, image, truth_of(data, image))
    measures.regions.update(_region_qualities(newest))
    return measures


def pictures_and_truth(
    path: Path, names: Sequence[str]
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(H, W, 3) pictures of a project's validation images, and (H, W) their true classes."""
    project = Project.open(path, read_only=True)
    data = open_data(project, project.read_config())
    found = {}
    for name in names:
        truth = data.labels(name, "val")
        pixels = data.image(name, "val").astype(np.float32)
        pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., [0, 0, 0]]
        low, high = np.percentile(pixels, (0.5, 99.5))
        picture = np.clip((pixels - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
        empty = np.full(picture.shape[:2], IGNORE, np.uint8)
        found[name] = picture, empty if truth is None else truth
    return found


def predicted_classes(path: Path, names: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """(H, W) classes that a project's newest model predicts for validation images."""
    import torch

    from napari_al.learning.inference import class_map_of, predict_probs

    project = Project.open(path, read_only=True)
    config = read_config_in_force(project)
    data = open_data(project, config)
    model = load_model(project.newest_model_file(), config.classes)
    device = torch.device("cpu")
    return {
        name: class_map_of(predict_probs(model, data.in_place(name, "val"), device))
        for name in names
    }


def class_palette(classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """(256, 3) colours of class ids; pixels without a class are white."""
    palette = np.full((256, 3), 255, np.uint8)
    for info in classes:
        palette[info.id] = list(bytes.fromhex(info.color.removeprefix("#")))
    return palette


def _states(project: Project) -> tuple[dict[int, Snapshot], Snapshot]:
    """Return a project as of the end of each finished round, and as it is now."""
    config = project.read_config()
    data = open_data(project, config)
    maps = RegionMaps(project, data, config)
    with AnnotationLog(project.log_file, read_only=True) as log:

        def at(log_seq: int) -> Snapshot:
            return snapshot_of(project, config, data, maps, log, log_seq)

        ends = {n: int(project.read_round(n)["log_seq"]) for n in project.rounds_done()}
        return {number: at(log_seq) for number, log_seq in ends.items()}, at(log.last_seq)


def _add_image(
    measures: Measures, states: dict[int, Snapshot], image: str, truth: NDArray[np.uint8]
) -> None:
    """Count what one image adds."""
    measures.pool[:] += _by_class(truth, len(measures.pool))
    if not states:
        return
    *_, last = states.values()
    for answer in last.answers.get(image, ()):
        if answer.outcome != "skipped":
            mask = answer.query.region.mask
            measures.asked[:] += _by_class(mask.view(truth)[mask.crop()], len(measures.asked))
    method = last.config.method
    if method.targets == "sieve":
        _add_sieve(measures, states, image, truth)
    if method.query == "correction" and method != SUPERVISED:
        _add_corrections(measures, states, image, truth)


def _by_class(truth: NDArray[np.uint8], n_classes: int) -> NDArray[np.int64]:
    return np.bincount(truth[truth != IGNORE], minlength=n_classes)


def _add_sieve(
    measures: Measures, states: dict[int, Snapshot], image: str, truth: NDArray[np.uint8]
) -> None:
    for number, state in states.items():
        targets = cache_files.read_class_map(state.project.target_file(number, image))
        if image in state.answers and targets is not None:
            counts = sieve_counts(state.answers_map(image), targets, truth)
            before = measures.sieve.get(number, SieveCounts(0, 0, 0, 0))
            measures.sieve[number] = SieveCounts(*map(sum, zip(before, counts, strict=True)))


def _add_corrections(
    measures: Measures, states: dict[int, Snapshot], image: str, truth: NDArray[np.uint8]
) -> None:
    earlier: Snapshot | None = None
    for number, state in states.items():
        if earlier is None:  # initial labels alone
            earlier, before = state, state.current_labels(image)
            continue
        answered = replace(state, corrections=earlier.corrections).current_labels(image)
        steps = [(measures.manual, before, answered)]
        after = answered
        if state.config.method.correction == "automatic":
            after = state.current_labels(image)
            steps.append((measures.automatic, answered, after))
        for counts, one, other in steps:
            new = correction_counts(one, other, truth)
            old = counts.get(number, CorrectionCounts(0, 0, 0))
            counts[number] = CorrectionCounts(*map(sum, zip(old, new, strict=True)))
        earlier, before = state, after


def _region_qualities(newest: Snapshot) -> dict[int, RegionQuality]:
    """Quality of the base regions, which the first round asks about, and of merged ones after."""
    project, config, data, maps = newest.project, newest.config, newest.data, newest.maps
    if config.method == SUPERVISED:
        return {}
    images = data.train[:: -(-len(data.train) // N_IMAGES_OF_REGIONS)]
    qualities = {1: _quality(data, {image: maps(image) for image in images})}
    if config.method.merging == "none":
        return qualities
    for model_round in project.rounds_done():
        scores = PoolScores.load(project.scores_file(model_round))
        if scores is not None and scores.base_group is not None:
            merged = {}
            for index, image in enumerate(scores.images):
                groups = scores.groups_of(index)
                if image in images and groups is not None:
                    merged[image] = groups[maps(image)]
            if merged:
                qualities[model_round + 1] = _quality(data, merged)
    return qualities


def _quality(data: DataFolder, region_maps: dict[str, NDArray[np.int32]]) -> RegionQuality:
    """Means over images; figures that an image does not have (no borders, say) do not count."""
    rows = []
    for image, region_map in region_maps.items():
        known = np.where(region_map < 0, IGNORE, truth_of(data, image))
        ids = np.maximum(region_map, 0)
        rows.append(
            (
                len(np.unique(region_map[region_map >= 0])),
                achievable_segmentation_accuracy(ids, known),
                boundary_recall(ids, known),
                undersegmentation_error(ids, known),
            )
        )
    return RegionQuality(*(_mean_of_known(column) for column in zip(*rows, strict=True)))


def _mean_of_known(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan
