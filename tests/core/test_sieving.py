"""Sieving: worked examples, and Kneedle written as a loop over the points of the curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_al.core.sieving import confidence_curve, sieve
from napari_al.errors import InputError

I = np.arange(600) / 599  # noqa: E741
EXAMPLE = np.concatenate([np.linspace(0, 0.8, 100, endpoint=False), np.linspace(0.8, 1, 500)])


def kept_of(confidence: np.ndarray, min_size: int = 0) -> np.ndarray:
    return sieve(confidence, confidence_curve(confidence, min_size=min_size))


def kneedle(y: list[float]) -> int | None:
    """Satopaa et al. 2011 for a rising concave curve, sensitivity 1, the first knee."""
    n = len(y)
    if y[0] == y[-1]:
        return None
    lowest, highest = min(y), max(y)
    over = [(y[i] - lowest) / (highest - lowest) - i / (n - 1) for i in range(n)]

    def is_top(i: int) -> bool:
        return over[i] >= over[max(i - 1, 0)] and over[i] >= over[min(i + 1, n - 1)]

    def is_bottom(i: int) -> bool:
        return over[i] <= over[max(i - 1, 0)] and over[i] <= over[min(i + 1, n - 1)]

    top, threshold = None, 0.0
    for i in range(n - 1):
        if is_top(i):
            top, threshold = i, over[i] - 1 / (n - 1)
        if is_bottom(i):  # "... and wait for another local maximum to be reached"
            threshold = -math.inf
        if top is not None and over[i + 1] < threshold:
            return top
    return None


def concave_curve(seed: int, n_pixels: int) -> np.ndarray:
    """Confidences whose quantile function bends once: few doubtful pixels, many sure ones."""
    rng = np.random.default_rng(seed)
    return rng.random(n_pixels) ** rng.uniform(0.1, 0.7) * rng.uniform(0.2, 1)


@pytest.mark.parametrize(
    ("confidence", "threshold", "n_kept"),
    [
        pytest.param(EXAMPLE, 0.808016, 480, id="steep, then flat"),
        pytest.param(I**0.5, (150 / 599) ** 0.5, 450, id="square root"),
        pytest.param(I, -math.inf, 600, id="linear"),
        pytest.param(np.full(600, 0.7), -math.inf, 600, id="constant"),
        pytest.param(I**3, 0.0, 600, id="convex"),
        pytest.param(np.repeat([0.1, 0.9], [150, 450]), 0.1, 600, id="step"),
    ],
)
def test_worked_examples(confidence: np.ndarray, threshold: float, n_kept: int) -> None:
    shuffled = np.random.default_rng(0).permutation(confidence)
    assert confidence_curve(shuffled).threshold == pytest.approx(threshold, abs=1e-6)
    assert kept_of(shuffled).sum() == n_kept


def test_knee_of_ten_points() -> None:
    """Ten pixels are a curve of ten points."""
    y = np.array([0, 0.3, 0.6, 0.8, 0.85, 0.88, 0.9, 0.93, 0.96, 1])
    assert kneedle(y.tolist()) == 3
    assert confidence_curve(y).threshold == 0.8
    assert kept_of(y).sum() == 7


@pytest.mark.parametrize(("n_pixels", "kept"), [(511, 511), (512, 512 - 5 * 25)])
def test_small_regions_are_not_sieved(n_pixels: int, kept: int) -> None:
    confidence = np.linspace(0, 1, n_pixels) ** 0.5
    assert kept_of(confidence, min_size=512).sum() == kept
    assert kept_of(confidence).sum() < n_pixels


@pytest.mark.parametrize(
    ("n_pixels", "step", "n_points"), [(512, 25, 21), (520, 26, 20), (600, 30, 20), (619, 30, 21)]
)
def test_the_curve_has_about_20_points(n_pixels: int, step: int, n_points: int) -> None:
    confidence = np.linspace(0.1, 1, n_pixels) ** 0.3
    curve = confidence[::step]
    assert len(curve) == n_points
    knee = kneedle(curve.tolist())
    assert knee is not None
    assert confidence_curve(confidence).threshold == curve[knee]


@given(
    seed=st.integers(0, 2**32 - 1), n_pixels=st.integers(60, 2000), points=st.sampled_from([10, 20])
)
@settings(max_examples=80, deadline=None)
@example(seed=909, n_pixels=69, points=20)  # a minimum right after the first point
def test_kneedle_point_by_point(seed: int, n_pixels: int, points: int) -> None:
    confidence = concave_curve(seed, n_pixels)
    curve = np.sort(confidence)[:: max(1, n_pixels // points)]
    knee = kneedle(curve.tolist())
    expected = -math.inf if knee is None else curve[knee]
    assert confidence_curve(confidence, points=points).threshold == expected


@given(seed=st.integers(0, 2**32 - 1), n_pixels=st.integers(1, 900))
@settings(max_examples=60, deadline=None)
def test_what_is_kept(seed: int, n_pixels: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(*rng.uniform(0.2, 5, 2), n_pixels).astype(np.float32)
    kept = kept_of(confidence)
    order = rng.permutation(n_pixels)
    np.testing.assert_array_equal(kept_of(confidence[order]), kept[order])
    assert kept[confidence == confidence.max()].all()
    assert kept.mean() >= 0.1
    if not kept.all():
        assert confidence[kept].min() > confidence[~kept].max()


@pytest.mark.parametrize("confidence", [[], [0.3], [0.1, 0.9], [0.2, math.nan, 0.7, 0.9]])
def test_too_few_pixels_have_no_knee(confidence: list[float]) -> None:
    values = np.array(confidence)
    assert confidence_curve(values).threshold == -math.inf
    np.testing.assert_array_equal(kept_of(values), ~np.isnan(values))


def test_shape_is_kept() -> None:
    confidence = concave_curve(0, 600).reshape(20, 30)
    np.testing.assert_array_equal(kept_of(confidence).ravel(), kept_of(confidence.ravel()))


def test_a_curve_of_two_points_is_refused() -> None:
    with pytest.raises(InputError, match="points=2"):
        confidence_curve(EXAMPLE, points=2)
