"""Random views of a training image: scale, crop, flip and a mild change of colours.

The window that becomes the crop is cut first and resized after, so the cost depends on the crop,
not on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALES = (0.5, 2.0)
"""Least and largest magnification; the logarithm is uniform between them."""
COLOUR_JITTER = 0.25
"""Largest change of contrast, and of brightness in standard deviations of the image."""


@dataclass(frozen=True, slots=True)
class View:
    """A window of an image and how it is shown.

    Attributes
    ----------
    top, left : int
        Its first row and column in the image; may lie outside.
    side_px : int
        Its side in the image.
    flipped : bool
        Whether left and right are swapped.
    """

    top: int
    left: int
    side_px: int
    flipped: bool


def random_view(
    shape: tuple[int, int],
    crop_px: int,
    anchor_rc: tuple[int, int],
    rng: np.random.Generator,
) -> View:
    """Draw a window that holds a given pixel.

    Parameters
    ----------
    shape : (int, int)
        H, W of the image in pixels.
    crop_px : int
        Side of the crop that the window becomes.
    anchor_rc : (int, int)
        A pixel that the window has to hold: one with a label, for labels can be sparse.
    rng : Generator
    """
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    side = max(1, round(crop_px / scale))
    top, left = (_start(n, side, at, rng) for n, at in zip(shape, anchor_rc, strict=True))
    return View(top, left, side, bool(rng.integers(2)))


def _start(length: int, side: int, anchor: int, rng: np.random.Generator) -> int:
    """First index of a window of ``side`` that holds ``anchor``, inside the image if it fits."""
    drawn = int(rng.integers(anchor - side + 1, anchor + 1))
    low, high = min(0, length - side), max(0, length - side)
    return min(max(drawn, low), high)


def view_of_map(
    label_map: NDArray[np.generic], view: View, crop_px: int, fill: int
) -> NDArray[np.generic]:
    """The view of a (H, W) map of ids: nearest pixel, ``fill`` outside; (crop_px, crop_px)."""
    # the same pixel centres as cv2.resize in view_of_image
    steps = ((np.arange(crop_px) + 0.5) * view.side_px / crop_px).astype(np.intp)
    rows, cols = view.top + steps, view.left + (steps[::-1] if view.flipped else steps)
    height, width = label_map.shape
    out = label_map[np.clip(rows, 0, height - 1)[:, None], np.clip(cols, 0, width - 1)]
    out[(rows < 0) | (rows >= height)] = fill
    out[:, (cols < 0) | (cols >= width)] = fill
    return out


def view_of_image(image: NDArray[np.generic], view: View, crop_px: int) -> NDArray[np.float32]:
    """The view of a (H, W, C) image: bilinear, edges repeated outside; (crop_px, crop_px, C)."""
    height, width, n_channels = image.shape
    bottom, right = view.top + view.side_px, view.left + view.side_px
    inside = image[max(view.top, 0) : max(bottom, 0), max(view.left, 0) : max(right, 0)]
    out: NDArray[np.float32] = cv2.resize(
        np.pad(
            inside.astype(np.float32),
            (
                (max(-view.top, 0), max(bottom - height, 0)),
                (max(-view.left, 0), max(right - width, 0)),
                (0, 0),
            ),
            mode="edge",
        ),
        (crop_px, crop_px),
        interpolation=cv2.INTER_LINEAR,
    ).reshape(crop_px, crop_px, n_channels)
    return out[:, ::-1] if view.flipped else out


def jitter_colours(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change contrast and brightness a little, relative to each channel's own range.

    Parameters
    ----------
    image : (H, W, C) float32
        In any units; each channel gets its own small shift besides the common one.
    rng : Generator
    """
    some = image[::4, ::4]  # enough for a mean and a spread
    mean, spread = some.mean(axis=(0, 1)), some.std(axis=(0, 1)) * COLOUR_JITTER
    contrast = 1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER)
    shift = spread * (rng.uniform(-1, 1) + 0.3 * rng.uniform(-1, 1, image.shape[2]))
    offset = (mean * (1 - contrast) + shift).astype(np.float32)
    changed: NDArray[np.float32] = image * np.float32(contrast) + offset
    return changed
