"""Figures to report: worked examples, and counts pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core import IGNORE
from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.merging import adaptive_merge
from napari_al.core.metrics import (
    achievable_segmentation_accuracy,
    boundary_recall,
    confusion_matrix,
    correction_counts,
    coverage,
    mean_iou,
    per_class_iou,
    sieve_counts,
    undersegmentation_error,
)
from napari_al.errors import InputError

NAN = math.nan
SEEDS = st.integers(0, 2**32 - 1)
REGIONS = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
TRUTH = np.array([[0, 0, 0, 1], [0, 1, 1, 1]])


def scene(seed: int, shape: tuple[int, int] = (8, 9)) -> tuple[np.ndarray, np.ndarray]:
    """A region map with gaps and a class map with IGNORE."""
    rng = np.random.default_rng(seed)
    region_map = rng.integers(0, 6, shape) * 3
    return region_map, rng.choice([0, 1, 2, 3, IGNORE], shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("truth", "prediction", "confusion", "iou", "mean"),
    [
        (
            [0, 0, 1, 1, 2, 255, 0],
            [0, 1, 1, 1, 255, 2, 0],
            [[2, 1, 0], [0, 2, 0], [0, 0, 0]],
            [2 / 3, 2 / 3, NAN],
            2 / 3,
        ),
        ([0, 1], [1, 0], [[0, 1], [1, 0]], [0, 0], 0),
        ([255, 255], [0, 1], [[0, 0], [0, 0]], [NAN, NAN], NAN),
        ([], [], [[0]], [NAN], NAN),
        ([1, 1], [2, 1], [[0, 0, 0], [0, 1, 1], [0, 0, 0]], [NAN, 0.5, 0], 0.25),
    ],
)
def test_mean_iou(
    truth: list[int],
    prediction: list[int],
    confusion: list[list[int]],
    iou: list[float],
    mean: float,
) -> None:
    counts = confusion_matrix(
        np.array(prediction, np.uint8), np.array(truth, np.uint8), len(confusion)
    )
    assert counts.dtype == np.int64
    assert counts.tolist() == confusion
    assert per_class_iou(counts).tolist() == pytest.approx(iou, nan_ok=True)
    assert mean_iou(counts) == pytest.approx(mean, nan_ok=True)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_confusion_pixel_by_pixel(seed: int) -> None:
    (_, truth), (_, prediction) = scene(seed), scene(seed + 1)
    expected = [[0] * 4 for _ in range(4)]
    for true, predicted in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if IGNORE not in (true, predicted):
            expected[true][predicted] += 1
    whole = confusion_matrix(prediction, truth, 4)
    assert whole.tolist() == expected
    halves = [
        confusion_matrix(prediction[rows], truth[rows], 4) for rows in (slice(0, 3), slice(3, 8))
    ]
    np.testing.assert_array_equal(sum(halves), whole)
    for class_id, iou in enumerate(per_class_iou(whole)):
        counted = (truth != IGNORE) & (prediction != IGNORE)
        inside = counted & (truth == class_id) & (prediction == class_id)
        either = counted & ((truth == class_id) | (prediction == class_id))
        assert iou == pytest.approx(
            inside.sum() / either.sum() if either.any() else NAN, nan_ok=True
        )


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([0, 1], [0], r"\(2,\) and \(1,\)"),
        ([0, 3], [0, 1], "prediction has 0 to 3"),
        ([0, 1], [-1, 0], "truth has -1 to 0"),
    ],
)
def test_maps_that_do_not_fit(prediction: list[int], truth: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        confusion_matrix(np.array(prediction), np.array(truth), 3)


@pytest.mark.parametrize(
    ("class_map", "truth", "expected"),
    [
        ([0, 255, 1, 2], None, 0.75),
        ([0, 255, 1, 2], [0, 0, 255, 255], 0.5),
        ([255, 255], None, 0),
        ([0, 0], [255, 255], NAN),
        ([], None, NAN),
    ],
)
def test_coverage(class_map: list[int], truth: list[int] | None, expected: float) -> None:
    known = None if truth is None else np.array(truth, np.uint8)
    assert coverage(np.array(class_map, np.uint8), known) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("region_map", "truth", "accuracy", "undersegmentation"),
    [
        (REGIONS, TRUTH, 0.75, 0.5),
        (np.arange(8).reshape(2, 4), TRUTH, 1, 0),
        (TRUTH, TRUTH, 1, 0),
        (np.zeros((2, 4), int), TRUTH, 0.5, 1),
        (REGIONS, np.where(TRUTH == 1, IGNORE, 0), 1, 0),
        (REGIONS, np.full((2, 4), IGNORE), NAN, NAN),
    ],
)
def test_quality_of_regions(
    region_map: np.ndarray, truth: np.ndarray, accuracy: float, undersegmentation: float
) -> None:
    assert achievable_segmentation_accuracy(region_map, truth) == pytest.approx(
        accuracy, nan_ok=True
    )
    assert undersegmentation_error(region_map, truth) == pytest.approx(
        undersegmentation, nan_ok=True
    )


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_quality_of_regions_pixel_by_pixel(seed: int) -> None:
    region_map, truth = scene(seed)
    right = spilt = 0
    for region_id in np.unique(region_map):
        classes = truth[(region_map == region_id) & (truth != IGNORE)].tolist()
        counts = [classes.count(class_id) for class_id in set(classes)]
        right += max(counts, default=0)
        spilt += sum(min(n, len(classes) - n) for n in counts)
    n_known = (truth != IGNORE).sum()
    assert achievable_segmentation_accuracy(region_map, truth) == pytest.approx(right / n_known)
    assert undersegmentation_error(region_map, truth) == pytest.approx(spilt / n_known)


@given(seed=SEEDS, epsilon=st.floats(0, 0.9))
@settings(max_examples=40, deadline=None)
def test_merging_never_raises_accuracy(seed: int, epsilon: float) -> None:
    rng = np.random.default_rng(seed)
    region_map = rng.integers(0, 20, (12, 12))
    truth = rng.integers(0, 3, (12, 12))
    merged = adaptive_merge(
        rng.dirichlet(np.ones(3), 20), rng.random(20), adjacency(region_map), epsilon
    )[region_map]
    before = achievable_segmentation_accuracy(region_map, truth)
    assert achievable_segmentation_accuracy(merged, truth) <= before
    assert boundary_recall(merged, truth, tolerance_px=0) <= boundary_recall(
        region_map, truth, tolerance_px=0
    )


@given(seed=SEEDS, tolerance_px=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_boundary_recall_pixel_by_pixel(seed: int, tolerance_px: int) -> None:
    rng = np.random.default_rng(seed)
    region_map = np.kron(rng.integers(0, 3, (2, 2)), np.ones((5, 6), int))
    truth = rng.choice([0, 1, IGNORE], (10, 12), p=[0.8, 0.1, 0.1])

    def borders(ids: np.ndarray, *, skip: int) -> set[tuple[int, int]]:
        found = set()
        for row, col in np.ndindex(ids.shape):
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                if not (0 <= r < 10 and 0 <= c < 12):
                    continue
                if ids[row, col] != ids[r, c] and skip not in (ids[row, col], ids[r, c]):
                    found.add((row, col))
        return found

    true, made = borders(truth, skip=IGNORE), borders(region_map, skip=-1)
    near = [
        any(max(abs(r - row), abs(c - col)) <= tolerance_px for r, c in made) for row, col in true
    ]
    expected = sum(near) / len(near) if near else NAN
    recall = boundary_recall(region_map, truth, tolerance_px=tolerance_px)
    assert recall == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("column", "tolerance_px", "expected"),
    [(4, 0, 1), (5, 0, 0.5), (6, 0, 0), (6, 2, 1), (8, 2, 0)],
)
def test_boundary_recall_of_a_vertical_edge(
    column: int, tolerance_px: int, expected: float
) -> None:
    cols = np.broadcast_to(np.arange(10), (3, 10))
    recall = boundary_recall(
        (cols >= column).astype(int), (cols >= 4).astype(int), tolerance_px=tolerance_px
    )
    assert recall == expected


@pytest.mark.parametrize("region_map", [np.zeros((2, 3), int), np.full((2, 4), -1)])
def test_region_maps_that_do_not_fit(region_map: np.ndarray) -> None:
    for figure in (achievable_segmentation_accuracy, undersegmentation_error):
        with pytest.raises(InputError, match="region ids from 0"):
            figure(region_map, TRUTH)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_sieve_and_corrections_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, truth = (rng.choice([0, 1, 2, IGNORE], (5, 7)) for _ in range(2))
    other = np.where(rng.random((5, 7)) < 0.5, one, rng.choice([0, 1, 2, IGNORE], (5, 7)))
    sieved = dict.fromkeys(("kept", "kept_rightly", "removed", "removed_rightly"), 0)
    corrected = dict.fromkeys(("changed", "mended", "wrong"), 0)
    for answer, target, true in zip(one.flat, other.flat, truth.flat, strict=True):
        if true == IGNORE:
            continue
        if answer != IGNORE and target != IGNORE:
            sieved["kept"] += 1
            sieved["kept_rightly"] += target == true
        if answer != IGNORE and target == IGNORE:
            sieved["removed"] += 1
            sieved["removed_rightly"] += answer != true
        corrected["wrong"] += answer != true
        if answer != target:
            corrected["changed"] += 1
            corrected["mended"] += target == true
    assert sieve_counts(one, other, truth)._asdict() == sieved
    assert correction_counts(one, other, truth)._asdict() == corrected
