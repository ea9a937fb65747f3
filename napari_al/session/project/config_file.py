"""``config.json`` as a file: written whole, read with care, brought up to date."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_al.errors import InputError
from napari_al.session.project.config import VERSION, ProjectConfig
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""What makes a ``config.json`` of version ``key`` one of version ``key + 1``."""


def write_config(path: Path, config: ProjectConfig) -> None:
    """Replace the file."""
    write_atomic(path, config.model_dump_json(indent=1).encode("utf-8"))


def read_config(path: Path, *, read_only: bool) -> ProjectConfig:
    """Read the file; one of an older version is brought up to date, unless that may not be.

    A copy of the older one stays beside it.

    Raises
    ------
    InputError
        If it is missing, damaged, of a newer version, or has a value that cannot be used.
    """
    try:
        text = path.read_bytes()
        fields = json.loads(text)
        version = fields["version"]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged or no config of napari-al; put a copy of it back"
        ) from error
    if type(version) is not int or version not in (*MIGRATIONS, VERSION):
        known = ", ".join(map(str, (*MIGRATIONS, VERSION)))
        raise InputError(
            f"{path} is of version {str(version)[:20]}, this napari-al reads {known}; update "
            "napari-al"
        )
    for older in range(version, VERSION):
        fields = {**MIGRATIONS[older](fields), "version": older + 1}
    config = _checked(fields, path)
    if version < VERSION and not read_only:
        write_atomic(path.with_name(f"config.v{version}.json"), text)
        write_config(path, config)
    return config


def _checked(fields: dict[str, Any], path: Path) -> ProjectConfig:
    try:
        return ProjectConfig.model_validate(fields)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} "
            f"(got {str(problem['input'])[:60]!r})"
            for problem in error.errors(include_url=False)[:3]
        ]
        raise InputError(f"{path}: {'; '.join(problems)}") from error
