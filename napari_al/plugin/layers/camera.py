"""Moving the camera over images in napari's world."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.plugin.layers.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.core.geometry.masks import Mask

MAX_OFF_CENTRE = 0.4
"""Largest distance of a region from the canvas's centre, of half the canvas."""
MIN_VIEW_PX = 24
"""Smallest side of a region that the zoom is computed for, in image pixels."""


class Camera:
    """Moves a viewer's camera over an image of some shape and placement."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.placement = Placement()
        self.shape = (0, 0)

    @property
    def napari(self) -> Any:
        """The viewer's camera; napari 0.9 moved it."""
        return getattr(self._viewer, "scene", self._viewer).camera

    @property
    def px(self) -> float:
        """Screen pixels per image pixel along its shorter side, more than 0."""
        return max(float(self.napari.zoom) * min(map(abs, self.placement.scale)), 1e-6)

    def focus(self, mask: Mask, context: float, *, keep_zoom: bool = False) -> None:
        """Move to a region: it fills about 1/``context`` of the canvas.

        At the image's edge it is a little off the centre, so that more of the image is visible.
        """
        row0, col0, row1, col1 = mask.box
        if not keep_zoom:
            sides = [
                max(min(max(side, MIN_VIEW_PX) * context, 1.05 * length), 1.1 * side)
                for side, length in zip((row1 - row0, col1 - col0), self.shape, strict=True)
            ]
            self.napari.zoom = self._zoom_for(sides)
        self._look_at((row0 + row1 - 1) / 2, (col0 + col1 - 1) / 2)

    def whole_image(self) -> None:
        """Show the whole image."""
        self.part(slice(0, self.shape[0]), slice(0, self.shape[1]))

    def part(self, rows: slice, cols: slice) -> None:
        """Show a part of the image as large as it fits."""
        if self.shape != (0, 0):
            self.napari.zoom = 0.97 * self._zoom_for(
                (rows.stop - rows.start, cols.stop - cols.start)
            )
            self._look_at((rows.start + rows.stop - 1) / 2, (cols.start + cols.stop - 1) / 2)

    def canvas_size(self) -> tuple[int, int]:
        """Return the canvas's (height, width) in screen pixels; (600, 800) in an older napari."""
        size = getattr(getattr(self._viewer, "canvas", None), "size", None) or (600, 800)
        return int(size[0]), int(size[1])

    def _zoom_for(self, sides: Sequence[float]) -> float:
        """Return the zoom at which so many rows and columns fit."""
        return float(np.min(self.canvas_size() / (np.abs(self.placement.linear) @ sides)))

    def _look_at(self, row: float, col: float) -> None:
        at = np.array(self.placement.world(row, col))
        half = np.array(self.canvas_size()) / (2 * self.napari.zoom)
        low, high = self._extent()
        fits = 2 * half >= high - low
        inside = np.where(fits, (low + high) / 2, np.clip(at, low + half, high - half))
        most = MAX_OFF_CENTRE * half
        y, x = at + np.clip(inside - at, -most, most)
        self.napari.center = (0.0, float(y), float(x))

    def _extent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest world coordinates of the image."""
        edges = ((-0.5, length - 0.5) for length in self.shape)
        corners = np.array([self.placement.world(*corner) for corner in product(*edges)])
        return corners.min(axis=0), corners.max(axis=0)
