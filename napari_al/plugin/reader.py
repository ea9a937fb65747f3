"""napari's reader: a project or data folder dropped on a viewer opens in the annotation dock.

Where the inspect dock is open, projects open in that instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[tuple[None]]] | None:
    """Return a reader of project and data folders (or of a project's log); None for others."""
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    return _read if _folder_of(path) is not None else None


def _folder_of(path: str) -> Path | None:
    folder = Path(path)
    if folder.name == "annotations.sqlite":
        folder = folder.parent
    is_ours = (folder / "annotations.sqlite").is_file() or (folder / "classes.json").is_file()
    return folder if is_ours else None


def _read(path: str | Sequence[str]) -> list[tuple[None]]:
    from napari import current_viewer

    from napari_al.plugin.app import open_dock
    from napari_al.plugin.inspect.dock import find_inspect_dock, inspect

    folder = _folder_of(path if isinstance(path, str) else path[0])
    viewer = current_viewer()
    if folder is None or viewer is None:
        return [(None,)]
    if (folder / "config.json").is_file() and find_inspect_dock(viewer) is not None:
        inspect(viewer, folder)
    else:
        open_dock(viewer).opening.look(folder)
    return [(None,)]  # tells napari that the path was read, without layers
