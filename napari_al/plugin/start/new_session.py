"""What a folder contains, and a new project from the choices of the start page. No Qt."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes, read_classes
from napari_al.formats.data_record import read_record
from napari_al.formats.dataset import DataFolder
from napari_al.formats.images import ID_SUFFIXES
from napari_al.formats.label_maps import doubt_about_labels, read_ids_with_data
from napari_al.formats.listing import files_below
from napari_al.plugin.recent_projects import RecentProject, recent_projects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo
    from napari_al.formats.image_rules import ImageRules
    from napari_al.formats.listing import Kind
    from napari_al.methods.table import QueryType
    from napari_al.plugin.start.existing_labels import ExistingLabels, Use
    from napari_al.plugin.start.viewer_images import ViewerImages
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.session import Session

    Dispatch = Callable[[Callable[[], None]], None]

N_LABELS_READ = 500
"""Of a folder of label images, to determine its classes."""
N_LABELS_LOOKED_AT = 16
"""Of a data folder whose classes are known, of each kind."""
QUESTIONS: dict[QueryType, tuple[str, str]] = {
    "dominant": ("Which class is it mostly?", "one click a region"),
    "multi-class": ("Which classes are in it?", "a click for each class"),
    "correction": ("Is the label right?", "corrects labels that are there"),
    "precise": ("Draw it exactly", "polygons in a rectangle; the dearest"),
}


@dataclass(frozen=True)
class FolderContents:
    """What was found in a folder.

    Attributes
    ----------
    path : Path
    is_project : bool
    data : DataFolder or None
        None for a project.
    classes_known : bool
        Whether the folder names its classes.
    classes_found : bool
        Whether they were found in its labels, without names.
    projects : tuple of RecentProject
        Projects of this data folder: among the recent ones, and beside it.
    """

    path: Path
    is_project: bool = False
    data: DataFolder | None = None
    classes_known: bool = True
    classes_found: bool = False
    projects: tuple[RecentProject, ...] = ()

    @property
    def can_correct(self) -> bool:
        """Whether there are labels to correct."""
        return self.data is not None and self.data.has_some("initial_labels")


@dataclass(frozen=True)
class StartChoice:
    """Choices for a new project; the method may also be among the settings."""

    source: Path | ViewerImages
    classes: tuple[ClassInfo, ...]
    method: str | None
    project: Path
    settings: dict[str, Any] = field(default_factory=dict)
    labels: ExistingLabels | None = None
    """Labels in files, of the images in a folder."""
    use_of_layers: Use | None = None
    """What becomes of the viewer's Labels layers."""


def read_folder(
    path: Path, *, skip_broken: bool = False, rules: ImageRules | None = None
) -> FolderContents:
    """Return what a folder (or the folder of a file) contains.

    Labels are only read where the classes are not known otherwise.

    Raises
    ------
    InputError
        If it is neither a project nor a data folder.
    """
    path = path.expanduser()
    if path.is_file():
        path = path.parent
    if (path / "config.json").is_file():
        return FolderContents(path, is_project=True)
    are_known = (path / "classes.json").is_file()
    unnamed = None if are_known else default_classes([f"class {i}" for i in range(255)])
    data = DataFolder.open(
        path, skip_broken=skip_broken, classes=unnamed, rules=rules, check_labels=False
    )
    projects = tuple(projects_of(path))
    data = replace(data, notes=(*data.notes, *_notes_on_labels(data)))
    if are_known:
        return FolderContents(path, data=data, projects=projects)
    unlabelled = set(data.without("labels"))
    labelled = [name for name in data.train if name not in unlabelled][:N_LABELS_READ]
    maps = (data.labels(name) for name in labelled)
    n_classes = _n_classes(class_map for class_map in maps if class_map is not None)
    if n_classes:
        data = replace(data, classes=data.classes[:n_classes])
    return FolderContents(
        path,
        data=data,
        classes_known=False,
        classes_found=n_classes > 0,
        projects=projects,
    )


