"""Base regions: an image cut into cells that follow its edges (SEEDS, SLIC) or into squares.

SEEDS is cut as in the code of Cai et al. 2021 and Kim et al. 2023: histogram equalisation over RGB
jointly, HSV, 10 bins a channel, 5 levels, prior 3, double step, 10 iterations. Three things are
our own:

- OpenCV is given the histogram bin of each pixel in one channel instead of the three channels. Its
  histograms then have as many bins as occur, some 200 instead of 1000; the superpixels are the
  same, in a fraction of the time (``benchmarks/superpixels.py``).
- SEEDS halves its cells from level to level, so that it can make only some numbers of superpixels:
  asked for 200, it gives 64 for 256x256 pixels. Where the papers' settings miss the number asked
  for by more than a third, other ones are taken; images too small or too thin for SEEDS are cut
  into squares.
- Ids are made contiguous. As in the papers, a superpixel that lies in several pieces stays one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core.opencv import cv2, ximgproc
from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Hue = Literal["degrees", "unit"]

_N_BINS = 10
_N_LEVELS = 5
_FEWEST_LEVELS = 2
_PRIOR = 3
_N_ITERATIONS = 10
_TOLERATED_FACTOR = 4 / 3


@dataclass(frozen=True, slots=True)
class CutSettings:
    """What can be chosen; each kind reads its own.

    Attributes
    ----------
    n_per_image : int
        Superpixels asked of SEEDS and SLIC, which make about as many.
    side_px : int
        Side of a grid's squares.
    seeds_hue : {"degrees", "unit"}
        SEEDS takes channels from 0 to 1 and puts what is above into the last bin. ``degrees``
        leaves the hue from 0 to 360, as the papers' code does: it then only says whether a pixel
        is red. ``unit`` divides by 360.
    """

    n_per_image: int = 200
    side_px: int = 32
    seeds_hue: Hue = "degrees"


def superpixels(
    image: NDArray[Any],
    kind: str,
    *,
    n_per_image: int = 200,
    side_px: int = 32,
    seeds_hue: Hue = "degrees",
) -> NDArray[np.int32]:
    """Cut an image into regions; the same image gives the same regions.

    Parameters
    ----------
    image : (H, W, C) or (H, W) array
        Of any integer, bool or float type and range, with any number of channels. Three are taken
        for RGB. SEEDS reduces four or more to their three principal components.
    kind : str
        A key of ``SUPERPIXELS``.
    n_per_image, side_px, seeds_hue
        See ``CutSettings``.

    Returns
    -------
    (H, W) int32
        Region ids from 0 to R - 1, each at least once.

    Raises
    ------
    InputError
        If there is no such kind, the image is empty or holds NaN or infinite values, or a number
        is below 1.
    """
    if kind not in SUPERPIXELS:
        raise InputError(f"superpixels: {kind!r} is none of {', '.join(SUPERPIXELS)}")
    if image.ndim not in (2, 3) or image.size == 0:
        raise InputError(f"superpixels: an image (H, W, C) was expected, got {image.shape}")
    if n_per_image < 1 or side_px < 1:
        raise InputError(
            f"superpixels: n_per_image={n_per_image} and side_px={side_px} must be at least 1"
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError("superpixels: the image holds NaN or infinite values; replace them first")
    pixels = image.reshape(*image.shape[:2], -1)
    return _contiguous(SUPERPIXELS[kind](pixels, CutSettings(n_per_image, side_px, seeds_hue)))


def _seeds(image: NDArray[Any], settings: CutSettings) -> NDArray[np.integer[Any]]:
    height, width, _ = image.shape
    layout = seeds_layout(height, width, settings.n_per_image)
    if layout is None:
        return _grid(image, CutSettings(side_px=_side_px(height, width, settings.n_per_image)))
    bins, n_bins = _bins(image, settings.seeds_hue)
    n_superpixels, n_levels = layout
    seeds = ximgproc().createSuperpixelSEEDS(
        width, height, 1, n_superpixels, n_levels, _PRIOR, n_bins, True
    )
    seeds.iterate(((bins + 0.5) / n_bins).astype(np.float32), _N_ITERATIONS)
    labels: NDArray[np.int32] = seeds.getLabels()
    return labels


def _slic(image: NDArray[Any], settings: CutSettings) -> NDArray[np.integer[Any]]:
    from skimage.segmentation import slic

    if settings.n_per_image == 1 or image.shape[0] * image.shape[1] == 1:
        return np.zeros(image.shape[:2], np.int32)
    is_rgb = image.shape[2] == 3
    labels: NDArray[np.int64] = slic(
        image.astype(np.float64) if is_rgb else _unit_range(image),
        n_segments=settings.n_per_image,
        compactness=10 if is_rgb else 0.1,  # Lab reaches to 100, other channels from 0 to 1
        convert2lab=is_rgb,
        start_label=0,
        channel_axis=-1,
    )
    return labels


def _unit_range(image: NDArray[Any]) -> NDArray[np.float64]:
    """Each channel from 0 to 1, but for its most extreme pixels: SLIC scales all alike."""
    low, high = np.percentile(image.astype(np.float64), (1, 99), axis=(0, 1))
    scaled = (image - low) / np.where(high > low, high - low, 1)
    return np.asarray(np.clip(scaled, 0, 1))


def _grid(image: NDArray[Any], settings: CutSettings) -> NDArray[np.integer[Any]]:
    """Squares, row by row; those at the lower and right border are clipped."""
    height, width, _ = image.shape
    n_cols = math.ceil(width / settings.side_px)
    rows = np.arange(height) // settings.side_px
    cols = np.arange(width) // settings.side_px
    ids: NDArray[np.int64] = rows[:, None] * n_cols + cols
    return ids


SUPERPIXELS: Mapping[str, Callable[[NDArray[Any], CutSettings], NDArray[np.integer[Any]]]] = {
    "seeds": _seeds,
    "slic": _slic,
    "grid": _grid,
}
"""Kinds of base regions: each makes (H, W) ids of an (H, W, C) image."""


def seeds_layout(height: int, width: int, n_asked: int) -> tuple[int, int] | None:
    """Find the number of superpixels and of levels to ask of OpenCV for about ``n_asked``.

    The papers' settings if they come within a third; else the most levels that do; else whatever
    comes nearest. None if that is less than half or more than double the number asked for, as
    happens with few superpixels and with small images.
    """

    def factor(layout: tuple[int, int]) -> float:
        n = seeds_count(height, width, *layout)
        return max(n / n_asked, n_asked / n) if n else math.inf

    papers = (n_asked, _N_LEVELS)
    if factor(papers) <= _TOLERATED_FACTOR:
        return papers
    highest = math.isqrt(4 * n_asked * height // width) + 2
    sizes = [math.ceil(h * h * width / height) for h in range(1, min(highest, height) + 1)]
    nearest = [
        min(((n, n_levels) for n in sizes), key=factor)
        for n_levels in range(_N_LEVELS, _FEWEST_LEVELS - 1, -1)
    ]
    good = [layout for layout in nearest if factor(layout) <= _TOLERATED_FACTOR]
    best = good[0] if good else min(nearest, key=factor)
    return best if factor(best) <= 2 else None


def _side_px(height: int, width: int, n_asked: int) -> int:
    """Side of squares of which the image has about ``n_asked``: never more than double."""

    def factor(side_px: int) -> float:
        n = math.ceil(height / side_px) * math.ceil(width / side_px)
        return max(n / n_asked, n_asked / n)

    return min(range(1, max(height, width) + 1), key=factor)


def seeds_count(height: int, width: int, n_superpixels: int, n_levels: int) -> int:
    """Count the superpixels that OpenCV's SEEDS starts from; 0 where it would crash or hang.

    It counts rows and columns of cells from ``n_superpixels``, rounds the smallest cells' sides up
    and drops levels until those are at least a pixel. It does not check that a level is left, nor
    that any cell fits.
    """
    n_rows = int(np.sqrt(np.float32(max(n_superpixels, 10)) * np.float32(height) / width))
    n_cols = n_rows * width // height
    if n_rows == 0 or n_cols == 0:
        return 0
    while n_levels >= _FEWEST_LEVELS:
        cell_height = np.float32(height) / n_rows / 2 ** (n_levels - 1)
        cell_width = np.float32(width) / n_cols / 2 ** (n_levels - 1)
        if min(cell_height, cell_width) >= 1:
            in_rows = height // math.ceil(cell_height) >> (n_levels - 1)
            in_cols = width // math.ceil(cell_width) >> (n_levels - 1)
            return int(in_rows * in_cols)
        n_levels -= 1
    return 0


def _bins(image: NDArray[Any], hue: Hue) -> tuple[NDArray[np.intp], int]:
    """(H, W) index of each pixel's histogram bin among the bins that occur, and their number."""
    channels = _channels(image, hue)
    bins = np.zeros(image.shape[:2], np.intp)
    for c in range(channels.shape[2]):
        of_channel = (channels[..., c] * np.float32(_N_BINS)).astype(np.intp)
        bins = bins * _N_BINS + np.clip(of_channel, 0, _N_BINS - 1)
    occurs = np.bincount(bins.ravel()) > 0
    return (np.cumsum(occurs) - 1)[bins], int(occurs.sum())


