"""Figures to report: mIoU from one confusion matrix of a whole data set, and how good regions are.

Matrices of images are added up; only then is a figure taken from the sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.opencv import cv2
from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def confusion_matrix(
    prediction: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], n_classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Pixels that are ``IGNORE`` in either are not counted. For a model, which predicts a class
    everywhere, this leaves out unlabelled truth; for training labels (data mIoU) it leaves out what
    has no label yet as well, so :func:`coverage` belongs beside it.

    Parameters
    ----------
    prediction, truth : integer arrays of one shape
        Class ids below ``n_classes``, or ``IGNORE``.
    n_classes : int
        C.

    Returns
    -------
    (C, C) int64
        Rows are true classes.

    Raises
    ------
    InputError
        If shapes differ or there is another class id.
    """
    if prediction.shape != truth.shape:
        raise InputError(
            f"confusion_matrix: prediction and truth of one shape were expected, got "
            f"{prediction.shape} and {truth.shape}"
        )
    counted = (truth != IGNORE) & (prediction != IGNORE)
    true, predicted = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, class_ids in (("truth", true), ("prediction", predicted)):
        if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < n_classes:
            raise InputError(
                f"confusion_matrix: class ids from 0 to {n_classes - 1} or {IGNORE} were expected, "
                f"the {name} has {class_ids.min()} to {class_ids.max()}"
            )
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def coverage(
    class_map: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]] | None = None
) -> float:
    """Share of pixels that have a class, among all or among those whose truth is known.

    NaN where there are none.
    """
    labelled = class_map != IGNORE
    if truth is not None:
        labelled = labelled[truth != IGNORE]
    return float(labelled.mean()) if labelled.size else float("nan")


