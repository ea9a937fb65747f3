"""JSON files that the window keeps in data folders and projects: reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from napari_al.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

Content = TypeVar("Content")


def read_json(path: Path, adapter: TypeAdapter[Content], words: str) -> Content | None:
    """Return what a file holds; None without one.

    Parameters
    ----------
    path : Path
    adapter : TypeAdapter
        Validates it.
    words : str
        What follows from a file that cannot be used, and what was expected.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    try:
        return adapter.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be used, so {words}. Put a copy of it back, or delete it."
        ) from error
