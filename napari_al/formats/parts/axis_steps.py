"""How large a pixel of a picture is, and how far planes of a stack are apart, as its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_al.formats.images import DECODER_ERRORS
from napari_al.formats.parts.rasters import is_zarr, ngff_axes, ngff_picture
from napari_al.formats.tiff import TIFF_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNITS = {
    "µm": "micrometer", "um": "micrometer", "micron": "micrometer", "microns": "micrometer",
    "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter", "Å": "angstrom",
    "pm": "picometer", "inch": "inch", "in": "inch", "s": "second", "ms": "millisecond",
    "min": "minute", "h": "hour",
}  # fmt: skip
"""NGFF's names of the units that TIFF files name."""
_SHORT = {name: short for short, name in reversed(_UNITS.items())}


class Step(NamedTuple):
    """From a pixel or plane to the next: in a unit by NGFF's name (None: not named)."""

    size: float
    unit: str | None


def axis_steps(path: Path) -> dict[str, Step]:
    """Return the steps along the axes ``y``, ``x``, ``z`` and ``t`` that a file names.

    Of OME-Zarr, OME-TIFF and ImageJ's TIFF; none where a file is damaged or says nothing. The
    resolution of other TIFFs is that of a printer, as a rule, and is passed over.
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            found = _steps_of_tiff(path)
        else:
            found = _steps_of_zarr(path) if is_zarr(path) else {}
    except (*DECODER_ERRORS, LookupError, TypeError):  # damaged: the picture is worth more
        return {}
    return {axis: step for axis, step in found.items() if 0 < step.size < np.inf}


def ome_steps(steps: Mapping[str, Step]) -> dict[str, Any]:
    """Return what tifffile writes into an OME-TIFF of steps along axes, in units that OME has."""
    found: dict[str, Any] = {}
    for axis, (size, unit) in steps.items():
        name = "TimeIncrement" if axis == "t" else f"PhysicalSize{axis.upper()}"
        if unit in _SHORT:
            found |= {name: size, f"{name}Unit": _SHORT[unit]}
    return found


def _steps_of_tiff(path: Path) -> dict[str, Step]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if file.ome_metadata:
            images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
            pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
            names = {axis: f"PhysicalSize{axis.upper()}" for axis in "yxz"}
            steps = {
                axis: Step(float(pixels[name]), _unit(str(pixels.get(f"{name}Unit", "µm"))))
                for axis, name in names.items()
                if name in pixels
            }
            if "TimeIncrement" in pixels:
                unit = _unit(str(pixels.get("TimeIncrementUnit", "s")))
                steps["t"] = Step(float(pixels["TimeIncrement"]), unit)
            return steps
        metadata = file.imagej_metadata or {}
        steps = {}
        if "finterval" in metadata:
            steps["t"] = Step(float(metadata["finterval"]), "second")
        unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ")
        if unit in _UNITS:
            per_x, per_y = file.pages.first.resolution
            steps |= {"y": Step(1 / per_y, _UNITS[unit]), "x": Step(1 / per_x, _UNITS[unit])}
            if "spacing" in metadata:
                steps["z"] = Step(float(metadata["spacing"]), _UNITS[unit])
        return steps


def _unit(name: str) -> str:
    return _UNITS.get(name, name)


def _steps_of_zarr(path: Path) -> dict[str, Step]:
    group, picture = ngff_picture(path)
    names = ngff_axes(picture, group[picture["datasets"][0]["path"]].ndim)
    units = [axis.get("unit") for axis in picture["axes"]]
    scale = np.ones(len(names))
    for holder in (picture["datasets"][0], picture):
        for transform in holder.get("coordinateTransformations", ()):
            if transform["type"] == "scale":
                scale *= transform["scale"]
    steps = zip(names, scale.tolist(), units, strict=True)
    return {name: Step(step, unit) for name, step, unit in steps if name in "yxzt"}
