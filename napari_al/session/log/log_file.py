"""The annotation log as an SQLite file: tables, opening it to write or to read, older versions.

Tables refuse UPDATE and DELETE, and a file is used only if its tables are as this module makes
them, so that no answer can be changed or lost unnoticed. What SQLite raises leaves this module and
``log.py`` only as an ``InputError``.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_al.errors import InputError
from napari_al.session.log.serialisation import MAX_PAYLOAD
from napari_al.session.project.lock import LockedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import PurePath

VERSION: Final = 3
"""Raised when an older program could not read the file any more."""

_FACTS: Final = "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"

_TABLES: Final = {
    "entries": (
        "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, target INTEGER, "
        "time TEXT NOT NULL) STRICT"
    ),
    "answers": (
        "CREATE TABLE answers (row INTEGER PRIMARY KEY, entry INTEGER NOT NULL, "
        "id TEXT NOT NULL UNIQUE, replaces TEXT, payload TEXT NOT NULL) STRICT"
    ),
    "corrections": (
        "CREATE TABLE corrections (row INTEGER PRIMARY KEY, entry INTEGER NOT NULL, "
        "payload TEXT NOT NULL) STRICT"
    ),
    "classes": ("CREATE TABLE classes (entry INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT"),
}

_TRIGGERS: Final = {
    f"{table}_no_{action}": (
        f"CREATE TRIGGER {table}_no_{action} BEFORE {action.upper()} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
    )
    for table in _TABLES
    for action in ("update", "delete")
}

_SCHEMA: Final = {"facts": _FACTS, **_TABLES, **_TRIGGERS}

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        _TABLES["classes"],
        _TRIGGERS["classes_no_update"],
        _TRIGGERS["classes_no_delete"],
    ),
    2: (),  # records of queries name their source and the model's prediction
}
"""Statements that make a file of version ``key`` one of version ``key + 1``."""

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises of a damaged file; the second where its own message quotes the damage."""

N_COPIES: Final = 20
"""Times that a log is copied before it stayed the same meanwhile."""

_State = tuple[tuple[int, int] | None, ...]
"""Time of the last change and size of a log's files; None of one that is not there."""


@dataclass(frozen=True)
class Opened:
    """A connection; if it is to a copy, with the state of the original when it was copied."""

    connection: sqlite3.Connection
    seen: _State | None = None

    def is_outdated(self, path: Path) -> bool:
        """Whether it reads a copy and the original has changed."""
        now = _state(path)
        return self.seen is not None and now[0] is not None and now != self.seen

    def close(self) -> None:
        """Close it; may be called again."""
        self.connection.close()


class _Older(Exception):
    """The file is of an older version."""


def open_to_write(path: Path) -> Opened:
    """Open a log for reading and writing; make it where there is none."""
    try:
        connection = _connect(uri_of(path.resolve()) + "?mode=rwc")
    except sqlite3.Error as error:
        raise _unwritable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = 1")
        if _is_empty(connection):
            _create(connection)
        _migrate(connection, path)
        _check_tables(connection, path)
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


def open_read_only(path: Path, *, elsewhere: bool = False) -> Opened:
    """Open a log for reading, also beside a writer and in a folder that cannot be written.

    Nothing is left beside it: SQLite makes a -wal and a -shm file where there are none, also to
    read, and those of another user would keep the log's own from writing. So a log that nobody has
    open is read from a copy, and so are one of an older version, and one that is written
    ``elsewhere``, on another machine: those do not share the memory that the -shm file stands for.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no annotation log here")
    try:
        if not elsewhere and all(file.exists() for file in _files(path)):
            # an error: they were left by a killed program of another user
            with suppress(sqlite3.OperationalError, _Older):
                return _checked(Opened(_connect(uri_of(path.resolve()) + "?mode=ro")), path)
        return _open_copy(path)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error about a file that SQLite refuses."""
    return InputError(
        f"{path} cannot be read as an annotation log ({error}); if it is not one, name another "
        "project folder, and if it is damaged, put a copy of it back"
    )


class StoredEntry(NamedTuple):
    """An entry as stored in the file, not yet checked.

    ``answers`` are (id, replaces, payload), ``corrections`` and ``classes`` payloads.
    """

    seq: int
    kind: str
    target: int | None
    answers: list[tuple[str, str | None, str]]
    corrections: list[str]
    classes: str | None