def _channels(image: NDArray[Any], hue: Hue) -> NDArray[np.float32]:
    """One to three channels, of which SEEDS sees what lies from 0 to 1."""
    n_channels = image.shape[2]
    if n_channels == 3:
        hsv: NDArray[np.float32] = cv2.cvtColor(_equalised(image), cv2.COLOR_RGB2HSV)
        if hue == "unit":
            hsv[..., 0] /= 360
        return hsv
    if n_channels < 3:  # of different kinds, so each on its own
        return np.stack([_equalised(image[..., c]) for c in range(n_channels)], axis=-1)
    return _principal_components(image)


def _equalised(values: NDArray[Any]) -> NDArray[np.float32]:
    """Share of values that are not larger: histogram equalisation, whatever the type and range."""
    if values.dtype in (np.uint8, np.uint16):
        counts, rank = np.bincount(values.ravel()), values
    else:
        _, rank, counts = np.unique(values, return_inverse=True, return_counts=True)
    share = (np.cumsum(counts) / values.size).astype(np.float32)
    equalised: NDArray[np.float32] = share[rank].reshape(values.shape)
    return equalised


def _principal_components(image: NDArray[Any]) -> NDArray[np.float32]:
    """First three components of the standardised channels; the first spreads over 0 to 1."""
    pixels = image.reshape(-1, image.shape[2]).astype(np.float64)
    pixels /= max(np.abs(pixels).max(), 1)  # so that squares of large values stay finite
    pixels -= pixels.mean(axis=0)
    spread = pixels.std(axis=0)
    pixels /= np.where(spread > 0, spread, 1)
    variance, axes = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    axes = axes[:, :-4:-1]
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.sign(axes[largest, np.arange(3)])
    scale = 4 * math.sqrt(max(variance[-1], np.finfo(np.float64).tiny))
    components: NDArray[np.float32] = (pixels @ axes / scale + 0.5).astype(np.float32)
    return components.reshape(*image.shape[:2], 3)


def _contiguous(labels: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Ids from 0 without gaps, in the same order."""
    occurs = np.bincount(labels.ravel()) > 0
    new_ids = np.cumsum(occurs, dtype=np.int32) - 1
    contiguous: NDArray[np.int32] = new_ids[labels]
    return contiguous
