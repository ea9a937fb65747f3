"""Base regions of each image, computed once and cached in ``cache/regions``.

Initial labels are cached in memory as well: both are read for every query about an image.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.methods.regions import base_regions, contiguous
from napari_al.session.project import cache_files
from napari_al.session.project.initial_labels import (
    has_initial_labels,
    initial_labels,
    initial_masks,
)
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project

N_KEPT = 32
"""Maps held in memory at a time."""
N_MASKS_KEPT = 256
"""Masks of single regions: those of the next queries are wanted again with every answer."""


class RegionMaps:
    """``maps(image)`` is its (H, W) int32 map of base region ids, -1 where there is no region."""

    def __init__(self, project: Project, data: DataFolder, config: ProjectConfig) -> None:
        self._project, self._data, self._config = project, data, config
        self._get = lru_cache(maxsize=N_KEPT)(self._read_or_cut)
        self._get_labels = lru_cache(maxsize=N_KEPT)(self._read_labels)
        self._get_number = lru_cache(maxsize=N_KEPT)(self._count)
        self._get_mask = lru_cache(maxsize=N_MASKS_KEPT)(self._mask_of)

    def __call__(self, image: str) -> NDArray[np.int32]:
        """Return an image's map; not to be written to."""
        return self._get(image)

    def n_regions(self, image: str) -> int:
        """Return how many base regions an image has."""
        return self._get_number(image)

    def mask(self, image: str, ids: tuple[int, ...]) -> Mask:
        """Return the pixels of some base regions of an image, taken together."""
        return self._get_mask(image, ids)

    def initial_labels(self, image: str) -> NDArray[np.uint8]:
        """Return the (H, W) labels to correct (``initial_labels.py``); not to be written to."""
        return self._get_labels(image)

    def check_size(self, image: str) -> None:
        """Check that the image still has the size that it had when its regions were cut.

        Raises
        ------
        InputError
            It was replaced, so that regions and answers would lie in wrong places.
        """
        path, shape = self._path(image), self._data.shape(image)
        then = cache_files.read_size(path)
        if then not in (None, shape):
            raise InputError(
                f"{image} had {then[1]} x {then[0]} pixels when its regions were cut, and now has "
                f"{shape[1]} x {shape[0]}; put the old file back, or delete {path} and undo the "
                "answers about it"
            )

    def _path(self, image: str) -> Path:
        return self._project.cache_file("regions", image, ".png")

    def _read_or_cut(self, image: str) -> NDArray[np.int32]:
        self.check_size(image)
        path = self._path(image)
        region_map = cache_files.read_ids(path)
        if region_map is None or not -1 <= region_map.min() <= region_map.max() < region_map.size:
            region_map = self._without_nodata(image, self._cut(image))
            if not self._project.read_only:
                with suppress(WriteError):  # it can be cut again
                    cache_files.write_ids(path, region_map)
        region_map.flags.writeable = False
        return region_map

    def _count(self, image: str) -> int:
        return int(self(image).max()) + 1

    def _mask_of(self, image: str, ids: tuple[int, ...]) -> Mask:
        region_map = self(image)
        inside = region_map == ids[0] if len(ids) == 1 else np.isin(region_map, ids)
        return Mask.from_array(inside)

    def _read_labels(self, image: str) -> NDArray[np.uint8]:
        labels = initial_labels(self._project, self._data, image)
        labels.flags.writeable = False
        return labels

    def _cut(self, image: str) -> NDArray[np.int32]:
        method, objects, labels = self._config.method, None, None
        asks_about_labels = method.query == "correction"
        if asks_about_labels and not has_initial_labels(self._project, self._data, image):
            return np.full(self._data.shape(image), -1, np.int32)
        if method.regions == "masks":
            objects = initial_masks(self._project, self._data, image)
            if objects is None and asks_about_labels:
                labels = self.initial_labels(image)
            elif objects is None:
                raise InputError(
                    f"regions='masks' needs object masks, and {image!r} has none; add "
                    "train/masks to the data folder, or choose other regions"
                )
        return base_regions(
            method, self._config.regions, lambda: self._data.image(image), objects, labels
        )

    def _without_nodata(self, image: str, region_map: NDArray[np.int32]) -> NDArray[np.int32]:
        """Take pixels without data out of every region; the ids stay contiguous."""
        valid = self._data.valid(image)
        return region_map if valid is None else contiguous(np.where(valid, region_map + 1, 0))
