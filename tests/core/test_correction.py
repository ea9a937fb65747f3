"""Corrections: the examples worked by hand, and a reference that goes segment by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core import IGNORE
from napari_al.core.correction import (
    Representative,
    Unlabelled,
    abc,
    class_imbalance,
    class_weights,
    correction_table,
)
from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8]]

P = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], np.float32)
LABELS = np.array([[1, 0, 0, 0]], np.uint8)


def as_image(rows: NDArray[np.floating[Any]]) -> torch.Tensor:
    """Probabilities (C, 1, P) of pixels (P, C)."""
    return torch.from_numpy(np.asarray(rows, np.float32).T[:, None].copy())


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def reference(
    probs: NDArray[np.float32],
    inside: NDArray[np.bool_],
    labels: NDArray[np.uint8],
    representative: Representative,
    unlabelled: Unlabelled,
) -> dict[str, Any]:
    """One segment's row, from the definitions."""
    n_classes = len(probs)
    where = np.flatnonzero(inside)
    p = probs.reshape(n_classes, -1)[:, where].T.astype(np.float64)
    yh = labels.ravel()[where]
    predicted = p.argmax(axis=1)
    dominant = np.bincount(predicted, minlength=n_classes).argmax()
    f = p[predicted == dominant].mean(axis=0)
    similar = np.array([cosine(row, f) for row in p])
    eligible = np.where(predicted == dominant, similar, -1)
    near = similar if representative == "segment" else eligible
    current = np.where(yh == IGNORE, predicted, yh)
    cil = 1 - p[np.arange(len(p)), current]
    column = np.where(yh == IGNORE, n_classes, yh)
    summed = column if unlabelled == "own" else current
    return {
        "size": len(where),
        "dominant": dominant,
        "where": where,
        "similarity": near,
        "cil": cil,
        "lcil": cil.mean(),
        "to_pixel": lambda at: sum(cosine(p[at], row) * c for row, c in zip(p, cil, strict=True)),
        "similarity_cil_by_class": np.bincount(summed, similar * cil, n_classes + 1),
        "label_histogram": np.bincount(column, minlength=n_classes + 1),
        "mean_probs": p.mean(axis=0),
    }


def test_e1_one_mask() -> None:
    table = correction_table(as_image(P), np.zeros((1, 4), np.int32), 1, LABELS)
    assert table.dominant.tolist() == [0]
    assert table.representative.tolist() == [1]
    assert table.cil_representative[0] == pytest.approx(0.4)
    assert table.lcil[0] == pytest.approx(0.65)
    assert table.sim[0] == pytest.approx(2.183198, abs=2e-6)
    assert table.similarity_cil_by_class.sum() == pytest.approx(2.156151, abs=2e-6)
    assert table.label_histogram.tolist() == [[3, 1, 0, 0]]
    np.testing.assert_allclose(table.mean_probs[0], [0.475, 0.4, 0.125], atol=1e-6)


@pytest.mark.parametrize(
    ("counts", "present_only", "divergence", "weights"),
    [
        ([800, 150, 50, 0], False, 0.485743, [0.727775, 0.881693, 1, 1]),
        ([800, 150, 50, 0], True, 0.485743, [0.727775, 0.881693, 1, 0]),
        ([10, 10, 10, 0], False, 0.0, [1, 1, 1, 1]),
        ([9000, 900, 90, 10, 0], False, 1.025452, [6.5222e-4, 7.8110e-3, 0.0935458, 1, 1]),
        ([800, 150, 50, 20], True, 0.688933, [0.299328, 0.517447, 0.741103, 1]),
        ([800, 150, 50, 20], False, 0.485743, [0.727775, 0.881693, 1, 1]),
        ([800, 0, 150, 50, 0], False, 0.485743 + 0.287682, None),
    ],
)
def test_e2_e3_class_weights(
    counts: list[int], present_only: bool, divergence: float, weights: list[float] | None
) -> None:
    n = np.array(counts)
    counted = n[n > 0] if present_only else n[:-1]
    assert class_imbalance(counted) == pytest.approx(divergence, abs=1e-6)
    if weights is not None:
        np.testing.assert_allclose(class_weights(n, present_only=present_only), weights, rtol=1e-4)


