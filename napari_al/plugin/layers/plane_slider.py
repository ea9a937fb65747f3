"""napari's sliders and the plane on screen, kept together: images that are planes of a stack.

The stack is a layer of the viewer's, or, in a data folder, a layer that shows nothing and is there
for its sliders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_al.formats.parts.picture_parts import by_picture
from napari_al.plugin.layers.layer_kinds import insert_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.formats.dataset import DataFolder


@dataclass(frozen=True, slots=True)
class Plane:
    """An image of a session that is a plane of one of the viewer's layers.

    Attributes
    ----------
    image : str
        Its name in the session.
    layer : napari.layers.Image
    index : dict of int to int
        Position on each axis of the layer that has a slider, by axis.
    stack : object
        What planes have in common that are shown at one place, if the layer is that of several
        stacks.
    """

    image: str
    layer: Layer
    index: dict[int, int]
    stack: object = None

    def is_beside(self, other: Plane) -> bool:
        """Whether another plane is shown at the same place."""
        return self.layer is other.layer and self.stack == other.stack

    def world(self, n_dims: int) -> dict[int, float]:
        """Return its world coordinates on the axes of a viewer with so many dimensions."""
        pixel = [self.index.get(axis, 0) for axis in range(self.layer.ndim)]
        n_more, world = n_dims - self.layer.ndim, self.layer.data_to_world(pixel)
        return {n_more + axis: float(world[axis]) for axis in self.index}


def nearest_plane(planes: Iterable[Plane], point: Sequence[float]) -> Plane:
    """Return the plane that is nearest to where the sliders are (``viewer.dims.point``)."""

    def distance(plane: Plane) -> float:
        return sum(abs(point[axis] - at) for axis, at in plane.world(len(point)).items())

    return min(planes, key=distance)


def layer_of_sliders(lengths: Mapping[str, int]) -> Layer:
    """Return a layer that shows nothing: for its sliders, of so many positions by axis."""
    from napari.layers import Image

    return Image(
        np.broadcast_to(np.uint8(0), (*lengths.values(), 1, 1)),
        name="Planes",
        axis_labels=(*lengths, "y", "x"),
        visible=False,
        metadata={"napari_al": "planes"},
    )


def planes_of_folder(data: DataFolder) -> list[Plane]:
    """Return the planes of a folder's stacks, of one layer for the sliders of all.

    Its axes are those that some of the stacks have, time first; as long as in the longest.
    """
    parts = {name: part for name in data.train if (part := data.part(name)) and part.planes}
    if not parts:
        return []
    lengths: dict[str, int] = {}
    for part in parts.values():
        for axis, length in part.planes:
            lengths[axis] = max(length, lengths.get(axis, 0))
    axes = [axis for axis in "tz" if axis in lengths]
    layer = layer_of_sliders({axis: lengths[axis] for axis in axes})
    return [
        Plane(
            name,
            layer,
            {axes.index(axis): i for (axis, _), i in zip(part.planes, part.plane, strict=True)},
            (part.picture, part.box),
        )
        for name, part in parts.items()
    ]


def blocks_of(planes: Sequence[Plane], data: DataFolder) -> list[Plane]:
    """Return planes of layers as images of a folder, which large ones are blocks of."""
    blocks = by_picture(map(data.part, data.train))
    found = []
    for plane in planes:
        parts = blocks.get(plane.image, [])
        found += [replace(plane, image=part.name, stack=(plane.stack, part.box)) for part in parts]
        found += [] if parts else [plane]
    return found


def slider_of(viewer: Viewer, data: DataFolder, planes: Sequence[Plane]) -> PlaneSlider:
    """Return the sliders of planes of layers; without any, of a folder's stacks.

    A layer that is not in the viewer yet is added, until the sliders are closed.
    """
    planes = blocks_of(planes, data) if planes else planes_of_folder(data)
    own = next((plane.layer for plane in planes if plane.layer not in viewer.layers), None)
    if own is not None:
        insert_layer(viewer, own, below=viewer.layers)
    return PlaneSlider(viewer, planes, own)


class PlaneSlider:
    """Moves the sliders to a plane, and says to which one the user has moved them.

    Parameters
    ----------
    viewer : napari.Viewer
    planes : sequence of Plane
        Without any that has a slider these are left alone.
    own : napari.layers.Image, optional
        Their layer, if it is ours: removed by `close`.
    """

    moved = Signal(str)
    """The user has gone to the plane of this image."""

    def __init__(self, viewer: Viewer, planes: Sequence[Plane], own: Layer | None = None) -> None:
        self._viewer, self._own = viewer, own
        self._planes = {plane.image: plane for plane in planes if plane.index}
        self._at: Plane | None = None
        if self._planes:
            viewer.dims.events.current_step.connect(self._on_step)

    def close(self) -> None:
        """Let go of the sliders."""
        if self._planes:
            self._viewer.dims.events.current_step.disconnect(self._on_step)
        self._planes = {}
        if self._own is not None and self._own in self._viewer.layers:
            self._viewer.layers.remove(self._own)

    def go_to(self, image: str) -> None:
        """Move the sliders to the plane of an image."""
        plane = self._planes.get(image)
        if plane is None or plane is self._at or plane.layer not in self._viewer.layers:
            return
        self._at = plane
        with self._viewer.dims.events.current_step.blocker(self._on_step):
            for axis, at in plane.world(self._viewer.dims.ndim).items():
                self._viewer.dims.set_point(axis, at)

    def are_of_one_stack(self, image: str, other: str) -> bool:
        """Whether two images are planes of the same layer."""
        one, two = self._planes.get(image), self._planes.get(other)
        return one is not None and two is not None and one.is_beside(two)

    def _on_step(self, _: object = None) -> None:
        """Find the plane of the same layer that is nearest to the sliders."""
        if self._at is None or self._at.layer not in self._viewer.layers:
            return
        here = self._at
        stack = (plane for plane in self._planes.values() if plane.is_beside(here))
        nearest = nearest_plane(stack, self._viewer.dims.point)
        if nearest is not self._at:
            self._at = nearest
            self.moved.emit(nearest.image)
