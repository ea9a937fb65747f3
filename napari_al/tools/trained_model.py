"""Open a trained model by its path: a file, a project's newest model, or an exported folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, check_classes, default_classes, meanings
from napari_al.formats.image_rules import ImageRules
from napari_al.session.log.class_edits import merges, read_config_in_force
from napari_al.session.project.folder import Project

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.learning.segmenter import Segmenter

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MODEL_FORMAT = "napari-al model"
"""The ``format`` in the ``config.json`` of an exported model."""


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes
    ----------
    file : Path
        Its safetensors.
    segmenter : Segmenter
        On the CPU.
    classes : tuple of ClassInfo
        Called "class 0" and so on where nothing beside the file says their names.
    rules : ImageRules
        How the images are read that it was trained on; not decided where nothing says so.
    """

    file: Path
    segmenter: Segmenter
    classes: tuple[ClassInfo, ...]
    rules: ImageRules = field(default_factory=ImageRules)

    @cached_property
    def fingerprint(self) -> str:
        """What tells its file from those of other models."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def open_model(path: Path) -> Model:
    """Read the model of a ``.safetensors`` file, a project or an exported folder.

    Raises
    ------
    InputError
        If there is none, or if it is damaged or of a newer version.
    """
    if path.is_dir():
        config = _read_config(path / CONFIG)
        is_model = config.get("format") == MODEL_FORMAT
        file = path / WEIGHTS if is_model else Project.open(path).newest_model_file()
    elif path.suffix == ".safetensors":
        file = path
    else:
        raise InputError(
            f"{path} is no model: expected a .safetensors file, a project with a trained model, or "
            "a folder of `napari-al export-model`"
        )
    from napari_al.learning.weights import load_segmenter

    segmenter = load_segmenter(file)
    classes = _classes_of(file, segmenter.n_classes)
    segmenter.merged = merges(classes)
    return Model(file, segmenter, classes, _rules_of(file))


def _classes_of(file: Path, n_classes: int) -> tuple[ClassInfo, ...]:
    """Classes by the exported folder or the project that the file lies in."""
    project = Project(file.parent.parent, read_only=True)
    if project.config_file.is_file() and project.log_file.is_file():
        classes = read_config_in_force(project).classes
        fitting = classes[:n_classes]
        if len(fitting) == n_classes and {*meanings(fitting)} <= {*range(n_classes), IGNORE}:
            return fitting
    for config_file in (file.parent / CONFIG, file.parent.parent / CONFIG):
        known = _read_config(config_file).get("classes") if config_file.is_file() else None
        if isinstance(known, list) and len(known) == n_classes:
            return check_classes(known, str(config_file))
    return default_classes([f"class {class_id}" for class_id in range(n_classes)])


def _rules_of(file: Path) -> ImageRules:
    """Return how images are read by the exported folder or the project that the file lies in."""
    for config_file in (file.parent / CONFIG, file.parent.parent / CONFIG):
        if config_file.is_file():
            try:
                return ImageRules.model_validate(_read_config(config_file).get("images", {}))
            except ValidationError as error:
                raise InputError(f"{config_file} is damaged; put a copy of it back") from error
    return ImageRules()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent} is no model: it has no {path.name}; expected a project with a trained "
            "model, or a folder of `napari-al export-model`"
        ) from error
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged; put a copy of it back") from error
