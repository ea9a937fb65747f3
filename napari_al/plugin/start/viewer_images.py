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
    from napari_al.formats.image_rules import ImageRules


_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever their suffix."""


@dataclass(frozen=True, slots=True)
class ViewerImages:
    """The images of a viewer that can be annotated: planes of its visible image layers.

    Attributes
    ----------
    layers : tuple of napari.layers.Image
    placement : Placement
        Of the first layer.
    can_be_channels : bool
        Whether the layers may be channels of the same images: grey, of one shape, at one place.
    are_channels : bool
        Whether they are taken as such.
    label_layers : tuple of napari.layers.Labels
        Those that are visible.
    """

    layers: tuple[Layer, ...]
    placement: Placement
    can_be_channels: bool = False
    are_channels: bool = False
    label_layers: tuple[Layer, ...] = ()

    @property
    def n_planes(self) -> int:
        """Number of images."""
        layers = self.layers[:1] if self.are_channels else self.layers
        return sum(int(np.prod(_stack_shape(layer), dtype=int)) for layer in layers)

    def rules(self, given: ImageRules) -> ImageRules:
        """Return the given rules with the contrast that the layers are shown with."""
        if self.layers[0].rgb:
            return given
        shown = self.layers if self.are_channels else self.layers[:1]
        limits = tuple(
            (float(low), float(high)) for low, high in (la.contrast_limits for la in shown)
        )
        return given.model_copy(update={"ranges": limits, "gamma": float(shown[0].gamma)})


def images_of(viewer: Viewer) -> ViewerImages:
    """Return the viewer's visible images, except those of an open session.

    Grey layers of the same shape and place that are blended additively, as napari opens the
    channels of a file, are taken as channels.

    Raises
    ------
    InputError
        If there are none, or some are in colour and others are not.
    """
    from napari.layers import Image, Labels

    seen = [la for la in viewer.layers if la.visible and "napari_al" not in la.metadata]
    layers = tuple(la for la in seen if isinstance(getattr(la, "__wrapped__", la), Image))
    labels = tuple(la for la in seen if isinstance(getattr(la, "__wrapped__", la), Labels))
    if not layers:
        raise InputError("There is no visible image in the viewer; open one, or choose a folder.")
    grey = next((layer.name for layer in layers if not layer.rgb), None)
    colored = next((layer.name for layer in layers if layer.rgb), None)
    if grey is not None and colored is not None:
        raise InputError(
            f"The image {colored!r} is in colour and {grey!r} is grey, and one model cannot learn "
            "from both; remove or hide one kind in the layer list."
        )
    can_be = len(layers) > 1 and grey is not None and len({_geometry(la) for la in layers}) == 1
    additive = all(layer.blending == "additive" for layer in layers[1:])
    return ViewerImages(layers, Placement.of(layers[0]), can_be, can_be and additive, labels)


def _geometry(layer: Any) -> tuple[object, ...]:
    """Return shape and place of a layer: those of channels agree."""
    data = layer.data[0] if layer.multiscale else layer.data
    affine = np.round(layer.affine.affine_matrix, 9).tobytes()
    return (tuple(data.shape), str(data.dtype), tuple(layer.scale), tuple(layer.translate), affine)


def write_data(path: Path, images: ViewerImages, classes: Sequence[ClassInfo]) -> None:
    """Write every plane as ``images/NAME.tif`` (axes of a stack as numbers), classes, placement.

    Pixels keep their type and values where a data folder can hold them: 8 and 16 bit and float as
    they are, others as float32.
    """
    import tifffile

    folder = path / "images"
    folder.mkdir(parents=True)
    is_rgb = images.layers[0].rgb
    for name, pixels in planes(images):
        file = io.BytesIO()
        if images.are_channels:
            axes = {"axes": "CYX"}
            tifffile.imwrite(
                file, np.moveaxis(pixels, 2, 0), photometric="minisblack", metadata=axes
            )
        else:
            tifffile.imwrite(file, pixels, photometric="rgb" if is_rgb else "minisblack")
        write_atomic(folder / f"{name}.tif", file.getvalue())
    write_atomic(path / "classes.json", classes_to_json(classes).encode("utf-8"))
    write_placement(path, images.placement)


def planes(images: ViewerImages) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield a name and the pixels, (H, W) or (H, W, C), of every plane."""
    for name, layers, index in places(images):
        yield name, _plane(layers, index)


def plane_at(images: ViewerImages, position: int) -> NDArray[Any]:
    """Return the pixels of one plane as (H, W, C)."""
    _, layers, index = next(islice(places(images), position, None))
    pixels = _plane(layers, index)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def places(images: ViewerImages) -> Iterator[tuple[str, tuple[Any, ...], tuple[int, ...]]]:
    """Yield name, layers (several: channels) and index of every plane."""
    taken: set[str] = set()  # in lower case: for some disks "A" and "a" are the same
    of_images = [images.layers] if images.are_channels else [(layer,) for layer in images.layers]
    for layers in of_images:
        base = _file_name(layers[0].name)
        while base.casefold() in taken:
            base += "_"
        taken.add(base.casefold())
        shape = _stack_shape(layers[0])
        for index in np.ndindex(*shape):
            numbers = zip(index, shape, strict=True)
            yield base + "".join(f"_{i:0{len(str(n - 1))}d}" for i, n in numbers), layers, index


def _file_name(layer_name: str) -> str:
    """Return a name that every system can give a file."""
    base = re.sub(r"[^\w.-]+", "_", layer_name).strip("._") or "image"
    return f"image_{base}" if _DEVICE.fullmatch(base.partition(".")[0]) else base


def _plane(layers: tuple[Any, ...], index: tuple[int, ...]) -> NDArray[Any]:
    channels = [_pixels(layer, index) for layer in layers]
    return channels[0] if len(channels) == 1 else np.stack(channels, axis=2)


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
