"""Predictions of any size, written by parts: TIFF of class ids, OME-Zarr of probabilities."""

from __future__ import annotations

import math
import shutil
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.formats.parts.pixel_size import ome_steps
from napari_al.formats.parts.rasters import zarr_for
from napari_al.writing import new_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.parts.pixel_size import PixelSize, Step
    from napari_al.formats.tiff import Planes

    ExtraTag = tuple[int, int | str, int, Any, bool]

MAX_CLASSIC_TIFF_BYTES = 2**31
"""Of pixels; more are written as BigTIFF."""


def write_class_tiff(
    path: Path,
    squares: Iterable[NDArray[np.uint8]],
    shape: tuple[int, int],
    side: int,
    palette: NDArray[np.uint8] | None,
    *,
    planes: Planes = (),
    steps: Mapping[str, Step] = MappingProxyType({}),
    extratags: Sequence[ExtraTag] = (),
) -> None:
    """Write a map of class ids that comes in parts as a compressed TIFF, as a whole or not at all.

    A stack becomes an OME-TIFF.

    Parameters
    ----------
    path : Path
    squares : iterable of uint8 arrays
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
            dtype=np.uint8,
            tile=(side, side),
            compression="zlib",
            bigtiff=math.prod((*lengths, *shape)) > MAX_CLASSIC_TIFF_BYTES,
            extratags=extratags,
            **colours,
        )


@contextmanager
def new_ome_zarr(
    path: Path,
    shape: tuple[int, int, int],
    side: int,
    classes: Sequence[ClassInfo],
    size: PixelSize | None,
) -> Iterator[Callable[[slice, slice, NDArray[np.float32]], None]]:
    """Make an OME-Zarr (format 2, which most programs read) of float32 channels, part by part.

    Each channel is the probability of a class, in its name and colour; ``size`` is that of a pixel.

    Yields ``write(rows, cols, part)``, which takes (K, h, w) parts; those that begin and end at
    multiples of ``side`` do not meet. The folder is there once all is written.

    Raises
    ------
    InputError
        Without zarr.
    """
    zarr = zarr_for(path)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        group = zarr.open_group(part, mode="w", zarr_format=2)
        chunks = (1, min(side, shape[1]), min(side, shape[2]))
        stored = group.create_array(
            "0",
            shape=shape,
            chunks=chunks,
            dtype="float32",
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        axes = [{"name": "c", "type": "channel"}]
        unit = {} if size is None or size.unit is None else {"unit": size.unit}
        axes += [{"name": name, "type": "space", **unit} for name in "yx"]
        y, x = (1.0, 1.0) if size is None else size[:2]
        scale = {"type": "scale", "scale": [1.0, y, x]}
        datasets = [{"path": "0", "coordinateTransformations": [scale]}]
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
        window = {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0}
        channels = [
            {"label": c.name, "color": c.color[1:].upper(), "active": True, "window": window}
            for c in classes
        ]
        group.attrs["omero"] = {"version": "0.4", "channels": channels}

        def write(rows: slice, cols: slice, values: NDArray[np.float32]) -> None:
            stored[:, rows, cols] = values

        yield write
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
