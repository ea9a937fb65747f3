"""The annotation log as a file: opened to write, or to read beside whoever writes.

Nothing that SQLite says of a file gets out of here and of ``log.py`` but as an ``InputError``.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari_al.errors import InputError
from napari_al.session.log import schema
from napari_al.session.log.serialisation import MAX_PAYLOAD
from napari_al.session.project.lock import LockedError

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises of a damaged file; the second where its own message quotes the damage."""

N_COPIES: Final = 20
"""Times that a log is copied before it stayed the same meanwhile."""

_State = tuple[tuple[int, int] | None, ...]
"""Time of the last change and size of a log's files; None of one that is not there."""


@dataclass(frozen=True)
class Opened:
    """A connection; where it is to a copy, what the original then was like."""

    connection: sqlite3.Connection
    seen: _State | None = None

    def is_outdated(self, path: Path) -> bool:
        """Whether it reads a copy and the original has changed."""
        now = _state(path)
        return self.seen is not None and now[0] is not None and now != self.seen

    def close(self) -> None:
        """Let go of it; may be called again."""
        self.connection.close()


class _Older(Exception):
    """The file is of an older version."""


def open_to_write(path: Path) -> Opened:
    """Open a log for reading and writing; make it where there is none."""
    try:
        connection = _connect(path.resolve().as_uri() + "?mode=rwc")
    except sqlite3.Error as error:
        raise _unwritable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = 1")
        if schema.is_empty(connection):
            schema.create(connection)
        schema.migrate(connection, path)
        schema.check_tables(connection, path)
        connection.execute("BEGIN IMMEDIATE")  # a file that cannot be written shows here:
        connection.execute("UPDATE facts SET value = value")
        connection.execute("ROLLBACK")
    except UNREADABLE as error:
        connection.close()
        is_about_the_disk = isinstance(error, sqlite3.OperationalError)
        raise (_unwritable if is_about_the_disk else unreadable)(path, error) from error
    except BaseException:
        connection.close()
        raise
    return Opened(connection)


def open_read_only(path: Path) -> Opened:
    """Open a log for reading, also beside a writer and in a folder that cannot be written.

    Nothing is left beside it: SQLite makes a -wal and a -shm file where there are none, also to
    read, and those of another user would keep the log's own from writing. So a log that nobody has
    open is read from a copy, and so is one of an older version.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no annotation log here")
    try:
        if all(file.exists() for file in _files(path)):
            # an error: they were left by a killed program of another user
            with suppress(sqlite3.OperationalError, _Older):
                return _checked(Opened(_connect(path.resolve().as_uri() + "?mode=ro")), path)
        return _open_copy(path)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def unreadable(path: Path, error: Exception) -> InputError:
    """Say what is wrong with a file that SQLite refuses."""
    return InputError(
        f"{path} cannot be read as an annotation log ({error}); if it is not one, name another "
        "project folder, and if it is damaged, put a copy of it back"
    )


# ---- inside


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MAX_PAYLOAD)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _unwritable(path: Path, error: Exception) -> LockedError:
    return LockedError(
        f"{path} cannot be opened for writing ({error}); make room on the disk, make the folder "
        "writable, or open the project for reading only"
    )


def _open_copy(path: Path) -> Opened:
    """Read the log into memory, by way of a copy that is gone again when this returns."""
    with tempfile.TemporaryDirectory(prefix="napari-al-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / path.name
        seen = _copy(path, copy)
        on_disk = _checked(Opened(_connect(copy.as_uri())), path, copy)
        with closing(on_disk.connection):
            memory = _connect("file::memory:")
            on_disk.connection.backup(memory)
    return Opened(memory, seen)


def _checked(opened: Opened, path: Path, copy: Path | None = None) -> Opened:
    """Return it if it is a log of this version, or a copy that could be brought up to it."""
    with ExitStack() as stack:
        stack.callback(opened.close)
        if schema.is_empty(opened.connection):
            raise InputError(f"{path} is empty; open it once to write")
        if schema.version_of(opened.connection, path) < schema.VERSION:
            if copy is None:
                raise _Older
            schema.migrate(opened.connection, copy)
        schema.check_tables(opened.connection, path)
        stack.pop_all()
    return opened


def _copy(path: Path, copy: Path) -> _State:
    """Copy a log as it is at one moment; return what its files then were like."""
    for _ in range(N_COPIES):
        seen = _state(path)
        for source in _files(path)[:2]:
            place = copy.with_name(source.name)
            place.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(source, place)
        if _state(path) == seen:
            return seen
    raise OSError("it changes all the time; try again")


def _files(path: Path) -> tuple[Path, Path, Path]:
    """Return the log, what was written to it last, and who reads what of that."""
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _state(path: Path) -> _State:
    """What changes when somebody opens the log to write, or writes to it."""
    found: list[tuple[int, int] | None] = [None, None, None]
    for number, file in enumerate(_files(path)):
        with suppress(OSError):
            status = file.stat()
            found[number] = (status.st_mtime_ns, status.st_size)
    return tuple(found)
