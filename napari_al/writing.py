"""Files that are there as a whole or not at all, whatever ends the program that writes them.

A file is written beside its place, under a name that this module knows again, and then renamed.
"""

from __future__ import annotations

import errno
import os
import re
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WHAT_TO_DO: Final = {
    errno.EEXIST: "there is a file where a folder is needed",
    errno.ENOTDIR: "there is a file where a folder is needed",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_ON_WINDOWS: Final = os.name == "nt"
_WAITS_S: Final = (0.01, 0.05, 0.2, 0.5)
_LEFT_OVER: Final = re.compile(r"\.[0-9a-f]{32}\.tmp")


class WriteError(InputError):
    """A file could not be written; the one that was there before is as it was."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that whoever reads it, now or after a crash, sees the old or the new one.

    Parameters
    ----------
    path : Path
        Its folder is made where it is missing.
    data : bytes
    durable : bool
        Wait until it is on disk. False for what can be made again.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written.
    """
    with new_file(path, durable=durable) as part:
        part.write_bytes(data)


@contextmanager
def new_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Do what ``write_atomic`` does for whatever is written meanwhile to the path that it yields.

    If that fails, what is at ``path`` stays.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.tmp")  # short: names may be at the limit
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            _sync(part, os.O_RDWR)
        _replace(part, path)
        if durable and not _ON_WINDOWS:  # there folders cannot be synced
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> WriteError:
    """Say why a file cannot be written."""
    usual = "make room on the disk or make the folder writable"
    if _ON_WINDOWS and isinstance(error, PermissionError):
        usual = "close it where it is open, or make the folder writable"
    what_to_do = _WHAT_TO_DO.get(error.errno or 0, usual)
    return WriteError(f"{path} could not be written ({error.strerror or error}); {what_to_do}")


def is_left_over(path: Path) -> bool:
    """Whether a file is what a killed program left half written."""
    return _LEFT_OVER.fullmatch(path.name) is not None


def remove_left_overs(folder: Path) -> None:
    """Delete what killed programs left half written in a folder that nobody else writes to."""
    for path in folder.glob(".*.tmp"):
        if is_left_over(path):
            with suppress(OSError):
                path.unlink()


def _replace(part: Path, path: Path) -> None:
    """Put a file in the place of another.

    Windows refuses that while somebody reads the other one: another thread, a virus scanner.
    """
    for wait_s in _WAITS_S if _ON_WINDOWS else ():
        with suppress(PermissionError):
            part.replace(path)
            return
        time.sleep(wait_s)
    part.replace(path)


def _sync(path: Path, flags: int) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