def per_class_iou(confusion: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Intersection over union of each class.

    Parameters
    ----------
    confusion : (C, C) int
        Rows are true classes.

    Returns
    -------
    (C,) float64
        In [0, 1]; NaN for a class that is neither in the truth nor predicted.
    """
    hits = confusion.diagonal().astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    iou: NDArray[np.float64] = np.divide(
        hits, union, out=np.full(len(hits), np.nan), where=union > 0
    )
    return iou


def mean_iou(confusion: NDArray[np.integer[Any]]) -> float:
    """Mean of :func:`per_class_iou` over the classes that have one; NaN if none has."""
    iou = per_class_iou(confusion)
    present = ~np.isnan(iou)
    return float(iou[present].mean()) if present.any() else float("nan")


def achievable_segmentation_accuracy(
    region_map: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]
) -> float:
    """Pixel accuracy if each region were given the class that most of it has.

    Parameters
    ----------
    region_map : (H, W) int
        Region ids from 0.
    truth : (H, W) int
        Class ids; pixels with ``IGNORE`` do not count.

    Returns
    -------
    float
        In (0, 1]; NaN where no truth is known.

    Examples
    --------
    >>> regions = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    >>> achievable_segmentation_accuracy(regions, np.array([[0, 0, 0, 1], [0, 1, 1, 1]]))
    0.75
    """
    overlap = _overlap(region_map, truth)
    return float(overlap.max(axis=1).sum() / overlap.sum()) if overlap.any() else float("nan")


def undersegmentation_error(
    region_map: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]
) -> float:
    """Share of pixels by which regions spill over the borders of classes.

    Of each region and class in it, the smaller of the part inside and the part outside the class
    (Neubert and Protzel 2012).

    Parameters
    ----------
    region_map, truth
        As for :func:`achievable_segmentation_accuracy`.

    Returns
    -------
    float
        0 or more; NaN where no truth is known.
    """
    overlap = _overlap(region_map, truth)
    if not overlap.any():
        return float("nan")
    outside = overlap.sum(axis=1, keepdims=True) - overlap
    return float(np.minimum(overlap, outside).sum() / overlap.sum())


def boundary_recall(
    region_map: NDArray[np.integer[Any]],
    truth: NDArray[np.integer[Any]],
    *,
    tolerance_px: int = 2,
) -> float:
    """Share of pixels at borders of classes that have a border of regions near.

    Parameters
    ----------
    region_map, truth
        As for :func:`achievable_segmentation_accuracy`. A border to ``IGNORE`` is none.
    tolerance_px : int
        Near is within a square that reaches that many pixels to each side.

    Returns
    -------
    float
        In [0, 1]; NaN where there are no borders of classes.
    """
    true = _borders(truth, truth != IGNORE)
    if not true.any():
        return float("nan")
    square = np.ones((2 * tolerance_px + 1,) * 2, np.uint8)
    near = cv2.dilate(_borders(region_map).astype(np.uint8), square).astype(bool)
    return float(near[true].mean())


class SieveCounts(NamedTuple):
    """Pixels that answers cover: how many a sieve kept and removed, and how many of these rightly.

    A pixel is kept rightly if its target is its true class, removed rightly if the answer's class
    is not.
    """

    kept: int
    kept_rightly: int
    removed: int
    removed_rightly: int


def sieve_counts(
    answers: NDArray[np.integer[Any]],
    targets: NDArray[np.integer[Any]],
    truth: NDArray[np.integer[Any]],
) -> SieveCounts:
    """Count what sieving (Kim et al. 2023, eq. 8) did to the pixels that answers cover.

    Parameters
    ----------
    answers : (H, W) int
        Class ids if nothing is sieved, ``IGNORE`` where no answer says anything.
    targets : (H, W) int
        What is left after sieving, ``IGNORE`` where it was removed.
    truth : (H, W) int
        Class ids; pixels with ``IGNORE`` do not count.

    Examples
    --------
    >>> truth = np.array([0, 0, 1, 1])
    >>> sieve_counts(np.array([0, 0, 0, 0]), np.array([0, 255, 255, 0]), truth)
    SieveCounts(kept=2, kept_rightly=1, removed=2, removed_rightly=1)
    """
    counted = (answers != IGNORE) & (truth != IGNORE)
    kept = counted & (targets != IGNORE)
    removed = counted & (targets == IGNORE)
    return SieveCounts(
        int(kept.sum()),
        int((kept & (targets == truth)).sum()),
        int(removed.sum()),
        int((removed & (answers != truth)).sum()),
    )


class CorrectionCounts(NamedTuple):
    """Pixels whose class was changed, those of them that are right now, and those wrong before.

    Precision is ``mended / changed``, recall ``mended / wrong``.
    """

    changed: int
    mended: int
    wrong: int


def correction_counts(
    before: NDArray[np.integer[Any]],
    after: NDArray[np.integer[Any]],
    truth: NDArray[np.integer[Any]],
) -> CorrectionCounts:
    """Count what corrections did to labels.

    Parameters
    ----------
    before, after : (H, W) int
        Class ids; ``IGNORE`` (no label) is as wrong as another class.
    truth : (H, W) int
        Class ids; pixels with ``IGNORE`` do not count.

    Examples
    --------
    >>> before, after = np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1])
    >>> correction_counts(before, after, np.array([1, 0, 1, 1]))
    CorrectionCounts(changed=2, mended=1, wrong=2)
    """
    counted = truth != IGNORE
    changed = counted & (before != after)
    return CorrectionCounts(
        int(changed.sum()),
        int((changed & (after == truth)).sum()),
        int((counted & (before != truth)).sum()),
    )


def _overlap(
    region_map: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """(R, C) pixels of each region that have each class."""
    if region_map.shape != truth.shape or region_map.min(initial=0) < 0:
        raise InputError(
            "region ids from 0 and a class map of one shape were expected, got shapes "
            f"{region_map.shape} and {truth.shape}"
        )
    known = truth != IGNORE
    regions, classes = region_map[known].astype(np.int64), truth[known].astype(np.int64)
    n_regions, n_classes = regions.max(initial=0) + 1, classes.max(initial=0) + 1
    cells = np.bincount(regions * n_classes + classes, minlength=n_regions * n_classes)
    return cells.reshape(n_regions, n_classes)


def _borders(
    ids: NDArray[np.integer[Any]], counted: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels with a 4-neighbour of another id, on both sides; only between counted pixels."""
    if counted is None:
        counted = np.ones(ids.shape, bool)
    border = np.zeros(ids.shape, bool)
    for one, other in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None),), (slice(None, -1),)),
    ):
        differ = (ids[one] != ids[other]) & counted[one] & counted[other]
        border[one] |= differ
        border[other] |= differ
    return border
