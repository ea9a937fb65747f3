"""Labels and masks that correction methods start from.

Labels made for this project (``initial/`` in the project folder, by ``simulate --init`` or a
pseudo-labelling model) take precedence over those of the data folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import as_merged
from napari_al.session.project import cache_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project

N_NAMED = 3
"""Images that are named in a line about them."""


def made_labels_path(project: Project, image: str) -> Path:
    """Where this project's own initial labels of an image are."""
    return project.path / "initial" / "labels" / f"{image}.png"


def made_masks_path(project: Project, image: str) -> Path:
    """Where this project's own object masks of an image are (32-bit ids, 0 = none)."""
    return project.path / "initial" / "masks" / f"{image}.png"


def write_initial(
    project: Project, image: str, labels: NDArray[np.uint8], masks: NDArray[np.int32]
) -> None:
    """Write an image's (H, W) initial labels and object ids (0 = none) for this project."""
    cache_files.write_class_map(made_labels_path(project, image), labels, durable=True)
    cache_files.write_ids(made_masks_path(project, image), masks, durable=True)


def has_initial_labels(project: Project, data: DataFolder, image: str) -> bool:
    """Whether an image has initial labels; one without is not asked about.

    Raises
    ------
    InputError
        As of `initial_labels`.
    """
    if made_labels_path(project, image).exists() or "initial_labels" in data.files(image):
        return True
    _check_has_some(data)
    return False


def initial_labels(project: Project, data: DataFolder, image: str) -> NDArray[np.uint8]:
    """Return the (H, W) uint8 initial labels; IGNORE everywhere where an image has none.

    Raises
    ------
    InputError
        Neither the project nor the data folder has initial labels.
    """
    labels = cache_files.read_class_map(made_labels_path(project, image))
    if labels is not None:
        return as_merged(labels, data.classes)
    _check_has_some(data)
    labels = data.initial_labels(image)
    return np.full(data.shape(image), IGNORE, np.uint8) if labels is None else labels


def _check_has_some(data: DataFolder) -> None:
    if not data.has_some("initial_labels"):
        raise InputError(
            f"{data.path} has no train/initial_labels, and this method corrects labels that are "
            "there; add them, or simulate with --init noisy or --init model"
        )


def initial_masks(project: Project, data: DataFolder, image: str) -> NDArray[np.int32] | None:
    """Return the (H, W) int32 object ids, 0 = none; None where an image has no masks."""
    masks = cache_files.read_ids(made_masks_path(project, image))
    return data.masks(image) if masks is None else masks


def notes_of_labels(data: DataFolder, config: ProjectConfig) -> tuple[str, ...]:
    """Return which labels of a data folder a new project does not correct, and by what it does.

    Nothing where all images have labels and masks, or where they are made for the project.
    """
    from_data = data.has_some("initial_labels") and config.initial.source == "initial_labels"
    if config.method.query != "correction" or not from_data:
        return ()
    notes, unlabelled = [], data.without("initial_labels")
    if unlabelled:
        names = ", ".join([*unlabelled[:N_NAMED], *(["…"] if unlabelled[N_NAMED:] else [])])
        notes.append(
            f"{_images_have(len(unlabelled))} no initial labels: nothing is asked there ({names})."
        )
    without = set(data.without("masks")) - set(unlabelled)
    if without and config.method.regions == "masks":
        notes.append(
            f"{_images_have(len(without))} no object masks: the connected parts of each class are "
            "the objects, large ones cut into superpixels."
        )
    return tuple(notes)


def _images_have(n: int) -> str:
    return f"{n} image{'s have' if n > 1 else ' has'}"
