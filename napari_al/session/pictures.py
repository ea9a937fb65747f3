"""Derived pictures in ``cache/``: class maps and id maps as PNG.

A file that cannot be read counts as missing and is made again: the cache may be deleted or cut
short at any time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from napari_al.session.project import write_atomic

_PNG_SIZE = struct.Struct(">8s8xII")
"""Signature, width and height at the beginning of a PNG file."""

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_class_map(path: Path, class_map: NDArray[np.uint8]) -> None:
    """Write a (H, W) uint8 array."""
    _write(path, class_map)


def read_class_map(path: Path) -> NDArray[np.uint8] | None:
    """Read a (H, W) uint8 array, None if there is none."""
    picture = _read(path)
    return picture if picture is not None and picture.ndim == 2 else None


def write_ids(path: Path, ids: NDArray[np.int32]) -> None:
    """Write a (H, W) int32 array; the four bytes of an id are the PNG's four channels."""
    _write(path, np.ascontiguousarray(ids, "<i4").view(np.uint8).reshape(*ids.shape, 4))


def read_ids(path: Path) -> NDArray[np.int32] | None:
    """Read a (H, W) int32 array, None if there is none."""
    picture = _read(path)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        return None
    return np.ascontiguousarray(picture).view("<i4")[..., 0].astype(np.int32)


def read_size(path: Path) -> tuple[int, int] | None:
    """Read the (height, width) of a picture from its first bytes, None if there is none."""
    try:
        with path.open("rb") as file:
            signature, width, height = _PNG_SIZE.unpack(file.read(_PNG_SIZE.size))
    except (OSError, struct.error):
        return None
    return (height, width) if signature == b"\x89PNG\r\n\x1a\n" else None


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    from napari_al.core.opencv import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    write_atomic(path, data.tobytes(), durable=False)


def _read(path: Path) -> NDArray[np.uint8] | None:
    from napari_al.core.opencv import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    if data.size == 0:
        return None
    picture: NDArray[np.uint8] | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return picture
