"""The annotation log as tables of SQLite: making them, reading them, older versions.

Tables refuse UPDATE and DELETE, and a file is only used if they are as this module makes them, so
that what was once answered can be trusted to be there.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

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

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        _TABLES["classes"],
        _TRIGGERS["classes_no_update"],
        _TRIGGERS["classes_no_delete"],
    )
}
"""Statements that make a file of version ``key`` one of version ``key + 1``."""


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


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there is not a single table."""
    return not _names(connection)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new log."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.values():
        connection.execute(statement)
    connection.execute("INSERT INTO facts VALUES ('version', ?)", (str(VERSION),))
    connection.execute("COMMIT")


def version_of(connection: sqlite3.Connection, path: Path) -> int:
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


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file up to date; a copy of what it was stays beside it."""
    version = version_of(connection, path)
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


def check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Find out whether the tables are as this version makes them."""
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
