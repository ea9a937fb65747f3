"""A cache shared by runs on the same data: encodings and base regions.

A project's cache and the shared folder hold hard links to the same files. Files are never changed
in place, so either side may delete its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_al.writing import WriteError, is_left_over, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig


class SharedCache:
    """The part of a shared folder that a run can use: by data, regions and encoder.

    Parameters
    ----------
    folder : Path
        Shared by all runs; made where it is missing.
    data : DataFolder
        Images that were replaced meanwhile make another part.
    config : ProjectConfig
    """

    def __init__(self, folder: Path, data: DataFolder, config: ProjectConfig) -> None:
        part = folder / _key(_images(data), config.images.model_dump(mode="json"))
        self._shared = {"encodings": part / "encodings"}
        if config.method.regions != "masks":  # those depend on the labels that a run starts from
            regions = _key(config.method.regions, config.regions.model_dump(mode="json"))
            self._shared["regions"] = part / f"regions-{regions}"

    def give(self, cache: Path) -> None:
        """Link what is shared into a project's cache."""
        for kind, shared in self._shared.items():
            _link_all(shared, cache / kind)

    def take(self, cache: Path) -> None:
        """Link what a project has made into the shared folder."""
        for kind, shared in self._shared.items():
            _link_all(cache / kind, shared)


def _images(data: DataFolder) -> list[tuple[str, int, int]]:
    """Names, sizes and modification times of all image files."""
    files = [data.files(name, "train")["images"] for name in data.train]
    files += [data.files(name, "val")["images"] for name in data.val]
    return [(str(file), (s := file.stat()).st_size, s.st_mtime_ns) for file in files]


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _link_all(source: Path, target: Path) -> None:
    """Have every file below ``source`` below ``target``, too; those that are there stay."""
    for file in _files(source):
        link = target / file.relative_to(source)
        if not link.exists():
            with suppress(OSError, WriteError):  # what is missing is made again
                link.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, link)
                except FileExistsError:  # of another run
                    pass
                except OSError:  # a file system without links
                    write_atomic(link, file.read_bytes(), durable=False)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not is_left_over(path):
            yield path
