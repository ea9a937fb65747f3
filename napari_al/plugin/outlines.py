"""What it takes to draw a region exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_al.core.masks import Mask

TOLERANCE_PX = 1.5
"""How far a drawn polygon may lie off a region's outline."""


def drawn_clicks(mask: Mask) -> int:
    """Return the clicks of drawing a region exactly: its corners, and its class."""
    return 1 + n_corners(mask)


def n_corners(mask: Mask) -> int:
    """Return how many corners polygons need that follow a region's outlines to 1.5 pixels."""
    from skimage.measure import approximate_polygon, find_contours

    outlines = find_contours(np.pad(mask.crop(), 1).astype(np.float32), 0.5)
    corners = (len(approximate_polygon(line, TOLERANCE_PX)) - 1 for line in outlines)
    return sum(max(3, n) for n in corners)
