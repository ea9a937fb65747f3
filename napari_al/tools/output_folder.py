"""Output folders of resumable commands: a record of the inputs is written into them first."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.project.lock import FolderLock
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOCK = ".napari-al.lock"


@contextmanager
def output_folder(out: Path, record_name: str, record: Mapping[str, Any]) -> Iterator[None]:
    """Create a folder to write into, or reopen one to go on in; locked against other programs.

    Parameters
    ----------
    out : Path
        New, empty, or filled before with the same record.
    record_name : str
        The file in it that says what it was made with.
    record : mapping
        What its files depend on; what JSON can hold.

    Raises
    ------
    InputError
        If it is somebody else's, was made with something else, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    path = out / record_name
    if not path.exists() and any(file.name != LOCK for file in out.iterdir()):
        raise InputError(f"{out} is not empty and has no {record_name}; name a new folder")
    lock = FolderLock(out / LOCK)
    try:
        if path.exists():
            _check_same(path, record)
        else:
            write_atomic(path, json.dumps(record, indent=1).encode())
        yield
    finally:
        lock.release()


def check_own(out: Path, mark: str, *besides: Path) -> None:
    """Check that a folder to write into is new, empty, or was filled before.

    Parameters
    ----------
    out : Path
    mark : str
        Name of what is there if it was filled before.
    besides : Path
        Files that may be there before.

    Raises
    ------
    InputError
        If it holds other files, or is a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a new folder")
    if not out.is_dir() or (out / mark).exists():
        return
    others = {path.resolve() for path in out.iterdir()} - {path.resolve() for path in besides}
    if others:
        raise InputError(
            f"{out} is not empty and has no {mark}: what is there is not of this command; name a "
            "new folder"
        )


def _check_same(path: Path, record: Mapping[str, Any]) -> None:
    try:
        found = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged; name a new folder") from error
    differ = [
        f"{key}: {found.get(key)!r}, not {value!r}"
        for key, value in json.loads(json.dumps(record)).items()
        if found.get(key) != value
    ]
    if differ:
        raise InputError(
            f"{path.parent} was made with {'; '.join(differ)}; name a new folder, or repeat the "
            "command that it was made with"
        )
