"""The region table: worked examples, and a loop over regions and pixels."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_al.core import regions
from napari_al.core.acquisition import bvsb
from napari_al.core.regions import (
    RegionTable,
    means_of_merged,
    merge_rows,
    region_means,
    region_table,
)
from napari_al.errors import InputError

SETTINGS = settings(max_examples=40, deadline=None)
CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "n_classes": st.integers(1, 6),
    "height": st.integers(1, 12),
    "width": st.integers(1, 12),
    "n_regions": st.integers(1, 9),
}


def scene(
    seed: int, n_classes: int, height: int, width: int, n_regions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, some of them equal, and a region map with gaps and pixels of no region."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, (n_classes, height, width)).astype(np.float32)
    return weights / weights.sum(axis=0), rng.integers(-1, n_regions, (height, width))


def loop(probs: np.ndarray, region_map: np.ndarray, n_regions: int) -> RegionTable:
    n_classes = len(probs)
    table = RegionTable(
        np.zeros(n_regions, np.int64),
        np.zeros((n_regions, n_classes), np.float32),
        np.zeros(n_regions, np.float32),
        np.zeros((n_regions, n_classes), np.int32),
        np.zeros((n_regions, n_classes), np.float32),
    )
    for region_id in range(n_regions):
        pixels = [probs[:, r, c].tolist() for r, c in np.argwhere(region_map == region_id)]
        if not pixels:
            continue
        ratios = []
        for p in pixels:
            top = p.index(max(p))
            ratios.append(max(p[:top] + p[top + 1 :], default=0.0) / p[top])
            table.class_histogram[region_id, top] += 1
            table.bvsb_by_class[region_id, top] += ratios[-1]
        table.size[region_id] = len(pixels)
        table.mean_probs[region_id] = np.mean(pixels, axis=0)
        table.mean_bvsb[region_id] = np.mean(ratios)
    return table


def assert_alike(table: RegionTable, expected: RegionTable, atol: float = 1e-5) -> None:
    for field in fields(RegionTable):
        got, wanted = getattr(table, field.name), getattr(expected, field.name)
        assert got.dtype == wanted.dtype, field.name
        assert got.shape == wanted.shape, field.name
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=atol, err_msg=field.name)


@given(**CASES)
@SETTINGS
def test_loop_over_regions(
    seed: int, n_classes: int, height: int, width: int, n_regions: int
) -> None:
    probs, region_map = scene(seed, n_classes, height, width, n_regions)
    table = region_table(torch.from_numpy(probs), region_map, n_regions)
    assert_alike(table, loop(probs, region_map, n_regions))


@given(**CASES)
@SETTINGS
def test_other_devices_sum_alike(
    seed: int, n_classes: int, height: int, width: int, n_regions: int
) -> None:
    """What runs on a GPU, here on the CPU."""
    probs, region_map = scene(seed, n_classes, height, width, n_regions)
    one = regions._sums_on_cpu(torch.from_numpy(probs), region_map, n_regions)
    other = regions._sums_on_device(torch.from_numpy(probs), region_map, n_regions)
    np.testing.assert_array_equal(other.histogram, one.histogram)
    np.testing.assert_allclose(other.probs, one.probs, rtol=1e-5)
    np.testing.assert_allclose(other.bvsb, one.bvsb, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_on_a_gpu(dtype: torch.dtype) -> None:
    probs, region_map = scene(0, 19, 60, 80, 30)
    held = torch.from_numpy(probs).to(dtype)
    expected = region_table(held, region_map, 30)
    assert_alike(region_table(held.cuda(), region_map, 30), expected)
    on_device = torch.from_numpy(region_map).cuda()
    assert_alike(region_table(held.cuda(), on_device, 30), expected)


def test_large_regions_stay_exact() -> None:
    """One region over more pixels than float32 can count in steps of a small probability."""
    height, width = 512, 1024
    probs = torch.full((2, height, width), 0.1)
    probs[1] = 0.9
    table = region_table(probs, np.zeros((height, width), np.int32), 1)
    np.testing.assert_allclose(table.mean_probs, [[0.1, 0.9]], rtol=1e-6)
    np.testing.assert_allclose(table.mean_bvsb, [1 / 9], rtol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "bvsb_mean", "dominant"),
    [
        ([(0.5, 0.3, 0.2)], 0.6, 0),
        ([(0.9, 0.1), (0.1, 0.9)], 1 / 9, 0),
        ([(0.4, 0.6), (0.1, 0.9), (0.8, 0.2)], (0.4 / 0.6 + 1 / 9 + 0.25) / 3, 1),
        ([(0.5, 0.5)], 1.0, 0),
        ([(1.0,)], 0.0, 0),
    ],
)
def test_worked_examples(pixels: list[tuple[float, ...]], bvsb_mean: float, dominant: int) -> None:
    probs = torch.tensor(pixels).T[:, None]
    table = region_table(probs, np.zeros((1, len(pixels)), np.int32), 1)
    assert table.mean_bvsb[0] == pytest.approx(bvsb_mean, rel=1e-6)
    assert table.dominant.tolist() == [dominant]
    assert (len(table), table.n_classes) == (1, len(pixels[0]))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64", "strided", "requires grad"])
def test_any_kind_of_tensor(kind: str) -> None:
    probs, region_map = scene(1, 4, 9, 7, 6)
    tensor = torch.from_numpy(probs)
    if kind == "strided":
        tensor = tensor.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    elif kind == "requires grad":
        tensor.requires_grad_()
    else:
        tensor = tensor.to(getattr(torch, kind))
    rounded = tensor.detach().float().contiguous().numpy()
    assert_alike(region_table(tensor, region_map, 6), loop(rounded, region_map, 6))


def test_a_tensor_of_ids_and_more_classes_than_a_byte_holds() -> None:
    probs, region_map = scene(2, 300, 6, 6, 4)
    table = region_table(torch.from_numpy(probs), torch.from_numpy(region_map), 4)
    assert_alike(table, loop(probs, region_map, 4))


@given(**CASES, n_groups=st.integers(1, 5))
@SETTINGS
def test_merged_rows_are_the_table_of_the_merged_map(
    seed: int, n_classes: int, height: int, width: int, n_regions: int, n_groups: int
) -> None:
    probs, region_map = scene(seed, n_classes, height, width, n_regions)
    group = np.random.default_rng(seed).integers(0, n_groups, n_regions)
    merged_map = np.where(region_map < 0, -1, group[region_map])
    tensor = torch.from_numpy(probs)
    merged = merge_rows(region_table(tensor, region_map, n_regions), group)
    assert_alike(merged, region_table(tensor, merged_map, int(group.max()) + 1))
    assert merged.size.sum() == (region_map >= 0).sum()


@given(**CASES)
@SETTINGS
def test_rows_agree_with_each_other(
    seed: int, n_classes: int, height: int, width: int, n_regions: int
) -> None:
    probs, region_map = scene(seed, n_classes, height, width, n_regions)
    table = region_table(torch.from_numpy(probs), region_map, n_regions)
    filled = table.size > 0
    assert table.size.sum() == (region_map >= 0).sum()
    np.testing.assert_array_equal(table.class_histogram.sum(axis=1), table.size)
    np.testing.assert_allclose(table.mean_probs[filled].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        table.bvsb_by_class.sum(axis=1), table.mean_bvsb * table.size, rtol=1e-5, atol=1e-6
    )
    ratios = bvsb(probs)
    assert ratios.shape == region_map.shape
    np.testing.assert_allclose(
        (table.mean_bvsb * table.size).sum(), ratios[region_map >= 0].sum(), rtol=1e-4, atol=1e-5
    )


def test_a_row_takes_240_bytes_for_19_classes() -> None:
    probs, region_map = scene(3, 19, 4, 4, 5)
    table = region_table(torch.from_numpy(probs), region_map, 5)
    assert sum(getattr(table, field.name).nbytes for field in fields(table)) == 5 * 240


def test_merging_no_rows() -> None:
    empty = RegionTable(
        np.zeros(0, np.int64),
        np.zeros((0, 3), np.float32),
        np.zeros(0, np.float32),
        np.zeros((0, 3), np.int32),
        np.zeros((0, 3), np.float32),
    )
    assert len(merge_rows(empty, np.zeros(0, np.int32))) == 0


@pytest.mark.parametrize(
    ("probs_shape", "map_shape", "highest", "message"),
    [
        ((2, 3, 4), (3, 5), 0, r"\(2, 3, 4\) and \(3, 5\)"),
        ((3, 4), (3, 4), 0, r"\(C, H, W\)"),
        ((2, 0, 4), (0, 4), 0, r"\(C, H, W\)"),
        ((2, 3, 4), (3, 4), 5, "below n_regions=5.*got 5"),
    ],
)
def test_what_does_not_fit(
    probs_shape: tuple[int, ...], map_shape: tuple[int, ...], highest: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        region_table(torch.zeros(probs_shape), np.full(map_shape, highest), 5)


@pytest.mark.parametrize("group", [[0], [0, -1, 0, 0]])
def test_groups_that_do_not_fit(group: list[int]) -> None:
    probs, region_map = scene(0, 3, 4, 4, 4)
    with pytest.raises(InputError, match="each of the 4 rows"):
        merge_rows(region_table(torch.from_numpy(probs), region_map, 4), np.array(group))


def test_means_over_regions_and_merged_ones() -> None:
    rng = np.random.default_rng(3)
    region_map = rng.integers(-1, 4, (9, 11)).astype(np.int32)
    values = rng.random((9, 11))
    means = region_means(values, region_map, 5)
    for region in range(4):
        assert means[region] == pytest.approx(values[region_map == region].mean(), rel=1e-6)
    assert means[4] == 0
    size = np.bincount(region_map[region_map >= 0], minlength=5)
    merged = means_of_merged(means, size, np.array([0, 1, 0, 1, 2]))
    assert merged[0] == pytest.approx(values[np.isin(region_map, (0, 2))].mean(), rel=1e-6)
    assert merged[2] == 0
