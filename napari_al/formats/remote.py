"""Data folders at an address that fsspec reads: s3://, gcs://, https://, file://, memory://, ...

Below a local folder in the user's cache each file has a placeholder, empty, of the size that it has
there and with a time that stands for its version. A file is fetched when it is read first. So
whoever reads some images fetches these, and what looks at sizes and times only fetches nothing. The
local folder may be deleted at any time. Nothing is looked up but addresses that a person has named.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.writing import new_file, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]+(.+)", re.DOTALL)
_ABSOLUTE = ("file", "local", "memory")
"""Schemes without a host or a bucket."""
_MARK = ".address.json"
_FETCHED = 0o400
"""Mode of a file that is there; placeholders may be written to."""
_MAY_BE_WRITTEN = 0o200


def address_in(path: Path | str) -> str | None:
    """Return the address that was given as a path, which loses a slash; None for a path."""
    found = _ADDRESS.fullmatch(str(path))
    if found is None:
        return None
    root = "/" if found[1] in _ABSOLUTE else ""
    return f"{found[1]}://{root}{found[2]}".replace("\\", "/")


def address_of(folder: Path) -> str | None:
    """Return the address that a local folder stands for, if it does."""
    mirror = _mirror_of(folder)
    return None if mirror is None or mirror != str(folder) else _address(mirror)


def was_named(address: str) -> bool:
    """Whether somebody has opened the address on this machine before."""
    return (_place(address) / _MARK).exists()


@lru_cache(maxsize=16)  # looked through once by a process: its images stay what they are
def local_folder(address: str) -> Path:
    """Return the folder that stands for an address, with a placeholder for each of its files.

    Raises
    ------
    InputError
        fsspec, or what it needs for this address, is not installed, or nothing can be listed there.
    """
    files, root = _file_system(address)
    try:
        listed = files.find(root, detail=True)
    except Exception as error:
        raise InputError(f"{address} cannot be listed ({_words(error)})") from error
    if not listed:
        raise InputError(f"{address} has no files; name a data folder")
    place = _place(address)
    place.mkdir(parents=True, exist_ok=True)
    names = {}
    for name, info in listed.items():
        below = name[len(root) :].strip("/")
        if ".." not in below.split("/"):
            names[below] = info
    for below, info in names.items():
        _put_placeholder(place / below, info)
    for path in place.rglob("*"):
        is_mark = path.name == _MARK
        if path.is_file() and not is_mark and path.relative_to(place).as_posix() not in names:
            path.unlink()
    write_atomic(place / _MARK, json.dumps({"address": address}).encode())
    return place


def fetch(path: Path) -> None:
    """Have the file that a placeholder stands for; does nothing for any other file.

    Raises
    ------
    InputError
        It cannot be read, or is another one by now.
    """
    mirror = _mirror_of(path)
    if mirror is None:
        return
    status = path.stat() if path.exists() else None
    if status is None or not status.st_mode & _MAY_BE_WRITTEN:
        return
    (files, root), name = _file_system(_address(mirror)), path.relative_to(mirror).as_posix()
    there = f"{_address(mirror)}/{name}"
    with new_file(path, durable=False) as part:
        try:
            files.get_file(f"{root.rstrip('/')}/{name}", str(part))
        except Exception as error:
            raise InputError(f"{there} cannot be read ({_words(error)})") from error
        if part.stat().st_size != status.st_size:
            raise InputError(f"{there} has changed since it was listed; open it again")
        os.utime(part, ns=(status.st_mtime_ns, status.st_mtime_ns))
        part.chmod(_FETCHED)


def fetch_folder(path: Path) -> None:
    """Have all files that placeholders in a folder stand for."""
    if _mirror_of(path) is not None:
        for file in path.rglob("*"):
            if file.is_file():
                fetch(file)


def _put_placeholder(path: Path, info: Mapping[str, Any]) -> None:
    """Make a placeholder, unless there is one of this version or the file itself."""
    digest = hashlib.sha256(repr(sorted(info.items(), key=str)).encode()).digest()
    seconds, size = int.from_bytes(digest[:4], "big") // 2, int(info.get("size") or 0)
    with suppress(OSError):
        status = path.stat()
        if (status.st_size, int(status.st_mtime)) == (size, seconds):
            return
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (seconds, seconds))


def _file_system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise InputError(f"{address} is read by fsspec: pip install 'napari-al[remote]'") from error
    try:
        files, root = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(f"{address}: {error}") from error
    return files, str(root)


def _base() -> Path:
    return _base_in(os.environ.get("XDG_CACHE_HOME", ""))


@lru_cache(maxsize=4)
def _base_in(cache: str) -> Path:
    return Path(cache or Path.home() / ".cache").resolve() / "napari-al" / "remote"


def _place(address: str) -> Path:
    return _base() / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]


def _mirror_of(path: Path) -> str | None:
    """Return the local folder of an address that a path lies in."""
    name, base = str(path), str(_base()) + os.sep
    if not name.startswith(base):
        return None
    return base + name[len(base) :].partition(os.sep)[0]


@lru_cache(maxsize=16)
def _address(mirror: str) -> str:
    try:
        return str(json.loads((Path(mirror) / _MARK).read_bytes())["address"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{mirror} is damaged; delete it and open its address again") from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
