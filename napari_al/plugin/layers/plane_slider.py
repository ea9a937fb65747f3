"""napari's sliders and the plane on screen, kept together: images that are planes of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer


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
    """

    image: str
    layer: Layer
    index: dict[int, int]

    def world(self, n_dims: int) -> dict[int, float]:
        """Return its world coordinates on the axes of a viewer with so many dimensions."""
        layer, n_more = self.layer, n_dims - self.layer.ndim
        return {
            n_more + axis: float(layer.translate[axis] + index * layer.scale[axis])
            for axis, index in self.index.items()
        }


def nearest_plane(planes: Iterable[Plane], point: Sequence[float]) -> Plane:
    """Return the plane that is nearest to where the sliders are (``viewer.dims.point``)."""

    def distance(plane: Plane) -> float:
        return sum(abs(point[axis] - at) for axis, at in plane.world(len(point)).items())

    return min(planes, key=distance)


class PlaneSlider:
    """Moves the sliders to a plane, and says to which one the user has moved them.

    Parameters
    ----------
    viewer : napari.Viewer
    planes : sequence of Plane
        Without any that has a slider these are left alone.
    """

    moved = Signal(str)
    """The user has gone to the plane of this image."""

    def __init__(self, viewer: Viewer, planes: Sequence[Plane]) -> None:
        self._viewer = viewer
        self._planes = {plane.image: plane for plane in planes if plane.index}
        self._at: Plane | None = None
        if self._planes:
            viewer.dims.events.current_step.connect(self._on_step)

    def close(self) -> None:
        """Let go of the sliders."""
        if self._planes:
            self._viewer.dims.events.current_step.disconnect(self._on_step)
        self._planes = {}

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
        return one is not None and two is not None and one.layer is two.layer

    def _on_step(self, _: object = None) -> None:
        """Find the plane of the same layer that is nearest to the sliders."""
        if self._at is None or self._at.layer not in self._viewer.layers:
            return
        layer = self._at.layer
        stack = (plane for plane in self._planes.values() if plane.layer is layer)
        nearest = nearest_plane(stack, self._viewer.dims.point)
        if nearest is not self._at:
            self._at = nearest
            self.moved.emit(nearest.image)
