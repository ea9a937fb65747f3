"""Images that are open in the viewer, written as a data folder."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.classes import classes_to_json
from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.start.placement_file import write_placement
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo


@dataclass(frozen=True, slots=True)
class ViewerImages:
    """The images of a viewer that can be annotated: planes of its image layers.

    Attributes
    ----------
    layers : tuple of napari.layers.Image
    n_planes : int
    placement : Placement
        Of the first layer.
    """

    layers: tuple[Layer, ...]
    n_planes: int
    placement: Placement


def images_of(viewer: Viewer) -> ViewerImages:
    """Return the viewer's images, except those of an open session.

    Raises
    ------
    InputError
        If there are none, or some are in colour and others are not.
    """
    from napari.layers import Image

    layers = tuple(
        layer
        for layer in viewer.layers
        if isinstance(getattr(layer, "__wrapped__", layer), Image)
        and "napari_al" not in layer.metadata
    )
    if not layers:
        raise InputError("There is no image in the viewer; open one, or choose a folder.")
    grey = next((layer.name for layer in layers if not layer.rgb), None)
    colored = next((layer.name for layer in layers if layer.rgb), None)
    if grey is not None and colored is not None:
        raise InputError(
            f"The image {colored!r} is in colour and {grey!r} is grey, and one model cannot learn "
            "from both; remove one kind from the layer list."
        )
    n_planes = sum(int(np.prod(_stack_shape(layer), dtype=int)) for layer in layers)
    return ViewerImages(layers, n_planes, Placement.of(layers[0]))


def write_data(path: Path, images: ViewerImages, classes: Sequence[ClassInfo]) -> None:
    """Write every plane as ``images/NAME.tif`` (axes of a stack as numbers), classes, placement.

    Pixels keep their type and values where a data folder can hold them: 8 and 16 bit and float as
    they are, others as float32.
    """
    import tifffile

    folder = path / "images"
    folder.mkdir(parents=True)
    for name, pixels in planes(images):
        rgb = pixels.ndim == 3
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric="rgb" if rgb else "minisblack")
        write_atomic(folder / f"{name}.tif", file.getvalue())
    write_atomic(path / "classes.json", classes_to_json(classes).encode("utf-8"))
    write_placement(path, images.placement)


def planes(images: ViewerImages) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield a name and the pixels, (H, W) or (H, W, 3), of every plane."""
    for name, layer, index in _places(images):
        yield name, _pixels(layer, index)


def plane_at(images: ViewerImages, position: int) -> NDArray[Any]:
    """Return the pixels of one plane as (H, W, C)."""
    _, layer, index = next(islice(_places(images), position, None))
    pixels = _pixels(layer, index)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _places(images: ViewerImages) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield name, layer and index of every plane."""
    taken: set[str] = set()
    for layer in images.layers:
        base = re.sub(r"[^\w.-]+", "_", layer.name).strip("._") or "image"
        while base in taken:
            base += "_"
        taken.add(base)
        shape = _stack_shape(layer)
        for index in np.ndindex(*shape):
            numbers = zip(index, shape, strict=True)
            yield base + "".join(f"_{i:0{len(str(n - 1))}d}" for i, n in numbers), layer, index


def _pixels(layer: Any, index: tuple[int, ...]) -> NDArray[Any]:
    data = layer.data[0] if layer.multiscale else layer.data
    return _storable(np.asarray(data[index]), rgb=layer.rgb)


def _stack_shape(layer: Any) -> tuple[int, ...]:
    """Return the sizes of the axes before the last two (three, in colour)."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape[: data.ndim - (3 if layer.rgb else 2)])


def _storable(pixels: NDArray[Any], *, rgb: bool) -> NDArray[Any]:
    if rgb:
        pixels = pixels[..., :3]
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    return pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
