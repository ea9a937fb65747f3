from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import write_data

from napari_al.core import IGNORE
from napari_al.core.geometry.masks import Mask
from napari_al.formats.dataset import DataFolder
from napari_al.simulate.truth import (
    classes_inside,
    corrected_class,
    dominant_class,
    interior,
    pieces_of,
    vertices_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def grid(n: int, side: int) -> np.ndarray:
    """Region map of n x n square cells."""
    ids = np.arange(n * n, dtype=np.int32).reshape(n, n)
    return ids.repeat(side, axis=0).repeat(side, axis=1)


@pytest.mark.parametrize(
    ("class_ids", "expected"),
    [([1, 1, 255, 255], 1), ([255, 255, 3], IGNORE), ([2, 2, 0, 0], 0), ([4], 4)],
)
def test_dominant_class(class_ids: list[int], expected: int) -> None:
    assert dominant_class(np.array(class_ids, np.uint8)) == expected


def test_trim_between_two_regions_takes_three_columns_of_each() -> None:
    region_map = np.zeros((32, 64), np.int32)
    region_map[:, 32:] = 1
    for region_id, columns in ((0, range(29)), (1, range(35, 64))):
        mask = Mask.from_array(region_map == region_id)
        left = np.zeros(region_map.shape, bool)
        mask.view(left)[...] = interior(mask, region_map.shape, 3)
        assert left.sum() == 928
        assert np.flatnonzero(left.any(axis=0)).tolist() == list(columns)


@pytest.mark.parametrize(("region_id", "size"), [(4, 26**2), (1, 754), (0, 841)])
def test_trim_in_a_grid(region_id: int, size: int) -> None:
    region_map = grid(3, 32)
    mask = Mask.from_array(region_map == region_id)
    assert interior(mask, region_map.shape, 3).sum() == size


def slow_interior(region_map: np.ndarray, region_id: int) -> np.ndarray:
    """The authors' rule, pixel by pixel: thick boundaries of the whole map, dilated 5x5."""
    height, width = region_map.shape
    boundary = np.zeros(region_map.shape, bool)
    for r, c in np.ndindex(height, width):
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            inside = 0 <= r + dr < height and 0 <= c + dc < width
            boundary[r, c] |= inside and region_map[r + dr, c + dc] != region_map[r, c]
    band = np.zeros_like(boundary)
    for r, c in np.argwhere(boundary):
        band[max(r - 2, 0) : r + 3, max(c - 2, 0) : c + 3] = True
    return (region_map == region_id) & ~band


@pytest.mark.parametrize("seed", range(5))
def test_trim_of_the_mask_alone_is_that_of_the_whole_map(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seeds = rng.integers(0, (40, 50), (8, 2))
    pixels = np.moveaxis(np.indices((40, 50)), 0, -1)
    region_map = ((pixels[:, :, None] - seeds) ** 2).sum(axis=-1).argmin(axis=-1)
    for region_id in np.unique(region_map):
        mask = Mask.from_array(region_map == region_id)
        whole = np.zeros(region_map.shape, bool)
        mask.view(whole)[...] = interior(mask, region_map.shape, 3)
        np.testing.assert_array_equal(whole, slow_interior(region_map, region_id))


def test_a_region_that_is_all_boundary_counts_whole() -> None:
    region_map = grid(3, 6)
    truth = (np.indices(region_map.shape)[0] % 2).astype(np.uint8)
    assert classes_inside(truth, Mask.from_array(region_map == 4), 3) == (0, 1)


def test_classes_in_the_boundary_band_are_overlooked() -> None:
    region_map = grid(2, 20)
    truth = np.where(np.indices(region_map.shape)[1] >= 17, 3, 1).astype(np.uint8)
    truth[0, 0] = IGNORE
    mask = Mask.from_array(region_map == 0)
    assert classes_inside(truth, mask, 3) == (1,)
    assert classes_inside(truth, mask, 0) == (1, 3)
    assert classes_inside(np.full_like(truth, IGNORE), mask, 3) == ()


@pytest.mark.parametrize(
    ("truth", "at_pixel", "pseudo", "expected"),
    [
        # truth of the region, at the pixel; class now; (pixel, half-pixel, half-majority)
        ([1, 1, 3, 3], 3, 1, (3, 3, 1)),
        ([1, 1, 1, 3], 3, 1, (3, 1, 1)),
        ([2, 2, 3, 3], 3, 1, (3, 3, 2)),
        ([255, 255, 255, 1], 255, 1, (IGNORE, IGNORE, IGNORE)),
        ([1, 1, 1, 1], 1, 1, (1, 1, 1)),
        ([2, 2], 2, IGNORE, (2, 2, 2)),
    ],
)
def test_correction_rules(
    truth: list[int], at_pixel: int, pseudo: int, expected: tuple[int, int, int]
) -> None:
    class_ids = np.array(truth, np.uint8)
    rules = ("pixel", "half-pixel", "half-majority")
    assert tuple(corrected_class(class_ids, at_pixel, pseudo, r) for r in rules) == expected


def test_pieces_tile_the_region_but_for_ignored_pixels() -> None:
    truth = np.array([[0, 0, 2], [IGNORE, 2, 2], [1, 1, 1]], np.uint8)
    region = Mask.from_array(np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]], bool))
    pieces = pieces_of(truth, region)
    assert [(p.class_id, p.mask.size) for p in pieces] == [(0, 1), (2, 3)]
    assert pieces[1].mask.to_array((3, 3)).tolist() == [
        [False, False, True],
        [False, True, True],
        [False, False, False],
    ]


def test_polygons_of_an_annotation_file_come_before_traced_ones(tmp_path: Path) -> None:
    data = DataFolder.open(write_data(tmp_path / "data", n_train=1))
    assert len(vertices_of(data, "scene_0")) > 4
    folder = tmp_path / "data" / "train" / "polygons"
    folder.mkdir()
    points = [[1, 2], [9, 2], [9, 8]]
    shape = {"label": "car", "points": points, "shape_type": "polygon"}
    (folder / "scene_0.json").write_text(json.dumps({"shapes": [shape]}))
    assert vertices_of(data, "scene_0").tolist() == points
