"""A project as of one position of its log: all that a job reads."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from napari_al.core import IGNORE
from napari_al.errors import InputError, MissingDataError
from napari_al.formats.data_record import folder_without_files, is_there, read_record
from napari_al.formats.dataset import DataFolder
from napari_al.formats.known_headers import KnownHeaders
from napari_al.formats.remote import address_in, local_folder, was_named
from napari_al.methods.targets import ImageRecords, corrected, filled
from napari_al.session.log.class_edits import as_counted, load_model, with_classes
from napari_al.session.log.log import AnnotationLog
from napari_al.session.project.folder import Project
from napari_al.session.project.region_maps import RegionMaps
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.learning.segmenter import Segmenter
    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.session.project.config import ProjectConfig

Record = TypeVar("Record")


@dataclass(frozen=True)
class Snapshot:
    """Answers and automatic corrections in force, by image and oldest first, and their data folder.

    Both in terms of the classes in force, which ``config`` and ``data`` have. An open Session keeps
    one up to date by adding to the two dicts; a job's stays as it is.
    """

    project: Project
    config: ProjectConfig
    data: DataFolder
    maps: RegionMaps
    answers: dict[str, list[Answer]]
    corrections: dict[str, list[AutomaticCorrection]]

    def load_model(self, round_number: int, *, stage: int = 1) -> Segmenter:
        """Read a round's model, fitted to the classes in force."""
        return load_model(self.project.model_file(round_number, stage=stage), self.config.classes)

    def lost_images(self) -> Iterator[tuple[str, InputError]]:
        """Images that have answers and are gone, cannot be read or have another size than then."""
        broken = {b.name: b.reason for b in self.data.broken if b.split == "train"}
        here = set(self.data.train)
        for image in self.answers:
            if image in here:
                try:
                    self.maps.check_size(image)
                except InputError as error:
                    yield image, error
            else:
                gone = f"it is no longer in {self.data.path}; put it back"
                yield (
                    image,
                    InputError(
                        f"{image} has {len(self.answers[image])} answers and cannot be used: "
                        f"{broken.get(image, gone)}"
                    ),
                )

    def answered_ids(self, image: str) -> set[int]:
        """Base region ids of an image that got an answer other than "later"."""
        return {
            region_id
            for answer in self.answers.get(image, ())
            if answer.outcome != "skipped"
            for region_id in answer.query.region.ids
        }

    def records(self, image: str) -> ImageRecords:
        """Return what the targets of an image are made of.

        Raises
        ------
        InputError
            The image has another size than when its regions were cut.
        """
        self.maps.check_size(image)
        return ImageRecords(
            self.data.shape(image),
            partial(self.maps.initial_labels, image),
            self.answers.get(image, ()),
            self.corrections.get(image, ()),
        )

    def answers_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) class map of an image's answers alone (``targets.filled``)."""
        return filled(self.records(image))

    def current_labels(self, image: str) -> NDArray[np.uint8]:
        """(H, W) initial labels, automatic corrections and answers (``targets.corrected``)."""
        return corrected(self.records(image))

    def current_label(self, image: str, pixel_rc: tuple[int, int]) -> int:
        """Return what ``current_labels`` has at one pixel, without painting them all."""
        for answer in reversed(self.answers.get(image, ())):
            if answer.query.region.mask.holds(pixel_rc):
                if answer.outcome == "labelled":
                    return answer.class_ids[0]
                if answer.outcome == "ignored":
                    return IGNORE
        for correction in reversed(self.corrections.get(image, ())):
            if correction.region.mask.holds(pixel_rc):
                return correction.new_class
        return int(self.maps.initial_labels(image)[pixel_rc])


def open_data(project: Project, config: ProjectConfig, *, elsewhere: bool = False) -> DataFolder:
    """Open the data folder of a project.

    It was found good when the project was made: what breaks later is left out (``broken`` says
    what and why) and does not shut the door to everything else. Labels are read when they are
    needed. It is looked for relative to the project first, then where it was; a project that is
    open for reading works without it. An address that nobody named on this machine is not looked
    up, unless it was named ``elsewhere``, by whom this works for.

    Raises
    ------
    MissingDataError
        If it is nowhere.
    """
    record = read_record(project.data_file)
    address = address_in(config.data)
    if address is not None and not (elsewhere or was_named(address)):
        raise InputError(
            f"the images of {project.path} are at {address}, which was not named on this machine "
            f"yet: napari-al relocate {project.path} {address}"
        )
    places = [project.path / config.data] if address is None else [local_folder(address)]
    if record is not None and address is None:
        places.insert(0, project.path / record.from_project)
    found = [p for p in places if (p.is_dir() if record is None else is_there(record, p))]
    path = (found or [p for p in places if p.is_dir()] or places)[0].resolve()
    if not path.is_dir():
        if project.read_only and record is not None:
            return folder_without_files(path, config.classes, config.images, record)
        raise MissingDataError(project.path, path)
    rules = config.images
    if not rules.is_decided:  # a project made before this was recorded keeps its images
        rules = rules.model_copy(update={"convert": True, "pages": "channels"})
    headers = KnownHeaders(path, project.cache / "headers.json")
    data = DataFolder.open(
        path,
        skip_broken=True,
        classes=config.classes,
        rules=rules,
        check_labels=False,
        check_pixels=False,
        headers=headers,
    )
    if not project.read_only:
        with suppress(WriteError):  # they can be read again
            headers.save()
    return data


def open_snapshot(
    path: Path, log_seq: int, *, cache: Path | None = None, elsewhere: bool = False
) -> Snapshot:
    """Open a project for a job: as of a position of its log, beside whoever annotates.

    With a ``cache``, what the job makes goes there, and nothing into the project. ``elsewhere``:
    on another machine than that of who annotates.
    """
    project = Project.open(path, read_only=cache is not None)
    config = project.read_config()
    data = open_data(project, config, elsewhere=elsewhere)
    maps = RegionMaps(project, data, config)
    if cache is not None:
        project = Project(path, read_only=True, cache=cache)
    with AnnotationLog(project.log_file, read_only=True, elsewhere=elsewhere) as log:
        if log.last_seq < log_seq:
            raise InputError(
                f"{project.log_file} has {log.last_seq} entries here, and {log_seq} where it is "
                "written; have the shared folder show changes at once (docs/clusters.md)"
            )
        return snapshot_of(project, config, data, maps, log, log_seq)


def snapshot_of(
    project: Project,
    config: ProjectConfig,
    data: DataFolder,
    maps: RegionMaps,
    log: AnnotationLog,
    log_seq: int,
) -> Snapshot:
    """Return an open project as of a position of its log: answers, and the classes then."""
    then = with_classes(config, log.classes(log_seq))
    if then.classes != data.classes:
        data = replace(data, classes=then.classes)
        maps = RegionMaps(project, data, then)
    answers = as_counted(log.active(log_seq), then.classes)
    corrections = as_counted(log.corrections(log_seq), then.classes)
    return Snapshot(
        project,
        then,
        data,
        maps,
        by_image((answer.query.region.image, answer) for answer in answers),
        by_image((correction.region.image, correction) for correction in corrections),
    )


def by_image(pairs: Iterable[tuple[str, Record]]) -> dict[str, list[Record]]:
    """Group records by the image named beside them, in order."""
    grouped: dict[str, list[Record]] = {}
    for image, record in pairs:
        grouped.setdefault(image, []).append(record)
    return grouped