def test_e2_abc() -> None:
    table = correction_table(as_image(P), np.zeros((1, 4), np.int32), 1, LABELS)
    scores = abc(table.similarity_cil_by_class, class_weights(np.array([800, 150, 50, 0])))
    assert scores[0] == pytest.approx(1.690908, abs=2e-6)
    balanced = abc(table.similarity_cil_by_class, class_weights(np.array([10, 10, 10, 0])))
    assert balanced[0] == pytest.approx(2.156151, abs=2e-6)


@pytest.mark.parametrize(("representative", "pixel"), [("segment", 2), ("dominant-part", 0)])
def test_e4_where_the_representative_is_looked_for(
    representative: Representative, pixel: int
) -> None:
    p = np.array([[0.51, 0.49, 0], [0.51, 0, 0.49], [0.33, 0.34, 0.33]])
    zeros = np.zeros((1, 3), np.uint8)
    table = correction_table(
        as_image(p), zeros.astype(np.int32), 1, zeros, representative=representative
    )
    assert table.representative.tolist() == [pixel]


@st.composite
def images(draw: st.DrawFn) -> Arrays:
    """Probabilities, segments (some empty, some pixels in none), labels with IGNORE."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    n_classes, n_segments = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    probs = rng.dirichlet(np.full(n_classes, 0.5), shape).transpose(2, 0, 1)
    if draw(st.booleans()):  # coarse values: ties among classes and among pixels
        probs = np.maximum(np.round(probs * 4), 1e-3)
        probs /= probs.sum(axis=0)
    segments = rng.integers(-1, n_segments, shape).astype(np.int32)
    labels = rng.integers(0, n_classes, shape).astype(np.uint8)
    labels[rng.random(shape) < draw(st.sampled_from([0, 0.3, 1]))] = IGNORE
    return np.ascontiguousarray(probs, np.float32), segments, labels


@settings(max_examples=60, deadline=None)
@given(
    images(), st.sampled_from(["segment", "dominant-part"]), st.sampled_from(["own", "predicted"])
)
def test_equals_the_reference(
    arrays: Arrays, representative: Representative, unlabelled: Unlabelled
) -> None:
    probs, segments, labels = arrays
    n_segments = 7
    table = correction_table(
        torch.from_numpy(probs),
        segments,
        n_segments,
        labels,
        representative=representative,
        unlabelled=unlabelled,
    )
    assert len(table) == n_segments
    for m in range(n_segments):
        inside = segments == m
        if not inside.any():
            assert table.representative[m] == -1
            assert table.dominant[m] == IGNORE
            assert not table.similarity_cil_by_class[m].any()
            continue
        row = reference(probs, inside, labels, representative, unlabelled)
        for name in ("size", "dominant"):
            assert getattr(table, name)[m] == row[name]
        for name in ("lcil", "similarity_cil_by_class", "label_histogram", "mean_probs"):
            np.testing.assert_allclose(getattr(table, name)[m], row[name], atol=1e-5, rtol=1e-5)
        # pixels whose similarity differs by rounding alone may change places
        at = np.flatnonzero(row["where"] == table.representative[m])[0]
        assert row["similarity"][at] >= row["similarity"].max() - 1e-6
        assert table.cil_representative[m] == pytest.approx(row["cil"][at], abs=1e-5)
        assert table.sim[m] == pytest.approx(row["to_pixel"](at), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(images(), st.booleans())
def test_bounds(arrays: Arrays, present_only: bool) -> None:
    probs, segments, labels = arrays
    table = correction_table(torch.from_numpy(probs), segments, 7, labels)
    scores = abc(
        table.similarity_cil_by_class,
        class_weights(table.label_histogram.sum(axis=0), present_only=present_only),
    )
    assert (scores >= 0).all()
    assert (scores <= table.similarity_cil_by_class.sum(axis=1) + 1e-6).all()
    assert (table.similarity_cil_by_class.sum(axis=1) <= table.size + 1e-4).all()
    assert (table.sim <= table.size * table.lcil + 1e-4).all()
    assert ((table.lcil >= 0) & (table.lcil <= 1)).all()
    assert table.label_histogram.sum() == table.size.sum() == (segments >= 0).sum()


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20).filter(lambda n: any(n[:-1])))
def test_rarer_classes_weigh_more(counts: list[int]) -> None:
    n = np.array(counts)
    weights = class_weights(n)
    present = np.flatnonzero(n[:-1])
    assert ((weights[present] > 0) & (weights[present] <= 1)).all()
    assert weights[present[n[present].argmin()]] == 1
    order = present[np.argsort(n[present])]
    assert (np.diff(weights[order]) <= 0).all()
    assert 0 <= class_imbalance(n[:-1]) <= np.log(len(n) - 1) + 1e-9


@pytest.mark.parametrize(("present_only", "weight"), [(False, 1), (True, 0)])
def test_weights_of_an_empty_pool(present_only: bool, weight: int) -> None:
    assert class_weights(np.zeros(4, int), present_only=present_only).tolist() == [weight] * 4


def test_uniform_segments_take_their_first_pixel_and_no_label_counts_as_the_prediction() -> None:
    p = np.full((6, 2), 0.5)
    ids = np.array([[1, 1, 0, 0, 0, 1]], np.int32)
    table = correction_table(as_image(p), ids, 2, np.full((1, 6), IGNORE, np.uint8))
    assert table.representative.tolist() == [2, 0]
    np.testing.assert_allclose(table.sim, [1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(table.similarity_cil_by_class, [[0, 0, 1.5]] * 2, rtol=1e-6)
    assert table.label_histogram.tolist() == [[0, 0, 3]] * 2


@pytest.mark.parametrize("kind", ["float16", "channels-last", "blocks", "inference"])
def test_layouts_and_precisions_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    probs = torch.from_numpy(rng.dirichlet(np.ones(3), (20, 30)).astype(np.float32))
    plain = probs.permute(2, 0, 1).contiguous()
    segments = rng.integers(-1, 5, (20, 30)).astype(np.int32)
    labels = rng.integers(0, 3, (20, 30)).astype(np.uint8)
    expected = correction_table(plain, segments, 5, labels)
    if kind == "blocks":
        monkeypatch.setattr("napari_al.core.correction_passes.BLOCK_PX", 37)
    image = {"float16": plain.half(), "channels-last": probs.permute(2, 0, 1)}.get(kind, plain)
    segments.flags.writeable = labels.flags.writeable = False
    with torch.inference_mode(kind == "inference"):
        got = correction_table(image + 0, segments, 5, labels)
    np.testing.assert_allclose(got.mean_probs, expected.mean_probs, atol=1e-3)
    np.testing.assert_allclose(got.sim, expected.sim, rtol=1e-2)
    np.testing.assert_array_equal(got.label_histogram, expected.label_histogram)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_map": np.zeros((2, 2), np.int32)}, "of one image"),
        ({"segment_map": np.full((1, 4), 3, np.int32)}, "segment ids below 1"),
        ({"class_map": np.full((1, 4), 3, np.uint8)}, "class ids below 3"),
        ({"representative": "centre"}, "representative='centre'"),
        ({"unlabelled": "none"}, "unlabelled='none'"),
    ],
)
def test_says_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "probs": as_image(P),
        "segment_map": np.zeros((1, 4), np.int32),
        "n_segments": 1,
        "class_map": LABELS,
    }
    with pytest.raises(InputError, match=message):
        correction_table(**(arguments | change))
