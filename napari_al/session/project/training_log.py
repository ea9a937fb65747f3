"""``training.jsonl``: one line per reported training step."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.writing import cannot_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

END_BYTES = 2**18
"""Of the file, in which its last training is looked for: some 1,500 steps."""


def append_record(path: Path, record: Mapping[str, object]) -> None:
    """Add a line: what can be written as JSON; no number becomes null."""
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    line = json.dumps(finite).encode("utf-8") + b"\n"
    try:
        with path.open("ab+") as file:
            if file.tell() and _last_byte(file) != b"\n":  # a crash cut the last line short
                line = b"\n" + line
            file.write(line)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read the lines, oldest first; those cut short by a crash are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    return _records(lines)


def read_last_training(path: Path) -> list[dict[str, Any]]:
    """Read the steps of the training that was logged last, oldest first; [] where there is none.

    Each has ``round``, ``stage``, ``step``, ``n_steps`` (int) and ``loss`` (float or None). Only
    the end of the file is read, so that it takes the same time after many rounds; the first steps
    of a training that is longer are missing.
    """
    steps = [record for record in _read_end(path) if _is_step(record)]
    if not steps:
        return []
    newest = steps[-1]["round"], steps[-1]["stage"]
    begin = len(steps)
    while begin and (steps[begin - 1]["round"], steps[begin - 1]["stage"]) == newest:
        begin -= 1
        if steps[begin]["step"] == 1:
            break
    return steps[begin:]


def _read_end(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - END_BYTES))
            lines = file.read(END_BYTES).splitlines()
    except OSError:
        return []
    return _records(lines)


def _is_step(record: dict[str, Any]) -> bool:
    whole = all(type(record.get(name)) is int for name in ("round", "stage", "step", "n_steps"))
    return whole and (record.get("loss") is None or type(record["loss"]) is float)


def _records(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Parse lines; those that are no record, or cut short, are left out."""
    records = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records


def _last_byte(file: IO[bytes]) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