def _notes_on_labels(data: DataFolder) -> Iterator[str]:
    """Say how many images have none, and what some of them may mean otherwise.

    Those that cannot be read are passed over.
    """
    n_without = len(data.without("labels"))
    if 0 < n_without < len(data.train):
        yield f"{n_without} of {len(data.train)} images have no labels."
    kinds: dict[Kind, Callable[[str], NDArray[np.uint8] | None]] = {
        "labels": data.labels,
        "initial_labels": data.initial_labels,
    }
    for kind, read in kinds.items():
        values: set[int] = set()
        for name in islice((n for n in data.train if kind in data.files(n)), N_LABELS_LOOKED_AT):
            with suppress(InputError):
                class_map = read(name)
                values |= set() if class_map is None else set(np.unique(class_map).tolist())
        found = frozenset(values)
        doubt = doubt_about_labels(data.path, kind, data.classes, found, data.rules.label_ids)
        if doubt:
            yield f"{doubt}."


def projects_of(data: Path) -> list[RecentProject]:
    """Return the projects of a data folder: the recent ones, then others that lie beside it."""
    recent = {Path(p.path): p for p in recent_projects() if p.is_there}
    beside = (file.parent.resolve() for file in sorted(data.resolve().parent.glob("*/data.json")))
    found = dict.fromkeys((*recent, *beside))
    return [
        recent.get(path) or RecentProject(str(path), None, "")
        for path in found
        if (path / "config.json").is_file() and _is_of(path, data)
    ]


def _is_of(project: Path, data: Path) -> bool:
    """Whether a project's data folder is this one."""
    record = read_record(project / "data.json")
    return record is not None and (project / record.from_project).resolve() == data.resolve()


def classes_of_labels(folder: Path) -> tuple[ClassInfo, ...]:
    """Return the classes of a folder of label images: by a ``classes.json``, or the ids in them.

    Raises
    ------
    InputError
        If there are no label images, or one cannot be read.
    """
    for place in (folder, folder.parent):
        if (place / "classes.json").is_file():
            return read_classes(place / "classes.json")
    files = list(files_below(folder, ID_SUFFIXES).values())
    n_classes = _n_classes(map(read_ids_with_data, files[:N_LABELS_READ]))
    if not 0 < n_classes <= IGNORE:
        raise InputError(f"{folder}: label images with class ids from 0 to 254 were expected.")
    return default_classes([f"class {i}" for i in range(n_classes)])


def _n_classes(class_maps: Iterable[NDArray[Any]]) -> int:
    """Return how many classes there are by the highest id but IGNORE; 0 without any."""
    known = (class_map[class_map != IGNORE] for class_map in class_maps)
    return max((1 + int(ids.max()) for ids in known if ids.size), default=0)


def suggest_project(source: Path | None, method: str) -> Path:
    """Return a folder that does not exist yet: beside the data, or in the home directory."""
    home = Path.home() / "napari-al"
    base = home / "images" if source is None else source
    parent = base.parent if os.access(base.parent, os.W_OK) else home
    first = parent / f"{base.name}-{method}"
    candidate, number = first, 2
    while candidate.exists():
        candidate, number = parent / f"{first.name}-{number}", number + 1
    return candidate


def create(choice: StartChoice, dispatch: Dispatch) -> tuple[Session, tuple[str, ...]]:
    """Create the project and open it; also return what is to be said of its labels.

    Raises
    ------
    InputError
        If something chosen does not fit the data, or the folder cannot be written.
    """
    from napari_al.session.project.initial_labels import notes_of_labels

    session, notes = _create(choice, dispatch)
    return session, (*notes, *notes_of_labels(session.data, session.config))


def _create(choice: StartChoice, dispatch: Dispatch) -> tuple[Session, tuple[str, ...]]:
    labels = choice.labels
    if not isinstance(choice.source, Path):
        return _create_from_viewer(choice, choice.source, dispatch)
    if labels is None:
        return _create_from_folder(choice, choice.source, dispatch), ()
    if labels.use == "answers":
        session = _create_from_folder(choice, choice.source, dispatch)
        return session, _given(session, labels.give)
    return _create_with_labels(choice, choice.source, labels, dispatch)


