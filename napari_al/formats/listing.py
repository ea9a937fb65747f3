"""Which files a data folder has, by split and name. Looks at names only, opens nothing.

Links are followed. Hidden files are passed over; files with other suffixes are counted and named.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_al.errors import InputError
from napari_al.formats.images import ID_SUFFIXES
from napari_al.formats.parts.rasters import RASTER_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Split = Literal["train", "val"]
Kind = Literal["labels", "initial_labels", "masks"]
KINDS: tuple[Kind, ...] = ("labels", "initial_labels", "masks")

_NO_PICTURES = {"classes.json", "placement.json", "planes.json", "thumbs.db", "desktop.ini"}
"""Files that lie beside images and that nobody takes for one, in lower case."""
_NO_FOLDERS = {"@eadir", "__macosx"}
"""Folders in which other programs keep thumbnails, in lower case."""
MAX_NAME_BYTES = 255 - len(".safetensors")
"""Of an image's name: disks take 255 bytes, and a project writes files named after its images."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|^/|^[A-Za-z]:|(^|/)(\.{0,2})(/|$)")


@dataclass(frozen=True, slots=True)
class Listed:
    """One image and the files of the same name beside it."""

    split: Split
    name: str
    image: Path
    maps: dict[Kind, Path]


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a data folder, and what else lies among them, a sentence each."""

    images: list[Listed]
    notes: tuple[str, ...]


def list_images(path: Path, *, skip_broken: bool = False) -> Listing:
    """Return the images of a data folder, train before val, by name.

    With ``skip_broken``, files whose names cannot be used are left out, with a note.

    Raises
    ------
    InputError
        If there are none, if two have the same name, or if files meant for them are named unlike
        any.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}; expected a folder with train/images or images.")
    list_split = partial(_list_split, skip_broken=skip_broken)
    if (path / "train").is_dir():
        found = list_split("train", path / "train", path / "train" / "images")
        if (path / "val" / "images").is_dir():
            val = list_split("val", path / "val", path / "val" / "images")
            found = Listing(found.images + val.images, found.notes + val.notes)
    else:
        images = path / "images"
        found = list_split("train", path, images if images.is_dir() else path)
    n_unlabelled = sum(i.split == "val" and "labels" not in i.maps for i in found.images)
    if not n_unlabelled:
        return found
    note = f"{n_unlabelled} image{'s' if n_unlabelled > 1 else ''} in {path / 'val'} without labels"
    return Listing(found.images, (*found.notes, f"{note}: not used to validate."))


def files_below(
    folder: Path, suffixes: tuple[str, ...], notes: list[str] | None = None
) -> dict[str, Path]:
    """Return the files below a folder by name: their path without suffix; none without a folder.

    As images are looked for: hidden files are passed over, and ``notes``, if given, gets one that
    counts files with other suffixes.

    Raises
    ------
    InputError
        If two have the same name, or one has a name that cannot be kept.
    """
    return _find(
        folder, suffixes, deep=True, notes=[] if notes is None else notes, skip_broken=False
    )


def spelling(name: str) -> str:
    """Return a name with its accents stored in one way: systems store them differently."""
    return unicodedata.normalize("NFC", name)


def is_image_name(name: str) -> bool:
    """Whether it is a plain relative path of text: not absolute, no ``..``, no backslash."""
    return 0 < len(name) <= 1024 and not _UNSAFE.search(name)


@lru_cache(maxsize=4096)
def check_image_name(name: str) -> None:
    """Raise InputError for an image name that ``is_image_name`` does not accept."""
    if not is_image_name(name):
        raise InputError(
            f"image name: a relative path with '/' and no '..' was expected, got {name[:200]!r}"
        )


