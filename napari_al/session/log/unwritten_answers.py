"""Files for answers that could not be written to the log before a session closed.

A file lies in the project, or in the user's home if the project cannot be written. The next session
moves its answers to the log and deletes it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError
from napari_al.session.log.serialisation import MAX_PAYLOAD, decode_answer, encode_answer
from napari_al.writing import WriteError, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.methods.queries import Answer

MAX_FILE: Final = 8 * MAX_PAYLOAD


def write_rescue(project: Path, entries: Sequence[tuple[Answer, ...]]) -> Path:
    """Write answers, those that one undo takes back together; return where they are.

    Raises
    ------
    WriteError
        They could be written nowhere.
    """
    data = json.dumps([[encode_answer(answer) for answer in entry] for entry in entries]).encode()
    reasons = []
    for folder, prefix in _places(project):
        path = folder / f"{prefix}{uuid.uuid4().hex}.json"
        try:
            write_atomic(path, data)
        except WriteError as error:
            reasons.append(str(error))
        else:
            return path
    raise WriteError(" ".join(reasons))


def rescue_files(project: Path) -> list[Path]:
    """Return the files there are for a project."""
    return [
        path for folder, prefix in _places(project) for path in sorted(folder.glob(f"{prefix}*"))
    ]


def read_rescue(path: Path) -> list[tuple[Answer, ...]]:
    """Read a file of ``write_rescue``.

    Raises
    ------
    InputError
        It is no such file, or damaged.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise InputError("it is too large")
        entries = [tuple(map(decode_answer, entry)) for entry in json.loads(path.read_bytes())]
        if not all(entries):
            raise InputError("an entry is empty")
    except (InputError, OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} holds answers that were not written in time, and cannot be read ({error}); "
            "put a copy of it back or delete it"
        ) from error
    return entries


def _places(project: Path) -> tuple[tuple[Path, str], ...]:
    """Folders to try in turn, and how a file's name begins there."""
    own = hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:16]
    return (project, "unsaved-"), (Path.home() / "napari-al" / "unsaved", f"{own}-")
