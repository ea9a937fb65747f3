"""Label images of a data folder: maps of class ids and object ids, checked against the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.images import Header, nodata_of_ids, read_ids
from napari_al.formats.parts.rasters import open_raster, read_whole_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.listing import Kind
    from napari_al.formats.parts.picture_parts import Part


def read_class_map(
    path: Path,
    image: Header,
    n_classes: int,
    table: Mapping[int, int],
    part: Part | None = None,
) -> NDArray[np.uint8]:
    """Read a map of class ids of an image's size.

    Parameters
    ----------
    path : Path
    image : Header
        Of the image that it belongs to.
    n_classes : int
    table : mapping of int to int
        Class ids (or `IGNORE`) of stored values; others stay, but that of pixels without data.
    part : Part, optional
        The image is this part of a picture, and the map as large as that.

    Returns
    -------
    (H, W) uint8
        Below ``n_classes``, or `IGNORE`.

    Raises
    ------
    InputError
        If it cannot be read, has another size, or holds a value that is no class.
    """
    stored = _read_sized(path, image, part)
    ids = mapped(stored, {**without_data(path), **table})
    wrong = ids[(ids < 0) | ((ids >= n_classes) & (ids != IGNORE))]
    if wrong.size:
        raise InputError(
            f"{path} has the class id {wrong[0]}; the classes are 0 to {n_classes - 1}, and "
            f"{IGNORE} where there is none. What other values in labels mean is said with "
            f"--set 'images.label_ids={{\"{wrong[0]}\": 0}}'."
        )
    return ids.astype(np.uint8, copy=False)


def without_data(path: Path) -> dict[int, int]:
    """Return `IGNORE` for the value of pixels without data, by GDAL's tag; {} without one."""
    nodata = nodata_of_ids(path)
    return {} if nodata is None or nodata == IGNORE else {nodata: IGNORE}


def read_ids_with_data(path: Path) -> NDArray[Any]:
    """Return the ids in a file; those of pixels without data are `IGNORE`."""
    return mapped(read_ids(path), without_data(path))


def mapped(ids: NDArray[Any], table: Mapping[int, int]) -> NDArray[Any]:
    """Return ids in which the keys of a table have become its values."""
    if not table:
        return ids
    out = ids.astype(np.int64)
    for stored, meant in table.items():
        out[ids == stored] = meant
    return out


def read_masks(path: Path, image: Header, part: Part | None = None) -> NDArray[np.int32]:
    """Read a map of object ids (0 = none) of an image's size, or the part of it of a picture's."""
    ids = _read_sized(path, image, part)
    if ids.size and (ids.min() < 0 or ids.max() > np.iinfo(np.int32).max):
        raise InputError(f"{path} has object ids outside 0 to {np.iinfo(np.int32).max}.")
    return ids.astype(np.int32, copy=False)


def check_size(path: Path, found: Header, image: Header) -> None:
    """Raise an InputError unless a map has the size of its image."""
    lengths = ([length for _, length in header.planes] for header in (found, image))
    if found.shape != image.shape or len({*map(tuple, lengths)}) > 1:
        raise InputError(
            f"{path} is {_size(found)} and its image is {_size(image)}; they must be the same size."
        )


def doubt_about_labels(
    path: Path,
    kind: Kind,
    classes: Sequence[ClassInfo],
    values: frozenset[int],
    table: Mapping[int, int],
) -> str:
    """Say that labels hold only 0 and 255, as masks of other programs do; "" if they do not.

    255 would be ignored, and with it the object that was drawn; unless the table says that it is
    meant so.
    """
    is_meant = kind == "labels" and IGNORE in table
    if values != {0, IGNORE} or len(classes) < 2 or is_meant:
        return ""
    name, what = classes[1].name, kind.replace("_", " ")
    way = f"use --set 'images.label_ids={{\"{IGNORE}\": 1}}'"
    if kind != "labels":
        way = f"write them anew with napari-al import index … --map {IGNORE}={name!r} --as {kind}"
    return (
        f"The {what} of {path} hold only 0 and {IGNORE}, and {IGNORE} means 'no label': if it "
        f"stands for {name!r}, {way}"
    )


def classes_without_labels(classes: Sequence[ClassInfo], values: frozenset[int]) -> Iterator[str]:
    """Say which classes no label has."""
    missing = [c.name for c in classes if c.merged_into is None and c.id not in values]
    if missing:
        yield f"No label has the class{'es' if len(missing) > 1 else ''} {', '.join(missing)}."


def _size(header: Header) -> str:
    planes = "".join(f", {axis}: {length}" for axis, length in header.planes)
    return f"{header.width} x {header.height} pixels{planes}"


def _read_sized(path: Path, image: Header, part: Part | None) -> NDArray[Any]:
    if part is not None:
        with open_raster(path, "planes", ids=True) as raster:
            shape, planes = part.picture_shape, part.planes
            check_size(
                path, raster.header, replace(image, height=shape[0], width=shape[1], planes=planes)
            )
            return raster.read(part.rows, part.cols, part.plane)[..., 0]
    ids = read_whole_ids(path)
    check_size(path, Header(ids.shape[0], ids.shape[1], 1, ids.dtype.name), image)
    return ids
