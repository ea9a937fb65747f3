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
from napari_al.plugin.layers.placement import Placement, Placements, world_matrix
from napari_al.plugin.layers.placement_file import write_placements
from napari_al.plugin.layers.plane_slider import Plane, nearest_plane
from napari_al.plugin.layers.planes_file import write_planes
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo
    from napari_al.formats.image_rules import ImageRules


MAX_CHANNELS = 8
"""More planes on an axis that has no name are taken as a stack without asking."""
_CHANNELS = ("c", "ch", "channel", "channels")
_STACKS = ("z", "t", "time", "depth", "plane", "slice", "frame", "position", "p")
_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever their suffix."""


@dataclass(frozen=True, slots=True)
class ViewerImages:
    """The images of a viewer that can be annotated: planes of its visible image layers.

    Attributes
    ----------
    layers : tuple of napari.layers.Image
    can_be_channels : bool
        Whether the layers may be channels of the same images: grey, of one shape, at one place;
        or, with a ``channel_axis``, whether the planes on that axis may be.
    are_channels : bool
        Whether they are taken as such.
    channel_axis : int or None
        Axis of each layer; None: the layers themselves are meant.
    label_layers : tuple of napari.layers.Labels
        Those that are visible.
    """

    layers: tuple[Layer, ...]
    can_be_channels: bool = False
    are_channels: bool = False
    channel_axis: int | None = None
    label_layers: tuple[Layer, ...] = ()

    @property
    def of_images(self) -> list[tuple[Layer, ...]]:
        """The layers of each image or stack: several where these are its channels."""
        if self.are_channels and self.channel_axis is None:
            return [self.layers]
        return [(layer,) for layer in self.layers]

    @property
    def n_planes(self) -> int:
        """Number of images."""
        return sum(
            int(np.prod([_shape(layers[0])[a] for a in self.stack_axes(layers[0])], dtype=int))
            for layers in self.of_images
        )

    @property
    def n_channels(self) -> int:
        """Number of channels of each image that is grey."""
        if not self.are_channels:
            return 1
        axis = self.channel_axis
        return len(self.layers) if axis is None else _shape(self.layers[0])[axis]

    @property
    def channels_question(self) -> str:
        """What the user is asked where it is not clear, as a statement."""
        if self.channel_axis is None:
            return "The layers are channels"
        n_planes = _shape(self.layers[0])[self.channel_axis]
        return f"Axis {self.channel_axis} holds {n_planes} channels"

    def stack_axes(self, layer: Layer) -> tuple[int, ...]:
        """Return the axes of a layer on which each place is another image."""
        axis = self.channel_axis if self.are_channels else None
        return tuple(a for a in range(len(_shape(layer)) - 2) if a != axis)

    def plane_shape(self, layer: Layer) -> tuple[int, ...]:
        """Return the shape of a layer without channels."""
        shape = _shape(layer)
        return (*(shape[a] for a in self.stack_axes(layer)), *shape[-2:])

    def rules(self, given: ImageRules) -> ImageRules:
        """Return the given rules with the contrast that the layers are shown with."""
        if self.layers[0].rgb:
            return given
        shown = self.of_images[0]
        n_each = self.n_channels // len(shown)
        limits = tuple((float(low), float(high)) for la in shown
                       for low, high in [la.contrast_limits] * n_each)  # fmt: skip
        return given.model_copy(update={"ranges": limits, "gamma": float(shown[0].gamma)})


def images_of(viewer: Viewer) -> ViewerImages:
    """Return the viewer's visible images, except those of an open session.

    Grey layers of the same shape and place that are blended additively, as napari opens the
    channels of a file, are taken as channels.

    Raises
    ------
    InputError
        If there are none, some are in colour and others are not, or the planes of one are tilted.
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
    for layer in layers:
        Placement.of(layer)  # raises
    axis, is_named = (None, False) if grey is None else _channel_axis(layers)
    if is_named:
        return ViewerImages(layers, True, True, axis, labels)
    can_be = len(layers) > 1 and grey is not None and len({_geometry(la) for la in layers}) == 1
    if can_be:
        additive = all(layer.blending == "additive" for layer in layers[1:])
        return ViewerImages(layers, True, additive, None, labels)
    return ViewerImages(layers, axis is not None, False, axis, labels)


def _channel_axis(layers: Sequence[Layer]) -> tuple[int | None, bool]:
    """Return the axis on which grey layers have channels, or may have, and whether they say so.

    It may be one of few planes whose label does not say that it is space or time.
    """
    first = _shape(layers[0])
    named, perhaps = set(range(len(first) - 2)), set(range(len(first) - 2))
    for layer in layers:
        shape, labels = _shape(layer), [str(label).casefold() for label in layer.axis_labels]
        fits = {a for a in range(len(shape) - 2) if a < len(first) and shape[a] == first[a]}
        named &= {a for a in fits if labels[a] in _CHANNELS}
        perhaps &= {a for a in fits if labels[a] not in _STACKS and 2 <= shape[a] <= MAX_CHANNELS}
    is_named = bool(named)
    return min(named or perhaps, default=None), is_named


