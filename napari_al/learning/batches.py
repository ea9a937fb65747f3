"""Training batches, prepared in advance on background threads.

A batch depends on (seed, step, batch size) only, not on thread timing: each crop has its own random
generator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from napari_al.core import IGNORE
from napari_al.learning.augment import jitter_colours, random_view, view_of_image, view_of_map

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

N_THREADS = 2
N_AHEAD = 3
"""Batches prepared in advance."""
N_TRIES = 10
"""Samples tried for one place in a batch until one has a labelled pixel."""

Draw = Callable[["Sample", np.random.Generator], "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A training image with its labels: classes of pixels, or sets of classes of regions.

    Attributes
    ----------
    image : (H, W, C) array
        Any dtype, in the units of its file.
    class_map : (H, W) uint8 or None
        Class ids, IGNORE where there is none.
    region_map : (H, W) int32 or None
        Rows of ``candidates``; -1 where there is no region. Beside a ``class_map`` it says which
        pixels belong together (``labelled_pixels.py``).
    candidates : (R, K) bool or None
        The classes that a region may hold; a row without any is not trained on.
    """

    image: NDArray[np.generic]
    class_map: NDArray[np.uint8] | None = None
    region_map: NDArray[np.int32] | None = None
    candidates: NDArray[np.bool_] | None = None

    def labelled(self) -> NDArray[np.bool_]:
        """(H, W) bool: the pixels with a training signal."""
        out = np.zeros(self.image.shape[:2], bool)
        if self.class_map is not None:
            out |= self.class_map != IGNORE
        if self.region_map is not None and self.candidates is not None:
            # the last row, which -1 indexes, stands for no region
            out |= np.append(self.candidates.any(axis=1), False)[self.region_map]
        return out


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of crops on one device.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W) float32.
    class_map : Tensor or None
        (N, H, W) int64.
    region_map : Tensor or None
        (N, H, W) int64: rows of ``candidates``, -1 for none.
    candidates : Tensor or None
        (M, K) bool: the rows of all crops' samples.
    """

    images: Tensor
    class_map: Tensor | None
    region_map: Tensor | None
    candidates: Tensor | None

    @property
    def has_labels(self) -> bool:
        """Whether any pixel has a training signal."""
        return (self.class_map is not None and bool((self.class_map != IGNORE).any())) or (
            self.region_map is not None and bool((self.region_map >= 0).any())
        )

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        labels = (self.class_map, self.region_map, self.candidates)
        return Batch(
            self.images.to(device), *(None if part is None else part.to(device) for part in labels)
        )


class BatchLoader:
    """Batches of random crops, step by step.

    Every sample is seen once before any is seen again, in an order drawn anew each time.

    Parameters
    ----------
    n_samples : int
    get_sample : callable
        Sample by index in ``range(n_samples)``; called from several threads at once.
    draw : callable
        Makes of a sample what enters the batch; the same size each time.
    batch_size : int
    seed : int
    """

    def __init__(
        self,
        n_samples: int,
        get_sample: Callable[[int], Sample],
        draw: Draw,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.batch_size = batch_size
        self._n_samples = n_samples
        self._get_sample = get_sample
        self._draw = draw
        self._seed = seed
        self._threads = ThreadPoolExecutor(N_THREADS, "batches")
        self._pending: deque[tuple[int, list[Future[Sample]]]] = deque()

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def get(self, step: int) -> Batch:
        """Return the batch of a step and start preparing the next ones."""
        while self._pending and self._pending[0][0] < step:
            self._pending.popleft()
        begun = self._pending[-1][0] + 1 if self._pending else step
        for ahead in range(begun, step + N_AHEAD + 1):
            crops = [self._threads.submit(self._crop, ahead, i) for i in range(self.batch_size)]
            self._pending.append((ahead, crops))
        return _stack([crop.result() for crop in self._pending.popleft()[1]])

    def halve(self) -> None:
        """Make smaller batches from now on."""
        self.batch_size = max(1, self.batch_size // 2)
        self._pending.clear()

    def _crop(self, step: int, place: int) -> Sample:
        rng = np.random.default_rng([self._seed, step, place])
        position = step * self.batch_size + place
        for _ in range(N_TRIES):
            sample = self._get_sample(self._index(position))
            if sample.labelled().any():
                break
            position = int(rng.integers(self._n_samples))
        return self._draw(sample, rng)

    def _index(self, position: int) -> int:
        epoch, at = divmod(position, self._n_samples)
        order = np.random.default_rng([self._seed, epoch]).permutation(self._n_samples)
        return int(order[at])


def random_crop(crop_px: int, sample: Sample, rng: np.random.Generator) -> Sample:
    """A random view of an image that holds a labelled pixel, if there is one."""
    height, width = sample.image.shape[:2]
    labelled = np.flatnonzero(sample.labelled())
    anchor = divmod(int(rng.choice(labelled)) if labelled.size else 0, width)
    view = random_view((height, width), crop_px, anchor, rng)
    image = jitter_colours(view_of_image(sample.image, view, crop_px), rng)
    class_map, region_map = sample.class_map, sample.region_map
    if class_map is not None:
        class_map = cast("NDArray[np.uint8]", view_of_map(class_map, view, crop_px, IGNORE))
    if region_map is not None:
        region_map = cast("NDArray[np.int32]", view_of_map(region_map, view, crop_px, -1))
    return Sample(image, class_map, region_map, sample.candidates)


def _stack(crops: list[Sample]) -> Batch:
    images = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
    class_map = region_map = candidates = None
    class_maps = [crop.class_map for crop in crops if crop.class_map is not None]
    if class_maps:
        class_map = torch.from_numpy(np.stack(class_maps)).long()
    if crops[0].region_map is not None:
        parts = [_own_regions(crop) for crop in crops]
        offsets = np.cumsum([0, *(len(rows) for _, rows in parts[:-1])])
        region_map = torch.from_numpy(
            np.stack(
                [
                    np.where(ids >= 0, ids + at, -1)
                    for (ids, _), at in zip(parts, offsets, strict=True)
                ]
            )
        )
        candidates = torch.from_numpy(np.concatenate([rows for _, rows in parts]))
    return Batch(images, class_map, region_map, candidates)


def _own_regions(crop: Sample) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Renumber the regions visible in a crop from 0, with their rows of candidates."""
    region_map, candidates = crop.region_map, crop.candidates
    if region_map is None or candidates is None:
        raise ValueError("a sample with a region_map needs candidates, and all samples alike")
    ids = np.where(np.append(candidates.any(axis=1), False)[region_map], region_map, -1)
    present, compact = np.unique(ids, return_inverse=True)
    n_none = int(present[0] == -1)
    return compact.reshape(ids.shape) - n_none, candidates[present[n_none:]]
