"""A second data folder over the same images: links, not copies."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_al.formats.remote import fetch, fetch_folder

if TYPE_CHECKING:
    from pathlib import Path


def link_file(source: Path, place: Path) -> None:
    """Have a file or a Zarr folder at another place, too: a link, or a copy without links.

    What is at the place already stays.
    """
    if place.exists():
        return
    is_folder = source.is_dir()
    (fetch_folder if is_folder else fetch)(source)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # a link to nothing
    for link in (os.symlink, os.link):
        with suppress(OSError):  # not allowed on Windows; not on this file system
            link(source.resolve(), place)
            return
    (shutil.copytree if is_folder else shutil.copyfile)(source, place)