def _geometry(layer: Any) -> tuple[object, ...]:
    """Return shape and place of a layer: those of channels agree."""
    data = layer.data[0] if layer.multiscale else layer.data
    place = np.round(world_matrix(layer), 9) + 0.0  # -0.0 becomes 0.0
    return tuple(data.shape), str(data.dtype), place.tobytes()


def write_data(path: Path, images: ViewerImages, classes: Sequence[ClassInfo]) -> None:
    """Write every plane as ``images/NAME.tif`` (axes of a stack as numbers), classes, places.

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
    write_placements(path, placements_of(images))
    write_planes(path, planes_of(images))


def planes(images: ViewerImages) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield a name and the pixels, (H, W) or (H, W, C), of every plane."""
    for name, layers, index in places(images):
        yield name, _plane(layers, index)


def position_at(images: ViewerImages, point: Sequence[float]) -> int:
    """Return which of the images lies where the viewer's sliders are (``viewer.dims.point``)."""
    planes = planes_of(images)
    first = [plane for plane in planes if plane.layer is images.layers[0]]
    return planes.index(nearest_plane(first, point))


def placements_of(images: ViewerImages) -> Placements:
    """Return where each image lies."""
    of_layers = {layer: Placement.of(layer) for layer in images.layers}
    common = of_layers[images.layers[0]]
    of_images = {name: of_layers[layers[0]] for name, layers, _ in places(images)}
    others = {name: place for name, place in of_images.items() if place != common}
    return Placements(common, others)


def placement_at(images: ViewerImages, position: int) -> Placement:
    """Return where one plane lies."""
    _, layers, _ = next(islice(places(images), position, None))
    return Placement.of(layers[0])


def plane_at(images: ViewerImages, position: int) -> NDArray[Any]:
    """Return the pixels of one plane as (H, W, C)."""
    _, layers, index = next(islice(places(images), position, None))
    pixels = _plane(layers, index)
    return pixels[..., None] if pixels.ndim == 2 else pixels


Index = tuple[int | slice, ...]
"""Of a plane in its layer: a position on each axis before the last two, all on that of channels."""


def places(images: ViewerImages) -> Iterator[tuple[str, tuple[Any, ...], Index]]:
    """Yield name, layers (several: channels) and index of every plane."""
    taken: set[str] = set()  # in lower case: for some disks "A" and "a" are the same
    for layers in images.of_images:
        base = _file_name(layers[0].name)
        while base.casefold() in taken:
            base += "_"
        taken.add(base.casefold())
        whole, axes = _shape(layers[0]), images.stack_axes(layers[0])
        shape = [whole[a] for a in axes]
        for position in np.ndindex(*shape):
            numbers = zip(position, shape, strict=True)
            index: list[int | slice] = [slice(None)] * (len(whole) - 2)
            for axis, i in zip(axes, position, strict=True):
                index[axis] = i
            name = base + "".join(f"_{i:0{len(str(n - 1))}d}" for i, n in numbers)
            yield name, layers, tuple(index)


def planes_of(images: ViewerImages) -> list[Plane]:
    """Return where each image is on the viewer's sliders."""
    return [
        Plane(name, layers[0], {a: i for a, i in enumerate(index) if isinstance(i, int)})
        for name, layers, index in places(images)
    ]


def _file_name(layer_name: str) -> str:
    """Return a name that every system can give a file."""
    base = re.sub(r"[^\w.-]+", "_", layer_name).strip("._") or "image"
    return f"image_{base}" if _DEVICE.fullmatch(base.partition(".")[0]) else base


def _plane(layers: tuple[Any, ...], index: Index) -> NDArray[Any]:
    channels = [_pixels(layer, index) for layer in layers]
    return channels[0] if len(channels) == 1 else np.stack(channels, axis=2)


def _pixels(layer: Any, index: Index) -> NDArray[Any]:
    data = layer.data[0] if layer.multiscale else layer.data
    pixels = np.asarray(data[index])
    if any(isinstance(i, slice) for i in index):
        pixels = np.moveaxis(pixels, 0, -1)  # channels come last
    return _storable(pixels, rgb=layer.rgb)


def _shape(layer: Any) -> tuple[int, ...]:
    """Return the sizes of a layer's axes; colour is none."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in (data.shape[:-1] if layer.rgb else data.shape))


def _storable(pixels: NDArray[Any], *, rgb: bool) -> NDArray[Any]:
    if rgb:
        pixels = pixels[..., :3]
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    return pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
