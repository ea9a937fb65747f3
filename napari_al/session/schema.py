"""The annotation log as an SQLite file: its tables, opening it in each way, older versions.

Tables refuse UPDATE and DELETE, and a file is only used if they are as this module makes them, so
that what was once answered can be trusted to be there.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_al.errors import InputError
from napari_al.session.payload import MAX_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Generator

VERSION: Final = 2
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

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises of a damaged file; the second where its own message quotes the damage."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        _TABLES["classes"],
        _TRIGGERS["classes_no_update"],
        _TRIGGERS["classes_no_delete"],
    )
}
"""Statements that make a file of version ``key`` one of version ``key + 1``."""


@dataclass(frozen=True)
class Opened:
    """A connection, and the copy it reads from where the original's folder is read-only."""

    connection: sqlite3.Connection
    copy: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Let go of both; may be called again."""
        self.connection.close()
        if self.copy is not None:
            self.copy.cleanup()


class _Older(Exception):
    """The file is of an older version."""


class StoredEntry(NamedTuple):
    """An entry as it stands in the file: not yet looked at.

    ``answers`` are (id, replaces, payload), ``corrections`` and ``classes`` payloads.
    """

    seq: int
    kind: str
    target: int | None
    answers: list[tuple[str, str | None, str]]
    corrections: list[str]
    classes: str | None


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
        if not _names(connection):
            _create(connection)
        _migrate(connection, path)
        _check_schema(connection, path)
        connection.execute("BEGIN IMMEDIATE")  # a file that cannot be written shows here
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
    """Open a log for reading, also beside a writer and in a folder that cannot be written."""
    if not path.is_file():
        raise InputError(f"{path}: there is no annotation log here")
    try:
        return _checked(Opened(_connect(path.resolve().as_uri() + "?mode=ro")), path)
    except (sqlite3.OperationalError, _Older):
        # SQLite needs a -shm file beside a WAL file, also to read; here it cannot make one. An
        # older version is brought up to date in the copy alone.
        return _open_copy(path)


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


def unreadable(path: Path, error: Exception) -> InputError:
    """Say what is wrong with a file that SQLite refuses."""
    return InputError(
        f"{path} cannot be read as an annotation log ({error}); if it is not one, name another "
        "project folder, and if it is damaged, put a copy of it back"
    )


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MAX_PAYLOAD)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _names(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.values():
        connection.execute(statement)
    connection.execute("INSERT INTO facts VALUES ('version', ?)", (str(VERSION),))
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
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
    version = _version(connection, path)
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


def _unwritable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be opened for writing ({error}); make room on the disk, make the folder "
        "writable, or open the project for reading only"
    )


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    found = {name: sql for _, name, sql in _names(connection)}
    changed = [name for name, sql in _SCHEMA.items() if found.get(name) != sql]
    foreign = [name for kind, name, _ in _names(connection) if kind == "trigger"]
    changed += [name for name in foreign if name not in _SCHEMA]
    if changed:
        raise InputError(
            f"{path}: its tables were changed ({', '.join(changed)}), so its answers cannot be "
            "trusted; put a copy of it back"
        )


def _checked(opened: Opened, path: Path) -> Opened:
    """Return it if it can be read here and is a log of this version."""
    try:
        if not _names(opened.connection):
            raise InputError(f"{path} is empty; open it once to write")
        if _version(opened.connection, path) < VERSION:
            raise _Older
        _check_schema(opened.connection, path)
    except (sqlite3.OperationalError, _Older):
        opened.close()
        raise
    except UNREADABLE as error:
        opened.close()
        raise unreadable(path, error) from error
    except BaseException:
        opened.close()
        raise
    return opened


def _open_copy(path: Path) -> Opened:
    folder = tempfile.TemporaryDirectory(prefix="napari-al-", ignore_cleanup_errors=True)
    try:
        copy = Path(folder.name) / path.name
        wal = path.with_name(path.name + "-wal")
        for source in (path, wal):
            if source.exists():
                shutil.copyfile(source, copy.with_name(source.name))
        connection = _connect(copy.as_uri())
        _migrate(connection, copy)
        return _checked(Opened(connection, folder), path)
    except UNREADABLE as error:
        folder.cleanup()
        raise unreadable(path, error) from error
    except OSError as error:
        folder.cleanup()
        raise InputError(f"{path} cannot be read ({error})") from error
    except BaseException:
        folder.cleanup()
        raise
