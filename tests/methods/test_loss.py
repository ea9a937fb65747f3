"""Losses on sets of classes: worked examples and an independent reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.methods.loss import (
    Pooling,
    cross_entropy,
    labelled_pixels,
    merged_positive_loss,
    partial_label_loss,
    prototypical_pixel_loss,
    single_class_loss,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

POOLINGS: tuple[Pooling, ...] = ("region", "pixel")
TERMS = (single_class_loss, merged_positive_loss, prototypical_pixel_loss)

# regions s1 (class 0), s2 (class 1), m1 (classes 0, 1), m2 (classes 1, 2), pixel by pixel
PIXELS = [
    (0, (0.5, 0.3, 0.2)),
    (0, (0.25, 0.5, 0.25)),
    (1, (0.1, 0.8, 0.1)),
    (2, (0.6, 0.3, 0.1)),
    (2, (0.5, 0.4, 0.1)),
    (2, (0.2, 0.7, 0.1)),
    (3, (0.2, 0.3, 0.5)),
    (3, (0.1, 0.1, 0.8)),
]
CANDIDATES = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1]], dtype=torch.bool)


def image(pixels: list[tuple[int, tuple[float, ...]]]) -> tuple[Tensor, Tensor]:
    """Logits (1, C, 1, P) and region map (1, 1, P) whose softmax is the given probabilities."""
    probs = torch.tensor([p for _, p in pixels])
    ids = torch.tensor([region_id for region_id, _ in pixels])
    return probs.log().T[None, :, None, :].clone().requires_grad_(), ids[None, None]


def reference(
    probs: NDArray[np.float64],
    ids: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    pooling: Pooling,
) -> list[float]:
    """The three terms, region by region."""
    per_region: list[list[float]] = [[], [], []]
    pooled: list[list[float]] = [[], [], []]
    epsilon = 1e-8 if pooling == "pixel" else 0.0
    for region_id, row in enumerate(candidates):
        inside = probs[ids == region_id]
        if len(inside) == 0 or not row.any():
            continue
        costs = [-math.log(p[row].sum() + epsilon) for p in inside]
        term = 0 if row.sum() == 1 else 1
        per_region[term].append(float(np.mean(costs)))
        pooled[term] += costs
        if row.sum() > 1:
            prototypes = [-math.log(inside[:, c].max() + epsilon) for c in np.flatnonzero(row)]
            per_region[2].append(float(np.mean(prototypes)))
            pooled[2] += prototypes
    if pooling == "pixel":
        return [sum(costs) / (1 + len(costs)) for costs in pooled]
    return [float(np.mean(means)) if means else 0.0 for means in per_region]


@pytest.mark.parametrize(
    ("pooling", "m2", "expected", "total"),
    [
        ("pixel", (0, 1, 1), (0.575646, 0.107431, 0.458923), 10.528711),
        ("region", (0, 1, 1), (0.631432, 0.134806, 0.573654), 11.755019),
        ("pixel", (1, 1, 1), (0.575646, None, 0.650676), None),
        ("region", (1, 1, 1), (0.631432, None, 0.722967), None),
    ],
)
def test_worked_example(
    pooling: Pooling,
    m2: tuple[int, ...],
    expected: tuple[float | None, ...],
    total: float | None,
) -> None:
    logits, region_map = image(PIXELS)
    candidates = CANDIDATES.clone()
    candidates[3] = torch.tensor(m2, dtype=torch.bool)
    log_probs, ids = labelled_pixels(logits, region_map)
    for term, value in zip(TERMS, expected, strict=True):
        if value is not None:
            got = term(log_probs, ids, candidates, pooling)
            assert got.item() == pytest.approx(value, abs=2e-6)
    if total is not None:
        loss = partial_label_loss(logits, region_map, candidates, pooling=pooling)
        assert loss.item() == pytest.approx(total, abs=2e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_only_prototypes_get_a_gradient(pooling: Pooling) -> None:
    logits, region_map = image(PIXELS)
    log_probs, ids = labelled_pixels(logits, region_map)
    prototypical_pixel_loss(log_probs, ids, CANDIDATES, pooling).backward()
    assert logits.grad is not None
    touched = logits.grad[0, :, 0].abs().sum(0).nonzero().flatten().tolist()
    assert touched == [3, 5, 6, 7]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_pixel_may_stand_for_two_classes_and_the_first_of_equals_is_taken(
    pooling: Pooling,
) -> None:
    pixels = [(0, (0.48, 0.48, 0.04)), (0, (0.3, 0.3, 0.4)), (0, (0.48, 0.48, 0.04))]
    logits, region_map = image(pixels)
    candidates = torch.tensor([[True, True, False]])
    log_probs, ids = labelled_pixels(logits, region_map)
    loss = prototypical_pixel_loss(log_probs, ids, candidates, pooling)
    scale = 2 / 3 if pooling == "pixel" else 1
    assert loss.item() == pytest.approx(0.733969 * scale, abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, :, 0, 1:].abs().max() == 0


def test_merged_positive_gradient() -> None:
    logits, region_map = image([(0, (0.6, 0.3, 0.1))])
    partial_label_loss(
        logits, region_map, torch.tensor([[True, True, False]]), weights=(0, 1, 0)
    ).backward()
    assert logits.grad is not None
    torch.testing.assert_close(
        logits.grad.flatten(), torch.tensor([-0.0666667, -0.0333333, 0.1]), atol=1e-6, rtol=0
    )


def test_authors_epsilon_caps_a_cost() -> None:
    logits = torch.tensor([0.0, -1e4])[None, :, None, None]
    ids = torch.zeros(1, 1, 1, dtype=torch.int64)
    loss = partial_label_loss(
        logits, ids, torch.tensor([[False, True]]), weights=(2, 0, 0), pooling="pixel"
    )
    assert loss.item() == pytest.approx(-math.log(1e-8), abs=1e-4)


def test_authors_rule_drops_prototypes_of_probability_zero() -> None:
    logits = torch.tensor([0.0, -1e4])[None, :, None, None]
    ids = torch.zeros(1, 1, 1, dtype=torch.int64)
    candidates = torch.tensor([[True, True]])
    loss = partial_label_loss(logits, ids, candidates, weights=(0, 0, 1), pooling="pixel")
    assert loss.item() == pytest.approx(0, abs=1e-7)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C, H, W), region map with gaps and -1, candidates with empty rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, c, m = draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(0, 6))
    shape = (n, draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    logits = torch.from_numpy(rng.normal(0, 3, (n, c, *shape[1:])))
    region_map = torch.from_numpy(rng.integers(-1, max(m, 0), shape))
    candidates = torch.from_numpy(rng.random((m, c)) < draw(st.sampled_from([0.0, 0.3, 0.7])))
    return logits.float(), region_map, candidates


@settings(max_examples=80, deadline=None)
@given(batches(), st.sampled_from(POOLINGS))
def test_equals_the_reference(batch: tuple[Tensor, Tensor, Tensor], pooling: Pooling) -> None:
    logits, region_map, candidates = batch
    logits.requires_grad_()
    log_probs, ids = labelled_pixels(logits, region_map)
    flat = logits.detach().double().softmax(1).movedim(1, -1).flatten(0, 2).numpy()
    expected = reference(flat, region_map.flatten().numpy(), candidates.numpy(), pooling)
    got = [term(log_probs, ids, candidates, pooling).item() for term in TERMS]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    loss = partial_label_loss(logits, region_map, candidates, pooling=pooling)
    assert loss.item() == pytest.approx(np.dot((16, 8, 1), expected), rel=1e-4, abs=1e-4)
    loss.backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    outside = (region_map < 0)[:, None].expand_as(logits)
    assert not logits.grad[outside].any()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_region_with_every_class_says_nothing(pooling: Pooling) -> None:
    logits, region_map = image(PIXELS)
    log_probs, ids = labelled_pixels(logits, region_map)
    everything = torch.ones(4, 3, dtype=torch.bool)
    assert merged_positive_loss(log_probs, ids, everything, pooling).item() == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("n_regions", [0, 2])
def test_nothing_labelled_gives_zero_with_a_gradient(pooling: Pooling, n_regions: int) -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    region_map = torch.full((2, 4, 4), -1)
    candidates = torch.ones(n_regions, 3, dtype=torch.bool)
    loss = partial_label_loss(logits, region_map, candidates, pooling=pooling)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_cross_entropy_of_nothing_is_zero_with_a_gradient() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 2, 2), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_cross_entropy_is_the_mean_over_labelled_pixels() -> None:
    logits, _ = image(PIXELS)
    class_map = torch.tensor([[[0, 0, 1, IGNORE, IGNORE, IGNORE, IGNORE, 2]]])
    expected = -np.mean(np.log([0.5, 0.25, 0.8, 0.8]))
    assert cross_entropy(logits, class_map).item() == pytest.approx(expected, abs=1e-6)


def test_single_regions_of_one_pixel_are_cross_entropy() -> None:
    logits = torch.randn(1, 3, 2, 2)
    class_map = torch.tensor([[[0, 1], [2, 1]]])
    region_map = torch.arange(4).view(1, 2, 2)
    candidates = torch.eye(3, dtype=torch.bool)[class_map.flatten()]
    loss = partial_label_loss(logits, region_map, candidates, weights=(1, 1, 1))
    torch.testing.assert_close(loss, cross_entropy(logits, class_map))


def test_half_precision_under_autocast() -> None:
    logits, region_map = image(PIXELS)
    class_map = torch.tensor([[[0, 0, 1, IGNORE, IGNORE, IGNORE, IGNORE, 2]]])
    with torch.autocast("cpu", torch.bfloat16):
        half = logits.bfloat16()
        loss = partial_label_loss(half, region_map, CANDIDATES)
        ce = cross_entropy(half, class_map)
    assert loss.dtype == ce.dtype == torch.float32
    assert loss.item() == pytest.approx(11.755019, rel=1e-2)


@pytest.mark.parametrize(
    ("region_shape", "n_classes", "pooling", "message"),
    [
        ((1, 2, 2), 4, "region", "candidates"),
        ((1, 2, 3), 3, "region", "region map"),
        ((1, 2, 2), 3, "superpixel", "pooling"),
    ],
)
def test_says_what_does_not_fit(
    region_shape: tuple[int, ...], n_classes: int, pooling: Pooling, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        partial_label_loss(
            torch.zeros(1, 3, 2, 2),
            torch.zeros(region_shape, dtype=torch.int64),
            torch.ones(1, n_classes, dtype=torch.bool),
            pooling=pooling,
        )
