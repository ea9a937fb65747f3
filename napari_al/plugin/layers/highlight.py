"""The highlight of the queried region, as an array of codes; no Qt.

The array is finer than the image by an integer factor, so that lines can be thinner than an image
pixel. Everything outside the region is darkened; the region itself stays uncovered, except for a
line where it ends with the image. Its outline has two tones: one is visible on any image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.core.geometry.masks import Mask

CLEAR, LIGHT, DARK = 0, 1, 2
N_SHADES = 10
DIM = DARK + N_SHADES
"""The darkest shade outside the region; the codes below it are lighter, for darker pictures."""
N_CODES = DIM + 1

MAX_TEXELS = 3_000_000
MAX_FINENESS = 6
SMALL_PX = 22.0
"""Screen pixels; a smaller region gets a ring around it."""
RING_RADIUS_PX = 26.0
DASH_PX = 6.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks besides the region itself: the pixel asked about, and the bounding box."""

    pixel_rc: tuple[int, int] | None = None
    box: bool = False


def fineness(shape: tuple[int, int]) -> int:
    """Return the texels per side of an image pixel, at least 1."""
    n_px = shape[0] * shape[1]
    return int(np.clip(np.sqrt(MAX_TEXELS / n_px), 1, MAX_FINENESS))


def blank(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an empty picture for an image of (height, width): (H k, W k) uint8."""
    k = fineness(shape)
    return np.zeros((shape[0] * k, shape[1] * k), np.uint8)


def draw(
    picture: NDArray[np.uint8],
    mask: Mask,
    *,
    texel_px: float,
    k: int,
    line_px: float = 2.0,
    marks: Marks | None = None,
    dim: int = DIM,
) -> None:
    """Draw a region into a picture, in place.

    Parameters
    ----------
    picture : (H k, W k) uint8, overwritten.
    mask : the region, in image pixels.
    texel_px : screen pixels along a texel's side at the present zoom.
    k : texels along an image pixel's side.
    line_px : thickness of each tone of the outline, screen pixels.
    marks : the pixel in question and the bounding box, for corrections.
    dim : code of what is outside the region.
    """
    picture.fill(dim)
    line = max(1, round(line_px / texel_px))
    row0, col0, row1, col1 = (k * edge for edge in mask.box)
    pad = 2 * line
    inside = np.pad(_enlarged(mask.crop(), k), pad)
    light = dilated(inside, line)
    codes = np.full(inside.shape, dim, np.uint8)
    for code, where in ((DARK, dilated(light, line)), (LIGHT, light), (CLEAR, inside)):
        np.copyto(codes, code, where=where)
    _paste(picture, codes, row0 - pad, col0 - pad)
    if min(row1 - row0, col1 - col0) > 8 * line:
        _close_at_edges(picture, line)
    if max(row1 - row0, col1 - col0) * texel_px < SMALL_PX:
        _ring(picture, ((row0 + row1) / 2, (col0 + col1) / 2), RING_RADIUS_PX / texel_px, line)
    if marks is not None:
        if marks.box:
            _box(picture, (row0, col0, row1, col1), line, max(1, round(DASH_PX / texel_px)), pad)
        if marks.pixel_rc is not None:
            _cross(picture, marks.pixel_rc, k, line, texel_px)


def _close_at_edges(picture: NDArray[np.uint8], line: int) -> None:
    """Draw the outline inside a region where it ends with the image.

    Otherwise a region that fills half of a black image could be either half.
    """
    for code, at in ((DARK, slice(line)), (LIGHT, slice(line, 2 * line))):
        for edge_first in (picture, picture[::-1], picture.T, picture.T[::-1]):
            band = edge_first[at]
            band[band == CLEAR] = code


def _enlarged(inside: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    return inside.repeat(k, axis=0).repeat(k, axis=1)


def dilated(inside: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """Grow by a square of n texels on each side; each pass doubles what the last one reached."""
    out = inside.copy()
    for axis in (0, 1):
        reached = 0
        while reached < n:
            step = min(n - reached, 2 * reached + 1)
            grown = out.copy()
            lower, upper = _shifted(axis, step)
            grown[lower] |= out[upper]
            grown[upper] |= out[lower]
            out = grown
            reached += step
    return out


def _shifted(axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    lower, upper = [slice(None)] * 2, [slice(None)] * 2
    lower[axis], upper[axis] = slice(step, None), slice(None, -step)
    return tuple(lower), tuple(upper)


def _paste(picture: NDArray[np.uint8], patch: NDArray[np.uint8], row: int, col: int) -> None:
    """Write a patch whose first texel lies at (row, col), as far as it is inside the picture."""
    top, left = max(0, -row), max(0, -col)
    bottom = min(patch.shape[0], picture.shape[0] - row)
    right = min(patch.shape[1], picture.shape[1] - col)
    if bottom > top and right > left:
        picture[row + top : row + bottom, col + left : col + right] = patch[top:bottom, left:right]


def _window(
    picture: NDArray[np.uint8], centre_rc: tuple[float, float], radius: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the picture near a point, and each texel's distance from the point."""
    row0, col0 = (max(0, int(c - radius)) for c in centre_rc)
    view = picture[row0 : int(centre_rc[0] + radius) + 1, col0 : int(centre_rc[1] + radius) + 1]
    rows = np.arange(row0, row0 + view.shape[0]) + 0.5 - centre_rc[0]
    cols = np.arange(col0, col0 + view.shape[1]) + 0.5 - centre_rc[1]
    return view, np.hypot(rows[:, None], cols[None, :])


def _ring(
    picture: NDArray[np.uint8], centre_rc: tuple[float, float], radius: float, line: int
) -> None:
    view, distance = _window(picture, centre_rc, radius + 2 * line)
    view[(distance >= radius) & (distance < radius + line)] = LIGHT
    view[(distance >= radius + line) & (distance < radius + 2 * line)] = DARK


def _box(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], line: int, dash: int, pad: int
) -> None:
    """Draw a dashed box around (row0, col0, row1, col1), in texels, `pad` texels outside it."""
    n_rows, n_cols = picture.shape
    row0, col0 = max(0, box[0] - pad - line), max(0, box[1] - pad - line)
    row1, col1 = min(n_rows, box[2] + pad + line), min(n_cols, box[3] + pad + line)
    across = np.where(np.arange(col1 - col0) // dash % 2 == 0, LIGHT, DARK)
    down = np.where(np.arange(row1 - row0) // dash % 2 == 0, LIGHT, DARK)
    picture[row0 : row0 + line, col0:col1] = across
    picture[row1 - line : row1, col0:col1] = across
    picture[row0:row1, col0 : col0 + line] = down[:, None]
    picture[row0:row1, col1 - line : col1] = down[:, None]


def _cross(
    picture: NDArray[np.uint8], pixel_rc: tuple[int, int], k: int, line: int, texel_px: float
) -> None:
    """Draw four arms that point at a pixel, which stays free itself."""
    row, col = (int((index + 0.5) * k) for index in pixel_rc)
    gap = max(k // 2 + 1, round(4 / texel_px))
    arm = gap + max(2, round(16 / texel_px))
    half = line
    for width, code in ((half + line, DARK), (half, LIGHT)):
        for sign in (-1, 1):
            ends = sorted((sign * gap, sign * (arm + (code == DARK) * line)))
            _fill(picture, row + ends[0], row + ends[1], col - width, col + width, code)
            _fill(picture, row - width, row + width, col + ends[0], col + ends[1], code)


def _fill(
    picture: NDArray[np.uint8], row0: int, row1: int, col0: int, col1: int, code: int
) -> None:
    picture[max(0, row0) : max(0, row1), max(0, col0) : max(0, col1)] = code
