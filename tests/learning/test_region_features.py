"""Features of regions, against means over upsampled maps."""

from __future__ import annotations

import numpy as np
import torch

from napari_al.learning.networks.resampling import upsample
from napari_al.learning.region_features import N_DIMENSIONS, RegionFeatures

SIZE = (41, 54)
STRIDES = (4, 8)


def maps_of(seed: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    sides = [(-(-SIZE[0] // s), -(-SIZE[1] // s)) for s in STRIDES]
    scales = (np.array([1.0, 5, 0]), np.array([100.0, 2, 1, 7]))
    return [
        torch.from_numpy(rng.normal(size=(len(k), *side)) * k[:, None, None] + 3).half()
        for k, side in zip(scales, sides, strict=True)
    ]


def test_distances_are_those_of_scaled_channels() -> None:
    # many channels, so that the projection keeps distances well
    rng = np.random.default_rng(0)
    parts = [torch.from_numpy(rng.normal(size=(300, 11, 14)) * rng.uniform(1, 50, (300, 1, 1)))]
    region_map = np.repeat(np.arange(154), 16).reshape(11, 14, 4, 4)
    region_map = region_map.transpose(0, 2, 1, 3).reshape(44, 56)
    found = RegionFeatures((4,), [parts])(parts, region_map, 154).astype(np.float64)
    flat = parts[0].flatten(1).T.numpy()
    scaled = flat / flat.std(axis=0)
    pairs = rng.integers(0, 154, (200, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ratio = np.linalg.norm(found[pairs[:, 0]] - found[pairs[:, 1]], axis=1) / np.linalg.norm(
        scaled[pairs[:, 0]] - scaled[pairs[:, 1]], axis=1
    )
    assert abs(np.mean(ratio) - 1) < 0.05
    assert ratio.min() > 0.6
    assert ratio.max() < 1.4


def test_features_are_means_over_a_region() -> None:
    maps = maps_of(1)
    rng = np.random.default_rng(2)
    region_map = np.repeat(np.repeat(rng.integers(-1, 5, (6, 7)), 8, axis=0), 8, axis=1)
    region_map = region_map[: SIZE[0], : SIZE[1]].astype(np.int32)
    region_map[0, 0] = 6  # too small for a centre; 5 has no pixel at all
    features = RegionFeatures(STRIDES, [maps_of(3), maps_of(4)])
    found = features(maps, region_map, 7)
    assert found.shape == (7, N_DIMENSIONS)
    fine = (maps[0].shape[1], maps[0].shape[2])
    joined = sum(
        upsample(torch.einsum("kd,dhw->khw", matrix, part.float())[None], stride // 4, fine)[0]
        for part, stride, matrix in zip(maps, STRIDES, features._projections, strict=True)
    ).numpy()
    for region in range(5):
        pixels = [
            joined[:, r, c]
            for r in range(fine[0])
            for c in range(fine[1])
            if 4 * r + 2 < SIZE[0]
            and 4 * c + 2 < SIZE[1]
            and region_map[4 * r + 2, 4 * c + 2] == region
        ]
        np.testing.assert_allclose(found[region], np.mean(pixels, axis=0), atol=0.02, rtol=0.01)
    assert not found[5].any()
    np.testing.assert_allclose(found[6], joined[:, 0, 0], atol=0.02, rtol=0.01)
    assert np.isfinite(found).all()  # a channel without deviation counts for nothing
