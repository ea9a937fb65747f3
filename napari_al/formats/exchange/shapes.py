"""The pixels inside a shape of labelme: polygons, rectangles, circles and masks."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_al.errors import InputError
from napari_al.formats.exchange.pixel_outlines import filled_outline
from napari_al.formats.images import DECODER_ERRORS
from napari_al.formats.polygons import polygon_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.polygons import Shape


def has_inside(shape: Shape) -> bool:
    """Whether a shape covers pixels: points, lines and odd numbers of points do not."""
    if shape.shape_type in ("circle", "mask"):
        return len(shape.points) == 2 and (shape.shape_type == "circle" or shape.mask is not None)
    return polygon_of(shape) is not None


def inside_of(path: Path, shape: Shape, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the (H, W) pixels of a shape that `has_inside`; those beyond the image are cut off.

    A circle has the pixels whose centres are no further from its first point than the second is.

    Raises
    ------
    InputError
        If a mask cannot be read; names ``path``.
    """
    polygon = polygon_of(shape)
    if polygon is not None:
        return filled_outline(polygon.vertices_xy, size)
    (x0, y0), (x1, y1) = shape.points
    if shape.shape_type == "circle":
        rows, cols = np.ogrid[: size[0], : size[1]]
        inside: NDArray[np.bool_] = np.hypot(cols + 0.5 - x0, rows + 0.5 - y0) <= np.hypot(
            x1 - x0, y1 - y0
        )
        return inside
    return _placed(_mask(path, shape), (round(min(y0, y1)), round(min(x0, x1))), size)


def _mask(path: Path, shape: Shape) -> NDArray[np.bool_]:
    (x0, y0), (x1, y1) = shape.points
    expected = (round(abs(x1 - x0)) + 1, round(abs(y1 - y0)) + 1)
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape.mask or ""))) as picture:
            if picture.size != expected:
                raise ValueError(f"it is of {picture.size} pixels and its box of {expected}")
            return np.array(picture.convert("L")) > 0
    except DECODER_ERRORS as error:
        raise InputError(f"{path}: a mask of {shape.label!r} cannot be read ({error}).") from error


def _placed(
    mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return the (H, W) mask with another at a corner (row, column)."""
    placed = np.zeros(size, np.bool_)
    row, col = corner
    part = mask[max(0, -row) : max(0, size[0] - row), max(0, -col) : max(0, size[1] - col)]
    row, col = max(0, row), max(0, col)
    placed[row : row + part.shape[0], col : col + part.shape[1]] = part
    return placed
