"""Drawing a precise answer: polygons in a napari Shapes layer, each with a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.drawn_polygons import cut_by_polygons
from napari_al.formats.classes import meanings
from napari_al.methods.queries import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer, Shapes
    from numpy.typing import NDArray

    from napari_al.core.clicks import Clicks
    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import Query
    from napari_al.plugin.layers.camera import Camera

EDGE_PX = 2.0
UNNAMED = "#ffffff"
CLASS = "class_id"
"""The feature of a shape that holds its class."""
NO_CLASS = -1
N_ELLIPSE_CORNERS = 48


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Polygons of an answer: corners and class of each, class of the pixels outside all of them.

    The answer itself stores pixels only; this allows to edit it as it was drawn.
    """

    polygons: tuple[NDArray[np.float64], ...]
    class_ids: tuple[int | None, ...]
    rest: int | None


class PolygonEditor:
    """Edits the polygons of one query.

    A polygon gets the class that is chosen while it is drawn; one drawn before any class was
    chosen gets the first one that is. The class is a feature of the shape, so that it follows
    whatever napari does with it: deleting, pasting, moving, reordering.
    """

    def __init__(
        self,
        layer: Shapes,
        camera: Camera,
        query: Query,
        classes: Sequence[ClassInfo],
        drawing: Drawing | None = None,
    ) -> None:
        self._layer, self._query, self._classes = layer, query, classes
        self.class_id: int | None = None
        self.rest: int | None = None
        self._clear()
        layer.visible = True
        layer.current_edge_width = EDGE_PX / camera.px
        layer.current_edge_color = layer.current_face_color = UNNAMED
        layer.features = {CLASS: np.empty(0, int)}
        layer.feature_defaults = {CLASS: NO_CLASS}
        if drawing is not None:
            layer.add_polygons(list(drawing.polygons))
            self.rest = drawing.rest
            self._class_ids = list(drawing.class_ids)
            self.set_classes(classes)
        layer.mode = "add_polygon"

    @property
    def _class_ids(self) -> list[int | None]:
        """Class of each shape, also of the one being drawn."""
        return [None if c == NO_CLASS else int(c) for c in self._layer.features[CLASS]]

    @_class_ids.setter
    def _class_ids(self, class_ids: Sequence[int | None]) -> None:
        known = [NO_CLASS if c is None else c for c in class_ids]
        self._layer.features = {CLASS: np.array(known, int)}
        chosen = NO_CLASS if self.class_id is None else self.class_id
        self._layer.feature_defaults = {CLASS: chosen}

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these colours from now on; a merged class counts as the one it was merged into."""
        counts_as = {c: m for c, m in enumerate(meanings(classes)) if m != IGNORE}
        self._classes = classes
        self.class_id = None if self.class_id is None else counts_as.get(self.class_id)
        self.rest = None if self.rest is None else counts_as.get(self.rest)
        self._class_ids = [None if c is None else counts_as.get(c) for c in self._class_ids]
        self._recolor()

    def choose(self, class_id: int) -> None:
        """Draw with this class from now on."""
        if not self._is_drawing:
            self._layer.selected_data = set()
        self.class_id = class_id
        color = self._classes[class_id].color
        self._layer.current_edge_color = self._layer.current_face_color = color
        known = [class_id if c is None else c for c in self._class_ids]
        if self._is_drawing:
            known[-1] = class_id
        has_changed = known != self._class_ids
        self._class_ids = known
        if has_changed:
            self._recolor()

    def fill_rest(self) -> None:
        """Give pixels outside all polygons the chosen class; a second time: none."""
        self.rest = None if self.rest == self.class_id else self.class_id

    def undo(self) -> bool:
        """Remove the last polygon, or the class of the rest; return whether there was one."""
        self._finish()
        if self._layer.nshapes:
            self._layer.selected_data = {self._layer.nshapes - 1}
            self._layer.remove_selected()
            return True
        had_rest, self.rest = self.rest is not None, None
        return had_rest

    def pieces(self) -> tuple[tuple[Piece, ...], Clicks]:
        """Return the parts drawn so far, as they are shown, and the clicks they took."""
        self._finish()
        parts, clicks = cut_by_polygons(*self._named(), self.rest, self._query.region.mask)
        return tuple(Piece(class_id, mask) for class_id, mask in parts), clicks

    def hidden(self) -> tuple[str, ...]:
        """Return the classes of polygons that others cover, so that nothing of them is stored."""
        polygons, class_ids = self._named()
        names = []
        for n, class_id in enumerate(class_ids):
            alone, _ = cut_by_polygons([polygons[n]], [0], None, self._query.region.mask)
            over = [0] * (len(polygons) - n - 1)
            both, _ = cut_by_polygons(polygons[n:], [1, *over], None, self._query.region.mask)
            is_seen = any(part_class == 1 for part_class, _ in both)
            if alone and not is_seen and any(c != class_id for c in class_ids[n + 1 :]):
                names.append(self._classes[class_id].name)
        return tuple(dict.fromkeys(names))

    @property
    def drawing(self) -> Drawing:
        """The closed polygons (`pieces` closes all), from the bottom up."""
        shapes = self._shapes()
        return Drawing(
            tuple(corners for corners, _ in shapes), tuple(c for _, c in shapes), self.rest
        )

    def is_on(self, layer: Layer) -> bool:
        """Whether the polygons are in this layer."""
        return self._layer is layer

    def close(self) -> None:
        """Clear and hide the layer."""
        self._clear()
        self._layer.visible = False

    @property
    def _is_drawing(self) -> bool:
        """Whether the last polygon is not closed yet (napari calls it a path until then)."""
        return bool(self._layer.nshapes > 0 and self._layer.shape_type[-1] == "path")

    def _shapes(self) -> list[tuple[NDArray[np.float64], int | None]]:
        """Return corners and class of the shapes that have an area, from the bottom up."""
        layer = self._layer
        order = np.argsort(layer.z_index, kind="stable").tolist()
        class_ids = self._class_ids
        return [
            (_corners(np.array(layer.data[i], float), layer.shape_type[i]), class_ids[i])
            for i in order
            if layer.shape_type[i] in ("polygon", "rectangle", "ellipse")
        ]

    def _named(self) -> tuple[list[NDArray[np.float64]], list[int]]:
        """Return corners and class of the shapes that have one, from the bottom up."""
        named = [
            (corners, class_id) for corners, class_id in self._shapes() if class_id is not None
        ]
        return [corners for corners, _ in named], [class_id for _, class_id in named]

    def _finish(self) -> None:
        self._layer.mode = "pan_zoom"  # closes a polygon that is being drawn
        self._layer.mode = "add_polygon"

    def _clear(self) -> None:
        self._layer.mode = "pan_zoom"
        self._layer.data = []

    def _recolor(self) -> None:
        colors = [UNNAMED if c is None else self._classes[c].color for c in self._class_ids]
        self._layer.edge_color = self._layer.face_color = colors


def _corners(corners: NDArray[np.float64], shape_type: str) -> NDArray[np.float64]:
    """Return the corners of a shape; of an ellipse, given by its box, a polygon."""
    if shape_type != "ellipse":
        return corners
    centre = corners.mean(axis=0)
    turns = np.linspace(0, 2 * np.pi, N_ELLIPSE_CORNERS, endpoint=False)[:, None]
    down, across = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    outline: NDArray[np.float64] = centre + np.cos(turns) * down + np.sin(turns) * across
    return outline
