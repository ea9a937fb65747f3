"""Projects that the user has opened, newest first, in a file beside napari's own settings."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_al.writing import WriteError, write_atomic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_al.session.session import Session

FILE = "napari-al-recent.json"
N_KEPT = 8
THUMBNAIL_PX = 128
"""Longer side of a thumbnail, at most."""


@dataclass(frozen=True, slots=True)
class RecentProject:
    """A project as it was left.

    Attributes
    ----------
    path : str
    n_answers : int or None
        None: not known.
    opened : str
        When, ISO 8601; "" = not known.
    is_there : bool
        Whether it is still a project.
    """

    path: str
    n_answers: int | None
    opened: str
    is_there: bool = True


def recent_file() -> Path | None:
    """Return where the list is kept; None where napari keeps no settings."""
    from napari.settings import get_settings

    kept = get_settings().config_path
    return None if kept is None else Path(kept).parent / FILE


def recent_projects() -> list[RecentProject]:
    """Return the projects opened last, newest first; those that are gone say so."""
    return [replace(p, is_there=(Path(p.path) / "config.json").is_file()) for p in _read()]


def remember(session: Session) -> None:
    """Put an open project first in the list; a list that cannot be written is left as it is."""
    if session.project.read_only:
        return
    path = str(session.project.path.resolve())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    newest = RecentProject(path, len(session.answers()), now)
    _write([newest, *(p for p in _read() if p.path != path)][:N_KEPT])


def forget(path: str) -> None:
    """Take a project out of the list; the project stays."""
    _write([p for p in _read() if p.path != path])


def thumbnail_file(project: Path) -> Path:
    """Return where a project's thumbnail is, if it has one."""
    return project / "cache" / "thumbnail.png"


def write_thumbnail(session: Session, picture: NDArray[np.uint8]) -> None:
    """Keep a small copy of a picture, (H, W) or (H, W, 3), as the project's thumbnail."""
    from napari_al.formats.images import write_png

    step = -(-max(picture.shape[:2]) // THUMBNAIL_PX)
    path = thumbnail_file(session.project.path)
    with suppress(OSError, WriteError):
        path.parent.mkdir(exist_ok=True)
        write_png(path, picture[::step, ::step].copy())


def _read() -> list[RecentProject]:
    file = recent_file()
    if file is None:
        return []
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return [
            RecentProject(str(row["path"]), int(row["n_answers"]), str(row["opened"]))
            for row in rows
        ]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _write(projects: list[RecentProject]) -> None:
    file = recent_file()
    if file is None:
        return
    rows = [asdict(project) for project in projects]
    for row in rows:
        del row["is_there"]
    with suppress(WriteError):
        write_atomic(file, json.dumps(rows, indent=1).encode(), durable=False)
