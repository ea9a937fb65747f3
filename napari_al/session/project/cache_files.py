"""File formats of ``cache/``: class maps and id maps as PNG, arrays with a CRC-32 as safetensors.

A file that is missing, cut short or damaged reads as None and is computed again: the cache may be
deleted at any time. Neither format can run code or unpack to more than its header says.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.formats.images import MAX_PIXELS
from napari_al.writing import new_file, write_atomic

_PNG_SIZE = struct.Struct(">8s8xII")
"""Signature, width and height at the beginning of a PNG file."""
_LENGTH = struct.Struct("<Q")
"""Of the header of a safetensors file, at its beginning."""
_KINDS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""Names that safetensors has for dtypes."""
MAPPED_BYTES = 2**26
"""A larger file is mapped, not read: it may not fit into the memory."""
_ON_WINDOWS = os.name == "nt"
"""There a file that is mapped cannot be replaced."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def write_class_map(path: Path, class_map: NDArray[np.uint8], *, durable: bool = False) -> None:
    """Write a (H, W) uint8 array; ``durable`` (here and below) if it cannot be made again."""
    _write(path, class_map, durable)


def read_class_map(path: Path) -> NDArray[np.uint8] | None:
    """Read a (H, W) uint8 array, None if there is none."""
    picture = _read(path)
    fits = picture is not None and picture.ndim == 2 and picture.dtype == np.uint8
    return picture if fits else None


def write_ids(path: Path, ids: NDArray[np.int32], *, durable: bool = False) -> None:
    """Write a (H, W) int32 array of ids, -1 = none.

    In 16 bits, as id + 1, where they fit (that reads in half the time); else the four bytes of an
    id are the PNG's four channels.
    """
    if ids.min(initial=0) >= -1 and ids.max(initial=0) < 2**16 - 1:
        _write(path, (ids + 1).astype(np.uint16), durable)
    else:
        pixels = np.ascontiguousarray(ids, "<i4").view(np.uint8).reshape(*ids.shape, 4)
        _write(path, pixels, durable)


def read_ids(path: Path) -> NDArray[np.int32] | None:
    """Read a (H, W) int32 array, None if there is none."""
    picture = _read(path)
    if picture is None:
        return None
    if picture.dtype == np.uint16 and picture.ndim == 2:
        return picture.astype(np.int32) - 1
    if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 4:
        return np.ascontiguousarray(picture).view("<i4")[..., 0].astype(np.int32)
    return None


def read_size(path: Path) -> tuple[int, int] | None:
    """Read the (height, width) of a picture from its first bytes, None if there is none."""
    try:
        with path.open("rb") as file:
            signature, width, height = _PNG_SIZE.unpack(file.read(_PNG_SIZE.size))
    except (OSError, struct.error):
        return None
    return (height, width) if signature == b"\x89PNG\r\n\x1a\n" else None


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], names: Sequence[str], *, key: str = "names"
) -> None:
    """Write named arrays, and a list of names under ``key`` in the metadata.

    Array by array: those that are mapped from a file need not fit into the memory, which
    safetensors' own writer would copy them to.
    """
    tensors = {
        name: np.ascontiguousarray(array)
        for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    }
    described: dict[str, Any] = {
        "__metadata__": {key: json.dumps(names), "crc32": _checksum(names, tensors)}
    }
    end = 0
    for name, tensor in tensors.items():
        place = [end, end := end + tensor.nbytes]
        kind = _KINDS[tensor.dtype.name]
        described[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": place}
    header = json.dumps(described).encode()
    header += b" " * (-len(header) % 8)  # so that numbers lie where a processor reads them well
    with new_file(path, durable=False) as part, part.open("wb") as file:
        file.write(_LENGTH.pack(len(header)) + header)
        for tensor in tensors.values():
            file.write(tensor.data)


def read_arrays(
    path: Path, *, key: str = "names"
) -> tuple[dict[str, NDArray[Any]], tuple[Any, ...]] | None:
    """Read what ``write_arrays`` wrote; None where it is missing, damaged or torn.

    Arrays of a file over ``MAPPED_BYTES`` are mapped (not on Windows): they cannot be written to.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:  # checks the header
            metadata = file.metadata() or {}
            names = tuple(json.loads(metadata[key]))
            if path.stat().st_size > MAPPED_BYTES and not _ON_WINDOWS:
                arrays = _mapped(path)
            else:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        is_whole = metadata["crc32"] == _checksum(names, arrays)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return (arrays, names) if is_whole else None


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """Map the arrays of a file whose header has been checked."""
    dtypes = {kind: np.dtype(name) for name, kind in _KINDS.items()}
    with path.open("rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        described = json.loads(file.read(length))
    start = _LENGTH.size + length
    return {
        name: np.memmap(
            path, dtypes[tensor["dtype"]], "r", start + tensor["data_offsets"][0],
            tuple(tensor["shape"]),
        )
        if min(tensor["shape"])
        else np.empty(tensor["shape"], dtypes[tensor["dtype"]])
        for name, tensor in described.items()
        if name != "__metadata__"
    }  # fmt: skip


def _checksum(names: Sequence[str], tensors: Mapping[str, NDArray[Any]]) -> str:
    """CRC-32 of names and tensors; detects torn writes."""
    crc = zlib.crc32(json.dumps(names).encode())
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].data, zlib.crc32(name.encode(), crc))
    return str(crc)


def _write(path: Path, picture: NDArray[np.uint8 | np.uint16], durable: bool) -> None:
    from napari_al.core.opencv import cv2

    _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    write_atomic(path, data.tobytes(), durable=durable)


def _read(path: Path) -> NDArray[Any] | None:
    from napari_al.core.opencv import cv2

    height, width = read_size(path) or (0, 0)
    if not 0 < height * width <= MAX_PIXELS:  # a few bytes can claim to be gigabytes
        return None
    try:
        picture: NDArray[Any] | None = cv2.imdecode(
            np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except (OSError, cv2.error):
        return None
    return picture
