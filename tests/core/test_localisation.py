"""Pseudo-labels from sets of classes: worked examples, and a reference on upsampled features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from napari_al.core import IGNORE
from napari_al.core.feature_map import FeatureMap, Similarity
from napari_al.core.localisation import Conflicts, ExpansionRule, localise, thresholds
from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def at_angles(degrees: list[float]) -> torch.Tensor:
    """Unit vectors (2, 1, n)."""
    angles = np.deg2rad(degrees)
    return torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)])[:, None]).float()


def choosing(n_classes: int, n_px: int, prototypes: dict[int, list[int]]) -> torch.Tensor:
    """Probabilities (C, 1, n) whose largest in a region are at the given pixels by class."""
    probs = torch.full((n_classes, 1, n_px), 0.1)
    for class_id, pixels in prototypes.items():
        probs[class_id, 0, pixels] = 0.9
    return probs


def test_localisation_and_lower_median() -> None:
    features = torch.tensor([[1, 0.8, 0.6, 0], [0, 0.6, 0.8, 1]])[:, None]
    probs = choosing(2, 4, {0: [0], 1: [3]})
    got = localise(
        features, probs, np.zeros((1, 4), np.int32), np.array([0]), np.array([[True, True]])
    )
    assert got.tolist() == [[0, 0, 1, 1]]
    similarities = np.array([[1, 0.8, 0.6, 0], [0, 0.6, 0.8, 1]])
    assert thresholds(similarities, np.array([0, 0, 1, 1])).tolist() == [0.8, 0.8]


@pytest.mark.parametrize(("rule", "expected"), [("any", 0), ("passing", 1)])
def test_class_of_a_pixel_that_passes_one_threshold_alone(
    rule: ExpansionRule, expected: int
) -> None:
    features = at_angles([0, 2, 60, 110, 25, -60])
    got = localise(
        features,
        choosing(2, 6, {0: [0], 1: [2]}),
        np.array([[0, 0, 0, 0, 1, 1]], np.int32),
        np.array([0]),
        np.array([[True, True]]),
        expansion_rule=rule,
    )
    assert got[0, 4:].tolist() == [expected, IGNORE]


CHAIN = at_angles([-5, 50, 0, 30, 60, 90, 5, 75, 20, 40, 25, 100])
CHAIN_IDS = np.array([[0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4]], np.int32)


@pytest.mark.parametrize(("conflicts", "expected"), [("last", 2), ("nearest", 0)])
@pytest.mark.parametrize("rule", ["any", "passing"])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_chain_of_regions(
    conflicts: Conflicts, expected: int, rule: ExpansionRule, order: list[int]
) -> None:
    labelled = np.array([1, 3])[order]
    candidates = np.array([[True, True, False], [False, False, True]])[order]
    got = localise(
        CHAIN,
        choosing(3, 12, {0: [2], 1: [5], 2: [8]}),
        CHAIN_IDS,
        labelled,
        candidates,
        conflicts=conflicts,
        expansion_rule=rule,
    )
    assert got.tolist() == [[0, 255, 0, 0, 1, 1, expected, 1, 2, 2, 2, 255]]


@pytest.mark.parametrize(("temperature", "outside"), [(1.0, IGNORE), (0.1, 0)])
def test_probabilities_choose_the_prototype(temperature: float, outside: int) -> None:
    """With T = 1 it is the pixel at 40 degrees, whose median is too high for the one at 20."""
    cosines = torch.tensor([[0.5, 0.1, 0.6], [0.1, -0.8, 0.3], [-1, 0.9, 0.9], [0, 0, 0]])
    got = localise(
        at_angles([0, 40, 50, 20]),
        (cosines.T[:, None] / temperature).softmax(dim=0),
        np.array([[0, 0, 0, 1]], np.int32),
        np.array([0]),
        np.array([[True, False, False]]),
    )
    assert got.tolist() == [[0, 0, 0, outside]]


def test_neighbours_include_diagonal_ones() -> None:
    """Every feature alike but for a spread in the labelled cell, so that all neighbours pass."""
    ids = np.arange(9).reshape(3, 3).repeat(3, 0).repeat(3, 1).astype(np.int32)
    degrees = np.zeros((9, 9))
    for labelled, expected in ((4, set(range(9))), (0, {0, 1, 3, 4})):
        degrees[:] = 0
        degrees[ids == labelled] = np.linspace(0, 40, 9)
        angles = torch.from_numpy(np.deg2rad(degrees)).float()
        features = torch.stack([angles.cos(), angles.sin()])
        probs = features.new_zeros(1, 9, 9)
        row, col = np.argwhere(ids == labelled)[0]
        probs[0, row, col] = 1
        got = localise(features, probs, ids, np.array([labelled]), np.array([[True]]))
        assert set(np.unique(ids[got == 0])) == expected


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [("dot", [1, 2 / 3, 1 / 3, 0]), ("cosine", [1, 2 / 5**0.5, 1 / 5**0.5, 0])],
)
def test_between_orthogonal_cells(similarity: Similarity, expected: list[float]) -> None:
    features = 3 * torch.eye(2)[:, None]
    got = FeatureMap(features, (1, 6), stride=3, similarity=similarity).similarities(
        np.array([1]), np.array([1, 2, 3, 4])
    )
    np.testing.assert_allclose(got[0], expected, atol=1e-6)


def upsampled(features: torch.Tensor, stride: int, shape: tuple[int, int]) -> torch.Tensor:
    """(D, H, W) features, all of them."""
    size = (features.shape[1] * stride, features.shape[2] * stride)
    whole = F.interpolate(features[None].double(), size, mode="bilinear", align_corners=False)
    return whole[0, :, : shape[0], : shape[1]]


def ids_around(region_map: NDArray[np.int32], pixels: list[tuple[int, int]]) -> set[int]:
    """Ids of the 3 x 3 pixels around each of some, themselves included."""
    return {
        int(region_id)
        for r, c in pixels
        for region_id in region_map[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].flat
    }


def most_alike(alike: dict[int, float]) -> int:
    return min(c for c in alike if alike[c] >= max(alike.values()) - 1e-7)


def lower_median(values: list[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2] if values else np.inf


def reference(
    features: torch.Tensor,
    probs: torch.Tensor,
    region_map: NDArray[np.int32],
    labelled: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    options: dict[str, Any],
) -> NDArray[np.uint8]:
    """All pixels one by one, on features of full size."""
    features = features.double()
    if options["similarity"] == "dot":
        features = F.normalize(features, dim=0)
    full = upsampled(features, options["stride"], region_map.shape)
    if options["similarity"] == "cosine":
        full = F.normalize(full, dim=0)
    f, p = full.numpy(), probs.numpy()
    out = np.full(region_map.shape, IGNORE, np.uint8)
    best = np.full(region_map.shape, -np.inf)
    kept: dict[tuple[int, int], int] = {}
    for region_id, row in sorted(zip(labelled.tolist(), candidates.tolist(), strict=True)):
        classes = np.flatnonzero(row)
        inside = [tuple(x) for x in np.argwhere(region_map == region_id).tolist()]
        if not inside or classes.size == 0:
            continue
        prototypes = {c: f[:, *max(inside, key=lambda x, c=c: p[c, *x])] for c in classes}
        alike = {x: {c: float(f[:, *x] @ q) for c, q in prototypes.items()} for x in inside}
        won = {x: most_alike(alike[x]) for x in inside}
        kept |= won
        alpha = {c: lower_median([alike[x][c] for x in inside if won[x] == c]) for c in classes}
        around = ids_around(region_map, inside) - {-1, *labelled.tolist()}
        for x in zip(*np.nonzero(np.isin(region_map, list(around))), strict=True):
            sims = {c: float(f[:, *x] @ q) for c, q in prototypes.items()}
            passing = {c: s for c, s in sims.items() if s > alpha[c] + 1e-7}
            winner = most_alike(
                (passing if options["expansion_rule"] == "passing" else sims) or sims
            )
            if passing and (options["conflicts"] == "last" or sims[winner] > best[x] + 1e-7):
                out[x], best[x] = winner, sims[winner]
    for x, c in kept.items():
        out[x] = c
    return out


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Any, ...]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stride = draw(st.sampled_from([1, 2, 4]))
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    n_classes = draw(st.integers(1, 4))
    cells = (-(-height // stride), -(-width // stride))
    features = torch.from_numpy(rng.normal(0, 1, (5, *cells)) + 1).float()
    probs = torch.from_numpy(rng.random((n_classes, height, width)))
    blocks = rng.integers(-1, 7, (-(-height // 3), -(-width // 3)))
    region_map = blocks.repeat(3, 0).repeat(3, 1)[:height, :width].astype(np.int32)
    labelled = rng.permutation(8)[: draw(st.integers(0, 4))].astype(np.int64)
    candidates = rng.random((len(labelled), n_classes)) < 0.6
    return features, probs, region_map, labelled, candidates, stride


@settings(max_examples=60, deadline=None)
@given(
    scenes(),
    st.sampled_from(["passing", "any"]),
    st.sampled_from(["nearest", "last"]),
    st.sampled_from(["cosine", "dot"]),
)
def test_equals_the_reference(
    scene: tuple[Any, ...],
    expansion_rule: ExpansionRule,
    conflicts: Conflicts,
    similarity: Similarity,
) -> None:
    *arrays, stride = scene
    options = {
        "expansion_rule": expansion_rule,
        "conflicts": conflicts,
        "similarity": similarity,
        "stride": stride,
    }
    got = localise(*arrays, **options)
    np.testing.assert_array_equal(got, reference(*arrays, options))
    region_map, labelled, candidates = arrays[2:]
    assert (got[region_map < 0] == IGNORE).all()
    for region_id, row in zip(labelled, candidates, strict=True):
        inside = got[region_map == region_id]
        assert np.isin(inside, np.flatnonzero(row) if row.any() else IGNORE).all()


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_similarities_without_upsampling(
    stride: int, similarity: Similarity, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    shape = (37, 29)
    cells = (-(-shape[0] // stride), -(-shape[1] // stride))
    features = torch.from_numpy(rng.normal(size=(6, *cells))).half()
    pixels, prototypes = rng.permutation(37 * 29), np.array([0, 5, 37 * 29 - 1])
    unit = F.normalize(features.float(), dim=0)
    full = upsampled(unit if similarity == "dot" else features, stride, shape).flatten(1)
    if similarity == "cosine":
        full = F.normalize(full, dim=0)
    feature_map = FeatureMap(features, shape, stride=stride, similarity=similarity)
    whole = feature_map.similarities(prototypes, pixels)
    monkeypatch.setattr("napari_al.core.feature_map.MAX_CELLS", 20)
    in_pieces = feature_map.similarities(prototypes, pixels)
    expected = (full[:, prototypes].T @ full[:, pixels]).numpy()
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    np.testing.assert_allclose(in_pieces, expected, atol=1e-5)


def test_equal_features_do_not_expand() -> None:
    """Where nothing tells pixels apart, nothing is above the median."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(64, 1, 1))).float().expand(64, 9, 9)
    ids = np.arange(9).reshape(3, 3).repeat(3, 0).repeat(3, 1).astype(np.int32)
    got = localise(features, torch.ones(1, 9, 9), ids, np.array([4]), np.array([[True]]))
    assert (got[ids == 4] == 0).all()
    assert (got[ids != 4] == IGNORE).all()


