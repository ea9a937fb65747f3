"""The pool image by image: progress of the answers, and answers to open regions as predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.acquisition import BLOCK_ROWS
from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.methods.queries import ONE_CLICK, Answer, Query, Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_al.session.pool.order import Pool
    from napari_al.session.pool.queue import AnsweredState


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """Progress of the answers in an image.

    Attributes
    ----------
    image : str
    n_regions, n_answered : int
        Base regions, all of them and those with an answer.
    score : float or None
        Mean score of its regions by the newest model; None before the first one.
    """

    image: str
    n_regions: int
    n_answered: int
    score: float | None

    @property
    def share_answered(self) -> float:
        """Answered regions among all, 0 to 1."""
        return self.n_answered / max(1, self.n_regions)


def progress_of_images(pool: Pool, answered: AnsweredState) -> list[ImageProgress]:
    """Return the progress of each image of the pool, by name."""
    out = []
    for part in pool.parts:
        scores = part.scores
        n_images = len(scores.images)
        total, n_finite = np.zeros(n_images), np.zeros(n_images, np.int64)
        n_rows = np.zeros(n_images, np.int64)
        for start in range(0, len(scores), BLOCK_ROWS):
            index, score = (
                column[start : start + BLOCK_ROWS] for column in (scores.image_index, scores.score)
            )
            finite = np.isfinite(score)
            total += np.bincount(index[finite], score[finite], n_images)
            n_finite += np.bincount(index[finite], minlength=n_images)
            n_rows += np.bincount(index, minlength=n_images)
        n_base = n_rows if scores.base_offset is None else np.diff(scores.base_offset)
        for number, image in enumerate(scores.images):
            source = pool.of_image(image)
            if source is not None and source[0] is scores:
                mean = float(total[number] / max(n_finite[number], 1)) if part.round else None
                n_answered = min(answered.n_settled(image), int(n_base[number]))
                out.append(ImageProgress(image, int(n_base[number]), n_answered, mean))
    return sorted(out, key=lambda progress: progress.image)


def answers_as_predicted(
    pool: Pool,
    answered: AnsweredState,
    image: str,
    prediction: NDArray[np.uint8],
    round_number: int,
    seconds: float,
) -> Iterator[Answer]:
    """Answer the open regions of an image with the class most of each is predicted to be.

    All of them together cost one click, which the first one carries. Regions of which nothing is
    predicted are left out.
    """
    source = pool.of_image(image)
    if source is None:
        return
    scores, index = source
    snapshot = answered.snapshot
    base = snapshot.maps(image)
    scores.check_fit(index, snapshot.maps.n_regions(image))
    groups = scores.groups_of(index)
    region_map = base if groups is None else np.where(base < 0, -1, groups[base])
    dominant = _dominant_classes(region_map, prediction)
    boxes = _boxes(region_map)
    is_correction = snapshot.config.method.query == "correction"
    labels = snapshot.current_labels(image) if is_correction else None
    model_round = pool.round_of_image(image) or 0
    clicks = ONE_CLICK
    for row in range(scores.rows_of(index).start, scores.rows_of(index).stop):
        region_id = int(scores.region_id[row])
        class_id, ids = int(dominant[region_id]), scores.base_ids(row)
        if class_id == IGNORE or not answered.is_open(image, ids):
            continue
        box = boxes[region_id]
        mask = Mask.from_array(region_map[box] == region_id, (box[0].start, box[1].start))
        pixel_rc = pseudo_label = None
        if labels is not None:
            pixel_rc = mask.central_pixel()
            if scores.pixel is not None:
                r, c = divmod(int(scores.pixel[row]), base.shape[1])
                pixel_rc = (r, c)
            pseudo_label = int(labels[pixel_rc])
        score = float(scores.score[row])
        query = Query(
            Region(image, ids, mask),
            snapshot.config.method.query,
            score if np.isfinite(score) else 0.0,
            round_number,
            model_round,
            pixel_rc,
            pseudo_label,
            source="accepted",
            predicted=class_id,
        )
        yield Answer(query, (class_id,), clicks, seconds=seconds)
        clicks, seconds = Clicks(), 0.0


def _dominant_classes(
    region_map: NDArray[np.int32], prediction: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """(R,) the class that most pixels of each region are predicted to be; IGNORE where none is."""
    inside = (region_map >= 0) & (prediction != IGNORE)
    n_regions = int(region_map.max(initial=-1)) + 1
    n_classes = int(prediction[inside].max(initial=0)) + 1
    pairs = region_map[inside].astype(np.int64) * n_classes + prediction[inside]
    counts = np.bincount(pairs, minlength=n_regions * n_classes).reshape(n_regions, n_classes)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), IGNORE)


def _boxes(region_map: NDArray[np.int32]) -> dict[int, tuple[slice, slice]]:
    """Return the box of each region by its id."""
    from skimage.measure import regionprops

    return {int(found.label) - 1: found.slice for found in regionprops(region_map + 1)}
