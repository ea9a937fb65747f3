"""What a project remembers of its data folder: to find it again, and to work without it.

``data.json`` of a project lists the images with their sizes, and checksums of some. A folder at
another place is the same if these agree; verbs that only read answers need no more than the list.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.formats.listing import Split, is_image_name
from napari_al.formats.parts.picture_parts import Part
from napari_al.formats.remote import fetch
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.image_rules import ImageRules

N_CHECKSUMS = 8
"""Images whose content is compared, spread over the folder; no parts of pictures."""


class ImageRecord(BaseModel):
    """One image: its file below the data folder, its size in pixels, a checksum of some.

    And where in the picture of the file it is, if it is a part of that.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str
    shape: tuple[int, int]
    sha256: str | None = None
    part: Part | None = None


class DataRecord(BaseModel):
    """``data.json``: the images by ``train/NAME`` and ``val/NAME``, and the way to the folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    from_project: str
    images: dict[str, ImageRecord]


def record_of(data: DataFolder, project: Path) -> DataRecord:
    """Return what a project in a folder remembers of its data."""
    names = [(split, name) for split in ("train", "val") for name in getattr(data, split)]
    step = max(1, len(names) // N_CHECKSUMS)
    images = {}
    for i, (split, name) in enumerate(names):
        split = cast("Split", split)
        file, part = data.files(name, split)["images"], data.part(name, split)
        images[f"{split}/{name}"] = ImageRecord(
            file=Path(os.path.relpath(file, data.path)).as_posix(),
            shape=data.shape(name, split),
            sha256=_checksum(file) if i % step == 0 and part is None else None,
            part=part,
        )
    way = data.path.resolve()
    with suppress(ValueError):  # on another drive
        way = Path(os.path.relpath(way, project.resolve()))
    return DataRecord(from_project=way.as_posix(), images=images)


def write_record(path: Path, record: DataRecord) -> None:
    """Replace a project's ``data.json``."""
    write_atomic(path, record.model_dump_json(exclude_none=True).encode())


def read_record(path: Path) -> DataRecord | None:
    """Read a project's ``data.json``; None if it is missing or damaged (it is made again)."""
    try:
        record = DataRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return record if all(map(is_image_name, record.images)) else None


def is_there(record: DataRecord, folder: Path) -> bool:
    """Whether a folder holds some image of the record."""
    return any((folder / image.file).exists() for image in record.images.values())


def check_same(record: DataRecord, data: DataFolder) -> None:
    """Raise an InputError unless a data folder holds the images of a record.

    Names, sizes, and the content of those with a checksum are compared; further images do no harm.
    """
    broken = {f"{b.split}/{b.name}" for b in data.broken}
    for key, image in record.images.items():
        split, _, name = key.partition("/")
        if name not in getattr(data, split, ()):
            what = "cannot be used there" if key in broken else "is not there"
            raise InputError(f"{data.path} is not the data of this project: {key} {what}.")
        file = data.files(name, cast("Split", split))["images"]
        fault = ""
        part = data.part(name, cast("Split", split))
        if (data.shape(name, cast("Split", split)), part) != (image.shape, image.part):
            fault = "has another size"
        elif image.sha256 is not None and image.sha256 != _checksum(file):
            fault = "is another image"
        if fault:
            raise InputError(f"{data.path} is not the data of this project: {file} {fault}.")


def folder_without_files(
    path: Path, classes: Sequence[ClassInfo], rules: ImageRules, record: DataRecord
) -> DataFolder:
    """Return a data folder of which nothing but the record is there: names and sizes."""
    shapes = {
        (cast("Split", key.partition("/")[0]), key.partition("/")[2]): (
            path / i.file,
            i.shape,
            i.part,
        )
        for key, i in record.images.items()
    }
    return DataFolder.without_files(path, classes, rules, shapes)


def _checksum(file: Path) -> str:
    fetch(file)
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
