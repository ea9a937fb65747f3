"""Where images lie in napari's world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder

ROUNDING = 1e-8
"""Parts of a matrix that are smaller, relative to its largest, count as 0."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image's pixels (row, column) lie, in napari's words and order.

    The image is scaled, then sheared, rotated and moved. ``rotate`` is in degrees; ``shear`` is
    what a step along the columns adds to the rows.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    units: tuple[str, str] | None = None
    axis_labels: tuple[str, str] | None = None
    rotate: float = 0.0
    shear: float = 0.0

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return the placement of a layer's planes.

        Raises
        ------
        InputError
            If they are tilted: not parallel to the canvas, or each at another place.
        """
        matrix = world_matrix(layer)
        linear = _rounded(matrix[:-1, :-1])
        if linear[:-2, -2:].any() or linear[-2:, :-2].any():
            raise InputError(
                f"The layer {layer.name!r} is rotated or sheared so that its planes are tilted or "
                "shifted against each other, and only planes that lie straight above each other "
                "can be shown in place. Rotate and shear its rows and columns alone, or reset its "
                "transform."
            )
        scale, rotate, shear = _parts(linear[-2:, -2:])
        units = getattr(layer, "units", None)
        axis_labels = getattr(layer, "axis_labels", None)
        return cls(
            scale=scale,
            translate=(float(matrix[-3, -1]), float(matrix[-2, -1])),
            units=(str(units[-2]), str(units[-1])) if units else None,
            axis_labels=(axis_labels[-2], axis_labels[-1]) if axis_labels else None,
            rotate=rotate,
            shear=shear,
        )

    @property
    def linear(self) -> NDArray[np.float64]:
        """The (2, 2) matrix from pixels to the world, without the translation."""
        sheared = np.array([(1, self.shear), (0, 1)]) * self.scale
        turned: NDArray[np.float64] = np.array(_rotation(self.rotate)) @ sheared
        return turned

    def kwargs(self, texels: tuple[float, float] = (1, 1)) -> dict[str, Any]:
        """Return arguments for a layer with so many texels an image pixel along each axis."""
        out: dict[str, Any] = {
            "scale": tuple(s / k for s, k in zip(self.scale, texels, strict=True)),
            "translate": self.world(*(0.5 / k - 0.5 for k in texels)),
            "rotate": _rotation(self.rotate),
            "shear": (self.shear,),
        }
        if self.units is not None:
            out["units"] = self.units
        if self.axis_labels is not None:
            out["axis_labels"] = self.axis_labels
        return out

    def put(self, layer: Layer, texels: tuple[float, float] = (1, 1)) -> None:
        """Move a layer there; what it has already is not set again: napari redraws it each time."""
        for name, value in self.kwargs(texels).items():
            now = getattr(layer, name)
            if name in ("units", "axis_labels"):
                now = tuple(map(str, now))
            if not np.array_equal(now, value):
                setattr(layer, name, value)

    def world(self, row: float, col: float) -> tuple[float, float]:
        """Return the world coordinates of a point given in image pixels (centre of 0 at 0)."""
        y, x = self.linear @ (row, col) + self.translate
        return float(y), float(x)

    def pixel_at(self, position: Sequence[float]) -> tuple[int, int]:
        """Return row and column of the image's pixel at a place in the world."""
        row, col = np.linalg.solve(self.linear, np.subtract(position[-2:], self.translate))
        return round(row), round(col)


@dataclass(frozen=True, slots=True)
class Placements:
    """Where the pictures of a data folder lie: ``common``, but for those named in ``others``."""

    common: Placement = field(default_factory=Placement)
    others: dict[str, Placement] = field(default_factory=dict)

    def of(self, data: DataFolder, image: str) -> Placement:
        """Return the placement of an image's picture."""
        part = data.part(image)
        return self.others.get(image if part is None else part.picture, self.common)


def world_matrix(layer: Layer) -> NDArray[np.float64]:
    """Return the (n + 1, n + 1) matrix from a layer's pixels to napari's world."""
    from napari.utils.transforms import Affine

    own = Affine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate,
        ndim=layer.ndim,
    )  # fmt: skip
    matrix: NDArray[np.float64] = layer.affine.affine_matrix @ own.affine_matrix
    return matrix


def _rounded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix without what only rounding has left in it."""
    return np.where(np.abs(linear) < ROUNDING * np.abs(linear).max(), 0, linear)


def _parts(linear: NDArray[np.float64]) -> tuple[tuple[float, float], float, float]:
    """Return scale, rotation in degrees, and shear of a (2, 2) matrix."""
    (a, b), (c, d) = linear.tolist()
    if b == c == 0:
        return (a, d), 0.0, 0.0
    rows = float(np.hypot(a, c))
    cols = (a * d - b * c) / rows
    return (rows, cols), float(np.degrees(np.arctan2(c, a))), (a * b + c * d) / (rows * cols)


def _rotation(degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the matrix of a rotation; exactly that of none for 0."""
    cos, sin = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return (cos, -sin), (sin, cos)
