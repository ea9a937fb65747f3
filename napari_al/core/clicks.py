"""What an answer costs, in clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks of an answer by kind (Cai et al. 2021, section "annotation cost").

    Attributes
    ----------
    class_clicks, polygon_clicks, intersection_clicks : int
        c_c, c_p and c_i: a class chosen, a polygon vertex set, a crossing of an object's boundary
        with the region's boundary.
    """

    class_clicks: int = 0
    polygon_clicks: int = 0
    intersection_clicks: int = 0

    @property
    def total(self) -> int:
        """All clicks together."""
        return self.class_clicks + self.polygon_clicks + self.intersection_clicks

    def __add__(self, other: Clicks) -> Clicks:
        return Clicks(
            self.class_clicks + other.class_clicks,
            self.polygon_clicks + other.polygon_clicks,
            self.intersection_clicks + other.intersection_clicks,
        )

    def __sub__(self, other: Clicks) -> Clicks:
        return Clicks(
            self.class_clicks - other.class_clicks,
            self.polygon_clicks - other.polygon_clicks,
            self.intersection_clicks - other.intersection_clicks,
        )


Box = tuple[int, int, int, int]
"""``(row0, col0, row1, col1)``, half open, in pixels."""


def class_clicks(truth: NDArray[np.uint8]) -> int:
    """Objects in a rectangle, each of which takes a click to say its class: c_c.

    Parameters
    ----------
    truth : (h, w) uint8
        Class ids of the rectangle's pixels. IGNORE counts like a class: it is drawn, too.

    Returns
    -------
    int
        Number of 8-connected components of equal value.
    """
    from napari_al.core.opencv import cv2  # late: the log's records import this module

    return sum(
        int(cv2.connectedComponents((truth == value).astype(np.uint8), connectivity=8)[0]) - 1
        for value in np.unique(truth)
    )


def intersection_clicks(truth: NDArray[np.uint8], *, first_pair: bool = True) -> int:
    """Crossings of objects' boundaries with a rectangle's boundary: c_i.

    Parameters
    ----------
    truth : (h, w) uint8
        Class ids of the rectangle's pixels.
    first_pair : bool
        False leaves out a change between the first two pixels of a side, as the authors' code
        does.

    Returns
    -------
    int
        Changes of class along the four outermost lines of pixels.
    """
    sides = (truth[:, 0], truth[:, -1], truth[0], truth[-1])
    start = 0 if first_pair else 1
    return sum(int((side[start:-1] != side[start + 1 :]).sum()) for side in sides)


def polygon_clicks(vertices_xy: NDArray[np.floating[Any]], box: Box, shape: tuple[int, int]) -> int:
    """Polygon vertices that fall into a rectangle: c_p.

    Parameters
    ----------
    vertices_xy : (n, 2) float
        Vertices of all objects' polygons, x before y, in pixels; cut off to whole pixels.
    box : Box
        The rectangle.
    shape : (int, int)
        H, W of the image: its own borders are no borders between rectangles.

    Returns
    -------
    int
        Vertices inside, but for those on the rectangle's border with another rectangle: what
        crosses it is an intersection click.
    """
    row0, col0, row1, col1 = box
    cols, rows = np.trunc(np.asarray(vertices_xy, np.float64).reshape(-1, 2)).T
    low_row, high_row = row0 + (row0 > 0), row1 - (row1 < shape[0])
    low_col, high_col = col0 + (col0 > 0), col1 - (col1 < shape[1])
    inside = (rows >= low_row) & (rows < high_row) & (cols >= low_col) & (cols < high_col)
    return int(inside.sum())


def trace_vertices(truth: NDArray[np.uint8], tolerance_px: float = 1.5) -> NDArray[np.float64]:
    """Vertices with which someone would draw the objects of a class map: (n, 2), x before y.

    Stands in for the polygons of an annotation file where there is none: the outlines of the
    connected components of each class, holes included, simplified by Douglas and Peucker's method
    to within ``tolerance_px``. IGNORE is left out.
    """
    from napari_al.core.opencv import cv2

    found = [np.empty((0, 2))]
    for class_id in np.unique(truth[truth != IGNORE]):
        inside = (truth == class_id).astype(np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        found += [
            cv2.approxPolyDP(contour, tolerance_px, closed=True).reshape(-1, 2)
            for contour in contours
        ]
    return np.concatenate(found)


def precise_clicks(
    truth: NDArray[np.uint8],
    box: Box,
    vertices_xy: NDArray[np.floating[Any]],
    *,
    first_pair: bool = True,
) -> Clicks:
    """Clicks to draw a rectangle's objects exactly: c_p + c_c + c_i (Cai et al. 2021).

    Parameters
    ----------
    truth : (H, W) uint8
        Class ids of the whole image.
    box : Box
        The rectangle.
    vertices_xy : (n, 2) float
        Vertices of the image's polygons: of its annotation file, or ``trace_vertices(truth)``.
    first_pair : bool
        Of ``intersection_clicks``.
    """
    row0, col0, row1, col1 = box
    crop = truth[row0:row1, col0:col1]
    return Clicks(
        class_clicks=class_clicks(crop),
        polygon_clicks=polygon_clicks(vertices_xy, box, (truth.shape[0], truth.shape[1])),
        intersection_clicks=intersection_clicks(crop, first_pair=first_pair),
    )