def _list_split(split: Split, root: Path, images: Path, *, skip_broken: bool) -> Listing:
    notes = [
        f"{folder} is not read; its name has to be {folder.name.lower()!r}."
        for folder in _folders_in(root)
        if folder.name != folder.name.lower() and folder.name.lower() in ("images", *KINDS)
    ]
    find = partial(_find, notes=notes, skip_broken=skip_broken)
    found = find(images, RASTER_SUFFIXES, deep=images != root)
    if not found:
        suffixes = ", ".join(RASTER_SUFFIXES)
        others = f" ({' '.join(notes)})" if notes else ""
        raise InputError(f"{images} has no images; expected files that end in {suffixes}.{others}")
    maps = {
        kind: _named_as(found, find(root / kind, (*ID_SUFFIXES, ".zarr"), deep=True))
        for kind in KINDS
    }
    for kind, files in maps.items():
        if files and not files.keys() & found.keys() and not skip_broken:
            raise InputError(
                f"No file in {root / kind} is named like an image: {min(files)!r} is there, "
                f"and an image is called {min(found)!r}. Give both the same name."
            )
        without = len(files.keys() - found.keys())
        if without:
            file = "file has" if without == 1 else "files have"
            notes.append(f"{without} {file} no image of the same name in {root / kind}.")
    listed = [
        Listed(
            split, name, found[name], {k: files[name] for k, files in maps.items() if name in files}
        )
        for name in sorted(found)
    ]
    return Listing(listed, tuple(notes))


def _folders_in(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk a folder as ``os.walk`` does, links followed (but not in circles), nothing hidden.

    Folders of thumbnails are passed over, too.
    """
    seen: set[str] = set()  # links may lead back to a folder above
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_cannot_list):
        seen.add(os.path.realpath(here))
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and name.lower() not in _NO_FOLDERS
            and os.path.realpath(Path(here, name)) not in seen
        ]
        yield Path(here), folders, files


def _find(
    folder: Path, suffixes: tuple[str, ...], *, deep: bool, notes: list[str], skip_broken: bool
) -> dict[str, Path]:
    """Return the files with these suffixes, by name: the path below `folder` without suffix.

    Adds a note that counts the others.
    """
    faults: list[str] = []
    unusable: set[str] = set()
    found: dict[str, Path] = {}
    others: Counter[str] = Counter()
    if not folder.exists():
        return found
    for here, folders, files in walk(folder):
        pictures = [name for name in folders if name.lower().endswith(".zarr")]
        folders[:] = [name for name in folders if deep and name not in pictures]
        prefix = "" if here == folder else f"{here.relative_to(folder).as_posix()}/"
        for file in sorted((*files, *pictures)):
            if file.startswith(".") or file.lower() in _NO_PICTURES:
                continue
            path = here / file
            if path.suffix.lower() not in suffixes:
                others[path.suffix.lower() or "nameless"] += 1
                continue
            name = prefix + path.stem
            fault = _fault(path, name, found)
            if fault:
                faults.append(fault)
                unusable.add(name)
            found[name] = path
    if faults and not skip_broken:
        raise InputError(faults[0])
    notes += faults
    found = {name: path for name, path in found.items() if name not in unusable}
    if others:
        kinds = ", ".join(f"{n} {suffix}" for suffix, n in sorted(others.items()))
        verb = "file is" if others.total() == 1 else "files are"
        notes.append(f"{kinds} {verb} not read in {folder}; {', '.join(suffixes)} are.")
    return found


def _named_as(images: Collection[str], files: dict[str, Path]) -> dict[str, Path]:
    """Give files the names of the images that are written alike: with accents apart, or in one."""
    if not files.keys() - set(images):
        return files
    spelt = {spelling(name): name for name in images}
    return {
        name if name in images else spelt.get(spelling(name), name): path
        for name, path in files.items()
    }


def _fault(path: Path, name: str, found: dict[str, Path]) -> str:
    """Say why a file cannot have its name; "" if it can."""
    if len(os.fsencode(path.stem)) > MAX_NAME_BYTES:
        return (
            f"{path} has a name of over {MAX_NAME_BYTES} bytes, which leaves no room for the "
            "suffixes of a project's files; shorten it."
        )
    if not is_image_name(name):
        return (
            f"{str(path)!r} has letters in its name that cannot be kept (a backslash, a line "
            "break, C:, or no UTF-8); rename it."
        )
    if name in found:
        return f"{found[name]} and {path.name} have the same name; rename or remove one."
    return ""


def _cannot_list(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed: {error.strerror}.") from error
