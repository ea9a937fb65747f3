"""Labels for correction methods to start from, made for a project (``--init noisy|model``).

They are written once per image to ``initial/`` in the project folder; existing files are kept, so a
run that was stopped goes on with the same labels.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.session.project.initial_labels import made_masks_path, write_initial
from napari_al.session.rounds.job_function import JobProgress
from napari_al.simulate.confusion import confusion_of
from napari_al.simulate.truth import check_has_truth, truth_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.learning.segmenter import Segmenter
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project
    from napari_al.simulate.confusion import Confusion

    Progress = Callable[[JobProgress], None]
    Made = tuple[str, tuple[NDArray[np.uint8], NDArray[np.int32]]]


def noisy_initial_labels(
    truth: NDArray[np.uint8], confusion: Confusion, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Labels whose errors are whole objects taken for a look-alike.

    Parameters
    ----------
    truth
        (H, W) uint8 class ids.
    confusion
        How often an object's class is wrong, and as which.
    rng
        Draws for each object in the order of its first pixel.

    Returns
    -------
    labels : (H, W) uint8
        ``IGNORE`` where ``truth`` is.
    masks : (H, W) int32
        Objects from 1, the 8-connected parts of one class; 0 where ``truth`` is ``IGNORE``. Each
        has one class in ``truth`` and one in ``labels``.
    """
    from skimage.measure import label

    masks: NDArray[np.int32] = label(truth, background=IGNORE, connectivity=2).astype(np.int32)
    ids, first = np.unique(masks, return_index=True)
    given = np.full(int(ids[-1]) + 1, IGNORE, np.uint8)
    for object_id, at in zip(ids, first, strict=True):
        if object_id:
            given[object_id] = confusion.given(int(truth.flat[at]), rng)
    return given[masks], masks


def region_labels(
    class_map: NDArray[np.uint8], region_map: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Labels with one class a region, its most frequent one, and regions as masks from 1.

    Parameters
    ----------
    class_map
        (H, W) uint8 class ids.
    region_map
        (H, W) int32 region ids from 0; -1 where there is no region.
    """
    n_regions = int(region_map.max()) + 1
    counts = np.zeros((n_regions, IGNORE + 1), np.int64)
    inside = region_map >= 0
    np.add.at(counts, (region_map[inside], class_map[inside]), 1)
    classes = np.append(counts.argmax(axis=1), IGNORE).astype(np.uint8)
    return classes[region_map], region_map + 1


def prepare_initial(
    project: Project, config: ProjectConfig, data: DataFolder, progress: Progress
) -> None:
    """Make the labels that ``config.initial`` asks for, unless they are there already.

    Raises
    ------
    InputError
        If they are to be made and images have no ground truth.
    """
    if not config.method.starts_from_labels or config.initial.source == "initial_labels":
        return
    missing = [name for name in data.train if not made_masks_path(project, name).exists()]
    if not missing:
        return
    check_has_truth(data)
    make = _noisy if config.initial.source == "noisy" else _predicted
    for n_done, (image, (labels, masks)) in enumerate(
        make(config, data, missing, progress), start=1
    ):
        write_initial(project, image, labels, masks)
        progress(JobProgress("initial labels", n_done, len(missing)))


def _noisy(
    config: ProjectConfig, data: DataFolder, images: list[str], progress: Progress
) -> Iterator[Made]:
    confusion = confusion_of(config.initial.error_rate, config.initial.confusions, data)
    for image in images:
        key = hashlib.sha256(f"{config.seed} {image}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(key[:8], "little"))
        yield image, noisy_initial_labels(truth_of(data, image), confusion, rng)


def _predicted(
    config: ProjectConfig, data: DataFolder, images: list[str], progress: Progress
) -> Iterator[Made]:
    from napari_al.core.superpixels import superpixels
    from napari_al.learning.devices import resolve_device
    from napari_al.learning.inference import class_map_of, predict_probs

    device = resolve_device(config.training.device)
    segmenter = _few_image_model(config, data, device, progress)
    for image in images:
        pixels = data.image(image)
        prediction = class_map_of(predict_probs(segmenter, data.in_place(image), device))
        region_map = superpixels(
            pixels,
            "seeds",
            n_per_image=config.regions.n_per_image,
            side_px=config.regions.side_px,
            seeds_hue=config.regions.seeds_hue,
        )
        yield image, region_labels(prediction.astype(np.uint8), region_map)


def _few_image_model(
    config: ProjectConfig, data: DataFolder, device: torch.device, progress: Progress
) -> Segmenter:
    """Train on the ground truth of a few images, drawn with the project's seed."""
    from napari_al.learning.training import Sample, train
    from napari_al.session.rounds.training import loop_settings, new_segmenter

    rng = np.random.default_rng(config.seed)
    n_images = min(config.initial.n_images, len(data.train))
    chosen = [data.train[i] for i in rng.choice(len(data.train), n_images, replace=False)]
    segmenter = new_segmenter(config, data, (data.image(name) for name in chosen))
    train(
        segmenter,
        len(chosen),
        lambda index: Sample(data.image(chosen[index]), truth_of(data, chosen[index])),
        loop_settings(config.training, "cross-entropy"),
        seed=config.seed,
        device=device,
        on_step=lambda step: progress(JobProgress("initial model", step.step, step.n_steps)),
        should_stop=lambda: False,
    )
    return segmenter
