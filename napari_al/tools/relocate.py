"""Set a new data folder of a project: ``napari-al relocate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.formats.data_record import check_same, read_record, record_of, write_record
from napari_al.formats.dataset import DataFolder
from napari_al.formats.remote import address_of
from napari_al.session.log.log import AnnotationLog
from napari_al.session.project.folder import Project

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.session.project.config import ProjectConfig


def relocate(path: Path, folder: Path) -> int:
    """Tell a project where its data folder is now; return how many images were compared.

    Parameters
    ----------
    path : Path
        The project.
    folder : Path
        The data folder at its new place.

    Raises
    ------
    InputError
        If the folder holds other images (it names the first), or the project is open elsewhere.
    """
    project = Project.open(path)
    lock = project.lock()
    try:
        config = project.read_config()
        data = DataFolder.open(
            folder,
            skip_broken=True,
            classes=config.classes,
            rules=config.images,
            check_labels=False,
            check_pixels=False,
        )
        record = read_record(project.data_file)
        if record is not None:
            check_same(record, data)
        else:
            _check_answers(project, config, data)
        place = address_of(data.path) or str(folder.resolve())
        project.write_config(config.model_copy(update={"data": place}))
        write_record(project.data_file, record_of(data, project.path))
        return len(data.train) + len(data.val)
    finally:
        lock.release()


def _check_answers(project: Project, config: ProjectConfig, data: DataFolder) -> None:
    """Raise an InputError unless the folder has the images with answers, no smaller than those."""
    with AnnotationLog(project.log_file, read_only=True) as log:
        for answer in log.active():
            region = answer.query.region
            if region.image not in data.train:
                raise InputError(
                    f"{data.path} is not the data of this project: {region.image} is not there."
                )
            height, width = data.shape(region.image)
            if region.mask.box[2] > height or region.mask.box[3] > width:
                raise InputError(
                    f"{data.path} is not the data of this project: {region.image} is smaller."
                )
