"""Scores of a pool or a part of it, one row per region that may be asked; their file format.

Scores refer to images by name, so they stay valid when other images are removed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.acquisition import BLOCK_ROWS
from napari_al.errors import InputError
from napari_al.session.project.cache_files import read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class PoolScores:
    """Regions that may be asked, image by image.

    Attributes
    ----------
    images : tuple of str
        Names of the images scored.
    shapes : (n_images, 2) int32
        Their heights and widths.
    image_index : (P,) int32
        Position of the region's image in ``images``; ascending.
    region_id : (P,) int32
        Base region id; of merged regions, that of the seed.
    score : (P,) float64
        Larger = ask sooner; -inf = never.
    pixel : (P,) int32 or None
        Flat index of the representative pixel (correction queries).
    predicted : (P,) int32 or None
        Class that the model gives most of the region; None where no model was asked.
    asks_all : (P,) bool or None
        Whether all classes in the region are asked for, else the dominant one; None where all
        regions are asked the same, and without a model.
    features : (P, C) float32 or None
        Mean probabilities (for automatic corrections).
    base_group : (B,) int32 or None
        Of each base region of each image, the seed of the merged region it belongs to.
    base_offset : (n_images + 1,) int64 or None
        Where each image's base regions begin in ``base_group``.
    """

    images: tuple[str, ...]
    shapes: NDArray[np.int32]
    image_index: NDArray[np.int32]
    region_id: NDArray[np.int32]
    score: NDArray[np.float64]
    pixel: NDArray[np.int32] | None = None
    predicted: NDArray[np.int32] | None = None
    asks_all: NDArray[np.bool_] | None = None
    features: NDArray[np.float32] | None = None
    base_group: NDArray[np.int32] | None = None
    base_offset: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.score)

    def rows_of(self, index: int) -> slice:
        """Rows of an image by its position in ``images``."""
        first, last = np.searchsorted(self.image_index, [index, index + 1])
        return slice(int(first), int(last))

    def groups_of(self, index: int) -> NDArray[np.int32] | None:
        """Return the (R,) seed id of each base region of an image; None where nothing is merged."""
        if self.base_group is None or self.base_offset is None:
            return None
        return self.base_group[self.base_offset[index] : self.base_offset[index + 1]]

    def base_ids(self, row: int) -> tuple[int, ...]:
        """Base region ids that a row's region covers, ascending."""
        groups = self.groups_of(int(self.image_index[row]))
        if groups is None:
            return (int(self.region_id[row]),)
        return tuple(np.flatnonzero(groups == self.region_id[row]).tolist())

    def spread(
        self, index: int, values: NDArray[Any], region_map: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Give each base region of an image the value of its row.

        Parameters
        ----------
        index : of the image in ``images``
        values : (P,) of each row of all images
        region_map : (H, W) base region ids of the image

        Returns
        -------
        (n_base,) float32
            NaN for base regions without a row.
        """
        n_base = int(region_map.max()) + 1
        self.check_fit(index, n_base)
        rows, groups = self.rows_of(index), self.groups_of(index)
        of_seed = np.full(n_base, np.nan, np.float32)
        of_seed[self.region_id[rows]] = values[rows]
        return of_seed if groups is None else of_seed[groups]

    def check_fit(self, index: int, n_base: int) -> None:
        """Check that an image's scores belong to the base regions that it has, by their number.

        Raises
        ------
        InputError
            They belong to others: the caches of two projects were mixed.
        """
        groups = self.groups_of(index)
        highest = int(self.region_id[self.rows_of(index)].max(initial=-1))
        if highest >= n_base or (groups is not None and len(groups) != n_base):
            raise InputError(
                f"{self.images[index]}: scores and regions in the project's cache do not belong "
                "together; close the project, delete its folder cache, and open it again"
            )

    def save(self, path: Path) -> None:
        """Write to ``path``."""
        arrays = {name: getattr(self, name) for name in _DTYPES}
        held = {name: array for name, array in arrays.items() if array is not None}
        write_arrays(path, held, self.images, key="images")

    @classmethod
    def load(cls, path: Path) -> PoolScores | None:
        """Read what ``save`` wrote; None where it is missing, damaged or inconsistent."""
        found = read_arrays(path, key="images")
        if found is None:
            return None
        arrays, images = found
        try:
            scores = cls(images, **arrays)
        except TypeError:  # other columns
            return None
        return scores if _is_consistent(scores) else None


def paint_scores(
    of_base: NDArray[np.float32], region_map: NDArray[np.int32], settled: Iterable[int] = ()
) -> NDArray[np.float32]:
    """(H, W) scores of base regions; NaN where there is no region, or a settled one, or -inf."""
    painted = np.append(of_base, np.float32(np.nan))  # the last one: no region
    painted[[region_id for region_id in settled if region_id < len(of_base)]] = np.nan
    painted[~np.isfinite(painted)] = np.nan
    return painted[region_map]


_DTYPES = {
    "shapes": np.int32,
    "image_index": np.int32,
    "region_id": np.int32,
    "score": np.float64,
    "pixel": np.int32,
    "predicted": np.int32,
    "asks_all": np.bool_,
    "features": np.float32,
    "base_group": np.int32,
    "base_offset": np.int64,
}


def _is_consistent(scores: PoolScores) -> bool:
    """Validate dtypes, shapes and index ranges, for a cache may hold anything."""
    n_images, n_rows = len(scores.images), len(scores.score)
    names = scores.images
    held = {f.name: getattr(scores, f.name) for f in fields(scores) if f.name != "images"}
    arrays = {name: value for name, value in held.items() if value is not None}
    if any(array.dtype != _DTYPES[name] for name, array in arrays.items()):
        return False
    flat = all(array.ndim == 1 for n, array in arrays.items() if n not in ("shapes", "features"))
    of_rows = ("image_index", "region_id", "pixel", "predicted", "asks_all", "features")
    by_row = [arrays[n] for n in of_rows if n in arrays]
    if not (
        flat
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == n_images
        and scores.shapes.shape == (n_images, 2)
        and all(len(array) == n_rows for array in by_row)
        and (scores.features is None or scores.features.ndim == 2)
    ):
        return False
    blocks = (slice(start, start + BLOCK_ROWS) for start in range(0, n_rows, BLOCK_ROWS))
    return _groups_fit_images(scores) and all(_rows_are_consistent(scores, b) for b in blocks)


def _rows_are_consistent(scores: PoolScores, rows: slice) -> bool:
    """Validate some rows, and that the next one's image does not come before theirs."""
    index, region_id = scores.image_index[rows], scores.region_id[rows]
    if (np.diff(scores.image_index[rows.start : rows.stop + 1]) < 0).any():
        return False
    if index.min() < 0 or index.max() >= len(scores.images) or region_id.min() < 0:
        return False
    if scores.pixel is not None:
        pixel, n_pixels = scores.pixel[rows], scores.shapes.astype(np.int64).prod(axis=1)[index]
        if (pixel < 0).any() or (pixel >= n_pixels).any():
            return False
    if scores.predicted is not None:
        predicted = scores.predicted[rows]
        if (predicted < 0).any() or (predicted > IGNORE).any():
            return False
    offset = scores.base_offset
    return offset is None or bool((region_id < np.diff(offset)[index]).all())


def _groups_fit_images(scores: PoolScores) -> bool:
    group, offset = scores.base_group, scores.base_offset
    if group is None or offset is None:
        return group is offset
    if len(offset) != len(scores.images) + 1 or offset[0] != 0 or offset[-1] != len(group):
        return False
    counts = np.diff(offset)
    if (counts < 0).any():
        return False
    of_group = np.repeat(counts, counts)
    return bool(group.min(initial=0) >= 0 and (group < of_group).all())
