"""``training.jsonl``: a line for each step of a training that was reported."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.writing import cannot_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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