def test_prototypes_that_differ_little_are_told_apart() -> None:
    """Two prototypes 0.001 rad apart: 1 - cos = 5e-7, and each is most like itself."""
    angle = torch.tensor([0.0, 0.001], dtype=torch.float64)
    features = torch.stack([angle.cos(), angle.sin()])[:, None].float()
    probs = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])
    got = localise(
        features, probs, np.zeros((1, 2), np.int32), np.array([0]), np.array([[True, True]])
    )
    assert got.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.ones(2, 2, 2)}, "stride 1"),
        ({"stride": 2}, r"\(D, 2, 2\)"),
        ({"probs": torch.ones(2, 4, 5)}, "of one image"),
        ({"candidates": np.ones((1, 3), bool)}, "candidates"),
        ({"labelled": np.array([-1])}, "-1"),
        ({"expansion_rule": "all"}, "expansion_rule='all'"),
        ({"conflicts": "first"}, "conflicts='first'"),
        ({"similarity": "l2"}, "similarity='l2'"),
    ],
)
def test_says_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "features": torch.ones(2, 4, 4),
        "probs": torch.ones(2, 4, 4),
        "region_map": np.zeros((4, 4), np.int32),
        "labelled": np.array([0]),
        "candidates": np.ones((1, 2), bool),
    }
    with pytest.raises(InputError, match=message):
        localise(**(arguments | change))
