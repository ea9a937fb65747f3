"""Clicks of drawing a region exactly: the corners of polygons along its outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_al.core.geometry.masks import Mask

TOLERANCE_PX = 1.5
"""Largest distance of a drawn polygon from a region's outline."""


def drawn_clicks(mask: Mask) -> int:
    """Return the clicks of drawing a region exactly: its polygons' corners and its class."""
    return 1 + n_corners(mask)


def n_corners(mask: Mask) -> int:
    """Return the corners of polygons that follow a region's outlines to within 1.5 pixels.

    Outlines of holes count; each polygon has at least three corners (Douglas-Peucker).
    """
    from napari_al.core.opencv import cv2  # only here: opening napari does not load it

    inside = mask.crop().astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return sum(max(3, len(cv2.approxPolyDP(line, TOLERANCE_PX, True))) for line in outlines)
