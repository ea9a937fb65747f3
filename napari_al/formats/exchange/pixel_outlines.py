"""Exact outlines of pixels, and the pixels inside an outline: one is the inverse of the other.

Coordinates are x, y in pixels, with (0, 0) the upper left corner of the first pixel: its centre is
(0.5, 0.5). A pixel belongs to an outline if its centre lies inside, by the even-odd rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # right, down, left, up: each turns right to the next


def outlines_of(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Yield the outline of each 4-connected part of a mask as (n, 2) x, y of pixel corners.

    Holes are part of the outline: a line leads to each and back, so that one polygon says all.
    """
    from napari_al.core.opencv import cv2

    n, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for part in range(1, n):
        x, y, width, height = stats[part, :4].tolist()
        inside = parts[y : y + height, x : x + width] == part
        rings = sorted(_rings(inside), key=lambda ring: min(ring))  # the outer one begins highest
        points = list(rings[0])
        for hole in rings[1:]:
            points += [rings[0][0], *hole, hole[0]]
        yield np.array([(col + x, row + y) for row, col in points], np.int64)


def filled_outline(
    outline_xy: NDArray[np.float64] | NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return the (H, W) pixels whose centres are inside a polygon, by the even-odd rule."""
    height, width = shape
    flips = np.zeros((height, width + 1), np.int64)
    begins = np.asarray(outline_xy, np.float64).reshape(-1, 2)
    for a, b in zip(begins, np.roll(begins, -1, axis=0), strict=True):
        (x0, y0), (x1, y1) = (a, b) if a[1] <= b[1] else (b, a)  # both ways round give the same x
        rows = np.arange(max(int(np.ceil(y0 - 0.5)), 0), min(int(np.ceil(y1 - 0.5)), height))
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            np.add.at(flips, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    inside: NDArray[np.bool_] = np.cumsum(flips[:, :-1], axis=1) % 2 == 1
    return inside


def _rings(mask: NDArray[np.bool_]) -> Iterator[list[tuple[int, int]]]:
    """Yield closed lines (row, col) along the edges of pixels, the mask to their right."""
    padded = np.pad(mask, 1)
    here = padded[1:-1, 1:-1]
    outside = (~padded[:-2, 1:-1], ~padded[1:-1, 2:], ~padded[2:, 1:-1], ~padded[1:-1, :-2])
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))  # where the upper, right, ... edge begins
    leaving: dict[tuple[int, int], list[int]] = {}
    for direction, (free, (row, col)) in enumerate(zip(outside, corners, strict=True)):
        for r, c in np.argwhere(here & free).tolist():
            leaving.setdefault((r + row, c + col), []).append(direction)
    while leaving:
        start = at = min(leaving)
        direction = leaving[at][0]
        ring: list[tuple[int, int]] = []
        before = -1
        while True:
            ways = leaving[at]
            right = (before + 1) % 4
            direction = right if before >= 0 and right in ways else ways[0]
            ways.remove(direction)
            if not ways:
                del leaving[at]
            if direction != before:
                ring.append(at)
            before = direction
            at = (at[0] + _STEPS[direction][0], at[1] + _STEPS[direction][1])
            if at == start and (at not in leaving or (before + 1) % 4 not in leaving[at]):
                break
        yield ring
