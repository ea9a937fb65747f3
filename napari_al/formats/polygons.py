"""What people drew: Cityscapes' ``*_polygons.json`` and labelme's ``*.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from napari_al.errors import InputError
from napari_al.formats.remote import fetch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 64 * 2**20
"""Of one file. labelme may put the whole picture into it; polygons alone are far smaller."""

_POLYGONS = ("polygon", "rectangle", "oriented_rectangle")

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class Polygon(NamedTuple):
    """One outline: the class name in the file and its vertices, (n, 2) float64 xy in pixels."""

    class_name: str
    vertices_xy: NDArray[np.float64]


class Shape(BaseModel):
    """An object of either format; what else is in it does not matter here.

    Attributes
    ----------
    label : str
        The class name.
    points : list of (float, float)
        x, y in pixels.
    shape_type : str
        labelme's: ``polygon``, ``rectangle``, ``circle``, ``mask``, ``point``, ...
    mask : str or None
        Of a ``mask``: a PNG in base64, as large as the box of its two points, both included.
    """

    model_config = ConfigDict(extra="ignore")

    label: str
    points: list[tuple[Coordinate, Coordinate]] = Field(
        validation_alias=AliasChoices("points", "polygon")
    )
    shape_type: str = "polygon"
    deleted: bool = False
    mask: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    shapes: list[Shape] = Field(validation_alias=AliasChoices("shapes", "objects"))
    height: Size | None = Field(None, validation_alias=AliasChoices("imageHeight", "imgHeight"))
    width: Size | None = Field(None, validation_alias=AliasChoices("imageWidth", "imgWidth"))


def read_size(path: Path) -> tuple[int, int]:
    """Read the (height, width) of the image that a polygon file is about.

    Raises
    ------
    InputError
        If the file cannot be read, or does not say it.
    """
    content = _read(path)
    if content.height is None or content.width is None:
        raise InputError(f"{path} does not say the size of its image (imageHeight, imageWidth).")
    return content.height, content.width


def read_shapes(path: Path) -> list[Shape]:
    """Read all that is drawn on one image, in the file's order (later ones lie on top).

    Raises
    ------
    InputError
        If the file cannot be read, or is neither format.
    """
    return [shape for shape in _read(path).shapes if not shape.deleted]


def read_polygons(path: Path) -> list[Polygon]:
    """Read those of `read_shapes` that are polygons; circles, masks and lines are none."""
    polygons = map(polygon_of, read_shapes(path))
    return [polygon for polygon in polygons if polygon is not None]


def _read(path: Path) -> _File:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_BYTES:
            raise InputError(f"{path} has {n_bytes:,} bytes; up to {MAX_BYTES:,} are read.")
        fetch(path)
        return _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise InputError(
            f"{path} is not a polygon file of Cityscapes or labelme ({where}: {first['msg']})."
        ) from error


def polygon_of(shape: Shape) -> Polygon | None:
    """Return the polygon that a shape is, a rectangle as its four corners; None if it is none."""
    points = np.array(shape.points, np.float64).reshape(-1, 2)
    if shape.shape_type == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    elif shape.shape_type not in _POLYGONS or len(points) < 3:
        return None
    return Polygon(shape.label, points)
