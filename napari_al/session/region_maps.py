"""Base regions of each image: cut once, kept in ``cache/regions``, cut again if that is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_al.errors import InputError
from napari_al.session import pictures
from napari_al.session.initial import initial_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.config import ProjectConfig
    from napari_al.session.project import Project

N_KEPT = 32
"""Maps held in memory at a time."""


class RegionMaps:
    """``maps(image)`` is its (H, W) int32 map of base region ids, -1 where there is no region."""

    def __init__(self, project: Project, data: DataFolder, config: ProjectConfig) -> None:
        self._project, self._data, self._config = project, data, config
        self._get = lru_cache(maxsize=N_KEPT)(self._read_or_cut)

    def __call__(self, image: str) -> NDArray[np.int32]:
        """Return an image's map; not to be written to."""
        return self._get(image)

    def prepare(self, images: Iterable[str], on_done: Callable[[int], None]) -> None:
        """Cut what is missing, images side by side (OpenCV leaves the interpreter free)."""
        with ThreadPoolExecutor() as pool:
            for n_done, _ in enumerate(pool.map(self._read_or_cut, images), start=1):
                on_done(n_done)

    def _read_or_cut(self, image: str) -> NDArray[np.int32]:
        path = self._project.cache_file("regions", image, ".png")
        region_map = pictures.read_ids(path)
        if region_map is None or region_map.shape != self._data.shape(image):
            region_map = self._cut(image)
            if not self._project.read_only:
                pictures.write_ids(path, region_map)
        region_map.flags.writeable = False
        return region_map

    def _cut(self, image: str) -> NDArray[np.int32]:
        settings = self._config.regions
        if self._config.method.regions == "masks":
            masks = initial_masks(self._project, self._data, image)
            if masks is None:
                raise InputError(
                    f"regions='masks' needs object masks, and {image!r} has none; add "
                    "train/masks to the data folder, or use --init noisy or --init model"
                )
            return _contiguous(masks)
        from napari_al.core.superpixels import superpixels

        return superpixels(
            self._data.image(image),
            self._config.method.regions,
            n_per_image=settings.n_per_image,
            side_px=settings.side_px,
            seeds_hue=settings.seeds_hue,
        )


def _contiguous(masks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Object ids, 0 = none, to region ids 0..R-1, -1 = none, in ascending order of object id."""
    ids, inverse = np.unique(masks, return_inverse=True)
    offset = 1 if ids[0] == 0 else 0
    return (inverse.reshape(masks.shape) - offset).astype(np.int32)
