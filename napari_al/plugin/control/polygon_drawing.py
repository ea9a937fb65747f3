"""Drawing a precise answer: polygons in a napari Shapes layer, each with a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    chosen gets the first one that is.
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
        self._class_ids: list[int | None] = []
        self.class_id: int | None = None
        self.rest: int | None = None
        self._clear()
        layer.visible = True
        layer.current_edge_width = EDGE_PX / camera.px
        layer.current_edge_color = layer.current_face_color = UNNAMED
        if drawing is not None:
            layer.add_polygons(list(drawing.polygons))
            self._class_ids, self.rest = list(drawing.class_ids), drawing.rest
            self.set_classes(classes)
        layer.mode = "add_polygon"

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these colours from now on; a merged class counts as the one it was merged into."""
        counts_as = meanings(classes)
        self._classes = classes
        self._class_ids = [None if c is None else counts_as[c] for c in self._class_ids]
        self.class_id = None if self.class_id is None else counts_as[self.class_id]
        self.rest = None if self.rest is None else counts_as[self.rest]
        self._recolor()

    def choose(self, class_id: int) -> None:
        """Draw with this class from now on."""
        self._sync()
        if not self._is_drawing:
            self._layer.selected_data = set()
        self.class_id = class_id
        color = self._classes[class_id].color
        self._layer.current_edge_color = self._layer.current_face_color = color
        unnamed = [i for i, known in enumerate(self._class_ids) if known is None]
        if unnamed:
            self._class_ids = [class_id if known is None else known for known in self._class_ids]
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
            del self._class_ids[self._layer.nshapes :]
            return True
        had_rest, self.rest = self.rest is not None, None
        return had_rest

    def pieces(self) -> tuple[tuple[Piece, ...], Clicks]:
        """Return the parts drawn so far, and the clicks they took."""
        self._finish()
        named = [
            (np.asarray(corners, float), class_id)
            for corners, class_id in zip(self._layer.data, self._class_ids, strict=True)
            if class_id is not None
        ]
        parts, clicks = cut_by_polygons(
            [corners for corners, _ in named],
            [class_id for _, class_id in named],
            self.rest,
            self._query.region.mask,
        )
        return tuple(Piece(class_id, mask) for class_id, mask in parts), clicks

    @property
    def drawing(self) -> Drawing:
        """The closed polygons (`pieces` closes all)."""
        closed = self._layer.data[: len(self._class_ids)]
        polygons = tuple(np.array(corners, float) for corners in closed)
        return Drawing(polygons, tuple(self._class_ids), self.rest)

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

    def _sync(self) -> None:
        """Assign classes to polygons closed since the last call."""
        n_closed = self._layer.nshapes - self._is_drawing
        del self._class_ids[n_closed:]  # the user deleted some
        self._class_ids += [self.class_id] * (n_closed - len(self._class_ids))

    def _finish(self) -> None:
        self._layer.mode = "pan_zoom"  # closes a polygon that is being drawn
        self._layer.mode = "add_polygon"
        self._sync()

    def _clear(self) -> None:
        self._layer.mode = "pan_zoom"
        self._layer.data = []

    def _recolor(self) -> None:
        colors = [UNNAMED if c is None else self._classes[c].color for c in self._class_ids]
        if self._is_drawing:
            colors.append(
                self._classes[self.class_id].color if self.class_id is not None else UNNAMED
            )
        self._layer.edge_color = self._layer.face_color = colors
