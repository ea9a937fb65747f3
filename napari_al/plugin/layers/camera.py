"""Placement of images in napari's world, and moving the camera over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.core.geometry.masks import Mask

MAX_OFF_CENTRE = 0.4
"""Largest distance of a region from the canvas's centre, of half the canvas."""
MIN_VIEW_PX = 24
"""Smallest side of a region that the zoom is computed for, in image pixels."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Scale, translation, units and labels per axis (row, column), as in napari."""

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    units: tuple[str, str] | None = None
    axis_labels: tuple[str, str] | None = None

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return the placement of a layer's planes."""
        units = getattr(layer, "units", None)
        axis_labels = getattr(layer, "axis_labels", None)
        return cls(
            scale=(float(layer.scale[-2]), float(layer.scale[-1])),
            translate=(float(layer.translate[-2]), float(layer.translate[-1])),
            units=(str(units[-2]), str(units[-1])) if units else None,
            axis_labels=(axis_labels[-2], axis_labels[-1]) if axis_labels else None,
        )

    def kwargs(self, texels: tuple[float, float] = (1, 1)) -> dict[str, Any]:
        """Return arguments for a layer with so many texels an image pixel along each axis."""
        of_axes = list(zip(self.scale, self.translate, texels, strict=True))
        out: dict[str, Any] = {
            "scale": tuple(s / k for s, _, k in of_axes),
            "translate": tuple(t + (0.5 / k - 0.5) * s for s, t, k in of_axes),
        }
        if self.units is not None:
            out["units"] = self.units
        if self.axis_labels is not None:
            out["axis_labels"] = self.axis_labels
        return out

    def world(self, row: float, col: float) -> tuple[float, float]:
        """Return the world coordinates of a point given in image pixels (centre of 0 at 0)."""
        return (
            row * self.scale[0] + self.translate[0],
            col * self.scale[1] + self.translate[1],
        )

    def pixel_at(self, position: Sequence[float]) -> tuple[int, int]:
        """Return row and column of the image's pixel at a place in the world."""
        row, col = (
            round((at - offset) / scale)
            for at, offset, scale in zip(position[-2:], self.translate, self.scale, strict=True)
        )
        return row, col


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
        return min(
            screen / (side * abs(scale))
            for screen, side, scale in zip(
                self.canvas_size(), sides, self.placement.scale, strict=True
            )
        )

    def _look_at(self, row: float, col: float) -> None:
        centre = []
        for at, length, screen, scale in zip(
            (row, col), self.shape, self.canvas_size(), self.placement.scale, strict=True
        ):
            half = screen / (2 * self.napari.zoom * abs(scale))
            if 2 * half >= length:
                inside = (length - 1) / 2
            else:
                inside = min(max(at, half - 0.5), length - 0.5 - half)
            most = MAX_OFF_CENTRE * half
            centre.append(at + min(max(inside - at, -most), most))
        self.napari.center = (0.0, *self.placement.world(*centre))