def _create_from_folder(choice: StartChoice, folder: Path, dispatch: Dispatch) -> Session:
    from napari_al.session.project.settings import image_rules
    from napari_al.session.session import Session

    skip = bool(choice.settings.get("skip_broken", False))
    data = DataFolder.open(
        folder,
        classes=choice.classes,
        skip_broken=skip,
        rules=image_rules(choice.settings),
        check_labels=False,
    )
    config = _config(data, choice)
    return Session.create(choice.project, config, dispatch=dispatch)


def _config(data: DataFolder, choice: StartChoice) -> ProjectConfig:
    """Return the settings; fails now rather than after a round if weights are missing."""
    from napari_al.learning.networks.pretrained import find_weights
    from napari_al.session.project.settings import make_config

    config = make_config(data, choice.settings, choice.method)
    find_weights(config.training.segmenter, config.training.weights)
    return config


def _given(session: Session, give: Callable[[Session], tuple[str, ...]]) -> tuple[str, ...]:
    """Give a new session answers; if that fails, there is no project."""
    try:
        return give(session)
    except BaseException:
        session.close()
        shutil.rmtree(session.project.path, ignore_errors=True)
        raise


def _create_with_labels(
    choice: StartChoice, images: Path, labels: ExistingLabels, dispatch: Dispatch
) -> tuple[Session, tuple[str, ...]]:
    """Make a data folder inside the project: links to the images, and the labels."""
    from napari_al.session.project.settings import image_rules

    notes: list[str] = []

    def write(part: Path) -> None:
        notes.extend(labels.write(part, images, choice.classes))

    return _create_around(choice, write, image_rules(choice.settings), dispatch), tuple(notes)


def _create_from_viewer(
    choice: StartChoice, images: ViewerImages, dispatch: Dispatch
) -> tuple[Session, tuple[str, ...]]:
    """Write the images as a data folder inside the project, and what Labels layers are for."""
    from napari_al.plugin.start.existing_labels import (
        labels_layers,
        labels_of_layers,
        notes_of_layers,
        write_layers,
    )
    from napari_al.plugin.start.viewer_images import write_data
    from napari_al.session.project.settings import image_rules
    from napari_al.tools.given_answers import give_answers

    n_classes, use = len(choice.classes), choice.use_of_layers
    if use is not None:
        labels_layers(images)  # raises, before anything is written

    def write(part: Path) -> None:
        write_data(part, images, choice.classes)
        if use is not None and use != "answers":
            write_layers(part, images, n_classes, use)

    def give(session: Session) -> tuple[str, ...]:
        given = give_answers(session, labels_of_layers(images, n_classes))
        return given.notes or (f"{given.n_answers} answers were taken from Labels layers.",)

    rules = images.rules(image_rules(choice.settings))
    session = _create_around(choice, write, rules, dispatch)
    corrects = use == "initial_labels" and session.config.method.query == "correction"
    notes = () if use is None else notes_of_layers(images, names_unlabelled=not corrects)
    return session, (*notes, *(_given(session, give) if use == "answers" else ()))


def _create_around(
    choice: StartChoice, write: Callable[[Path], None], rules: ImageRules, dispatch: Dispatch
) -> Session:
    """Make a project around the data folder that ``write`` makes."""
    from napari_al.session.project.folder import Project
    from napari_al.session.session import Session

    part = choice.project.with_name(f".{choice.project.name}.{os.getpid()}.part")
    try:
        write(part)
        config = _config(DataFolder.open(part, rules=rules, check_labels=False), choice)
        Project.create(choice.project, config.model_copy(update={"data": "data"}))
        part.rename(choice.project / "data")
    except OSError as error:
        raise InputError(
            f"The images could not be written to {choice.project} ({error.strerror}); name a "
            "folder that you may write to."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Session.open(choice.project, dispatch=dispatch)
