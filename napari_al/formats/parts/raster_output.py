"""Predictions of any size, written by parts: TIFF of class ids, OME-Zarr of probabilities."""

from __future__ import annotations

import math
import shutil
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.formats.parts.axis_steps import ome_steps
from napari_al.formats.parts.rasters import zarr_for
from napari_al.writing import new_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.parts.axis_steps import Step
    from napari_al.formats.tiff import Planes

    WriteProbs = Callable[[slice, slice, tuple[int, ...], NDArray[np.float32]], None]
    ExtraTag = tuple[int, int | str, int, Any, bool]

MAX_CLASSIC_TIFF_BYTES = 2**31
"""Of pixels; more are written as BigTIFF."""


def write_class_tiff(
    path: Path,
    squares: Iterable[NDArray[Any]],
    shape: tuple[int, int],
    side: int,
    palette: NDArray[np.uint8] | None,
    *,
    planes: Planes = (),
    steps: Mapping[str, Step] = MappingProxyType({}),
    extratags: Sequence[ExtraTag] = (),
    dtype: type[np.unsignedinteger[Any]] = np.uint8,
) -> None:
    """Write a map of ids that comes in parts as a compressed TIFF, as a whole or not at all.

    A stack becomes an OME-TIFF.

    Parameters
    ----------
    path : Path
    squares : iterable of arrays
        Parts of ``side`` pixels, cut off at the right and lower edge, plane by plane, row by row.
    shape : (int, int)
        H, W of the whole.
    side : int
        A multiple of 16.
    palette : (256, 3) uint8 or None
        Colours that viewers show for the ids; None: grey.
    planes : tuple of (str, int)
        Axes of a stack and their lengths.
    steps : mapping of str to Step
        Along the axes of a stack, where they are known.
    extratags : sequence of tuple
        Further tags, as tifffile takes them.
    dtype : type
        Of the ids; classes have uint8.
    """
    import tifffile

    lengths = [length for _, length in planes]
    axes = "".join(axis.upper() for axis, _ in planes) + "YX"
    colours: dict[str, Any] = {"photometric": "minisblack"}
    if palette is not None:
        colormap = palette.T.astype(np.uint16) * 257
        colours = {"photometric": "palette", "colormap": colormap}
    if planes:
        colours |= {"ome": True, "metadata": {"axes": axes, **ome_steps(steps)}}
    with new_file(path, durable=False) as part:
        tifffile.imwrite(
            part,
            squares,
            shape=(*lengths, *shape),
            dtype=dtype,
            tile=(side, side),
            compression="zlib",
            bigtiff=math.prod((*lengths, *shape)) * np.dtype(dtype).itemsize
            > MAX_CLASSIC_TIFF_BYTES,
            extratags=extratags,
            **colours,
        )


@contextmanager
def new_ome_zarr(
    path: Path,
    shape: tuple[int, int],
    side: int,
    classes: Sequence[ClassInfo],
    *,
    planes: Planes = (),
    steps: Mapping[str, Step],
) -> Iterator[WriteProbs]:
    """Make an OME-Zarr (format 2, which most programs read) of float32 channels, part by part.

    Each channel is the probability of a class, in its name and colour; a stack has its axes, and
    ``steps`` are those along them, where they are known.

    Yields ``write(rows, cols, plane, part)``, which takes (K, h, w) parts; those that begin and end
    at multiples of ``side`` do not meet. The folder is there once all is written.

    Raises
    ------
    InputError
        Without zarr.
    """
    zarr = zarr_for(path)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    lengths = {**dict(planes), "c": len(classes), "y": shape[0], "x": shape[1]}
    names = [axis for axis in "tczyx" if axis in lengths]  # NGFF's order
    chunk = {"y": min(side, shape[0]), "x": min(side, shape[1])}
    try:
        group = zarr.open_group(part, mode="w", zarr_format=2)
        stored = group.create_array(
            "0",
            shape=tuple(lengths[axis] for axis in names),
            chunks=tuple(chunk.get(axis, 1) for axis in names),
            dtype="float32",
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        group.attrs["multiscales"] = [{"version": "0.4", **ngff_axes_of(names, steps)}]
        window = {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0}
        channels = [
            {"label": c.name, "color": c.color[1:].upper(), "active": True, "window": window}
            for c in classes
        ]
        group.attrs["omero"] = {"version": "0.4", "channels": channels}

        def write(
            rows: slice, cols: slice, plane: tuple[int, ...], values: NDArray[np.float32]
        ) -> None:
            of_plane = dict(zip((axis for axis, _ in planes), plane, strict=True))
            at = {"c": slice(None), "y": rows, "x": cols, **of_plane}
            stored[tuple(at[axis] for axis in names)] = values

        yield write
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def ngff_axes_of(names: Sequence[str], steps: Mapping[str, Step]) -> dict[str, Any]:
    """Return what OME-Zarr says of axes and of the one array along them, "0"."""
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": name, "type": kinds.get(name, "space")} for name in names]
    for axis in axes:
        unit = steps[axis["name"]].unit if axis["name"] in steps else None
        axis.update({} if unit is None else {"unit": unit})
    scale = [steps[name].size if name in steps else 1.0 for name in names]
    transforms = [{"type": "scale", "scale": scale}]
    return {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