def read_after(
    connection: sqlite3.Connection, seq: int, n_answers: int, n_corrections: int
) -> Generator[StoredEntry]:
    """Read the entries after ``seq``, to which so many answers and corrections belong.

    All are of one moment, whatever a writer does meanwhile.

    Raises
    ------
    ValueError
        At the end, if there are answers or corrections that belong to no entry.
    """
    connection.execute("BEGIN")
    try:
        answers = connection.execute(
            "SELECT entry, id, replaces, payload FROM answers WHERE row > ? ORDER BY row",
            (n_answers,),
        )
        corrections = connection.execute(
            "SELECT entry, payload FROM corrections WHERE row > ? ORDER BY row", (n_corrections,)
        )
        answer, correction = answers.fetchone(), corrections.fetchone()
        for number, kind, target, classes in connection.execute(
            "SELECT seq, kind, target, payload FROM entries LEFT JOIN classes ON entry = seq "
            "WHERE seq > ? ORDER BY seq",
            (seq,),
        ):
            entry = StoredEntry(number, kind, target, [], [], classes)
            while answer is not None and answer[0] == number:
                entry.answers.append(answer[1:])
                answer = answers.fetchone()
            while correction is not None and correction[0] == number:
                entry.corrections.append(correction[1])
                correction = corrections.fetchone()
            yield entry
        if answer is not None or correction is not None:
            raise ValueError("answers or corrections of no entry")
    finally:
        connection.execute("COMMIT")


def uri_of(path: PurePath) -> str:
    """Return the URI of an absolute path as SQLite reads it.

    The server of a Windows share is no part of the path in other programs' URIs; SQLite accepts
    none there.
    """
    uri = path.as_uri()
    return uri if uri.startswith("file:///") else uri.replace("file://", "file:////", 1)


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
        on_disk = _checked(Opened(_connect(uri_of(copy))), path, copy)
        with closing(on_disk.connection):
            memory = _connect("file::memory:")
            on_disk.connection.backup(memory)
    return Opened(memory, seen)


def _checked(opened: Opened, path: Path, copy: Path | None = None) -> Opened:
    """Return it if it is a log of this version, or a copy that could be brought up to it."""
    with ExitStack() as stack:
        stack.callback(opened.close)
        if _is_empty(opened.connection):
            raise InputError(f"{path} is empty; open it once to write")
        if _version_of(opened.connection, path) < VERSION:
            if copy is None:
                raise _Older
            _migrate(opened.connection, copy)
        _check_tables(opened.connection, path)
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
    """Return the log file, its write-ahead log and the index of that."""
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _state(path: Path) -> _State:
    """What changes when somebody opens the log to write, or writes to it."""
    found: list[tuple[int, int] | None] = [None, None, None]
    for number, file in enumerate(_files(path)):
        with suppress(OSError):
            status = file.stat()
            found[number] = (status.st_mtime_ns, status.st_size)
    return tuple(found)


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there are no tables."""
    return not _names(connection)


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new log."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.values():
        connection.execute(statement)
    connection.execute("INSERT INTO facts VALUES ('version', ?)", (str(VERSION),))
    connection.execute("COMMIT")


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a log, if it is one that can be read or brought up to date."""
    try:
        rows = connection.execute("SELECT value FROM facts WHERE key = 'version'").fetchall()
        version = int(rows[0][0])
    except (sqlite3.OperationalError, IndexError, ValueError) as error:
        raise InputError(
            f"{path} is no annotation log of napari-al; name another project folder"
        ) from error
    if version not in (*MIGRATIONS, VERSION):
        known = ", ".join(map(str, (*MIGRATIONS, VERSION)))
        raise InputError(
            f"{path} is of version {version}, this napari-al reads {known}; update napari-al"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file up to date; a copy of what it was stays beside it."""
    version = _version_of(connection, path)
    if version == VERSION:
        return
    copy = path.with_name(f"{path.stem}.v{version}{path.suffix}")
    copy.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.execute("BEGIN IMMEDIATE")
    for older in range(version, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(statement)
    connection.execute("UPDATE facts SET value = ? WHERE key = 'version'", (str(VERSION),))
    connection.execute("COMMIT")


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raise InputError unless the tables are as this version makes them."""
    found = {name: sql for _, name, sql in _names(connection)}
    changed = [name for name, sql in _SCHEMA.items() if found.get(name) != sql]
    foreign = [name for kind, name, _ in _names(connection) if kind == "trigger"]
    changed += [name for name in foreign if name not in _SCHEMA]
    if changed:
        raise InputError(
            f"{path}: its tables were changed ({', '.join(changed)}), so its answers cannot be "
            "trusted; put a copy of it back"
        )


def _names(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
