"""A large picture as a whole, small: from its pyramid, or every so many pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.parts import overview
from napari_al.formats.parts.overview import overview_of

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = np.random.default_rng(0).integers(0, 250, (160, 240, 3)).astype(np.uint8)
SMALL = PICTURE[::4, ::4]


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MAX_SIDE", 64)


def opened(path: Path) -> DataFolder:
    (path / "classes.json").write_text(json.dumps([{"id": 0, "name": "a"}]))
    return DataFolder.open(path, rules=ImageRules(block_px=64))


def write_pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        how = {"photometric": "rgb", "tile": (32, 32)}
        file.write(PICTURE, subifds=2, **how)
        for level in (PICTURE[::2, ::2], SMALL):
            file.write(level, subfiletype=1, **how)


def test_of_a_pyramidal_tiff_the_largest_that_is_small(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tif")
    data = opened(tmp_path)
    np.testing.assert_array_equal(overview_of(data, data.train[3]), SMALL)
    np.testing.assert_array_equal(data.image(data.train[0]), PICTURE[:64, :64])


def test_of_ome_zarr_the_largest_that_is_small(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    levels = {"0": PICTURE, "1": PICTURE[::2, ::2], "2": SMALL}
    for name, level in levels.items():
        group.create_array(name, data=level.transpose(2, 0, 1))
    axes, datasets = ["c", "y", "x"], [{"path": name} for name in levels]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    data = opened(tmp_path)
    np.testing.assert_array_equal(overview_of(data, data.train[3]), SMALL)


def test_without_a_pyramid_every_so_many_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", PICTURE[:50, :50], photometric="rgb")
    data = opened(tmp_path)
    np.testing.assert_array_equal(overview_of(data, data.train[0]), PICTURE[2::4, 2::4])
    assert overview_of(data, "b") is None, "it is not a block"
    monkeypatch.setattr(overview, "is_too_large", lambda _: True)
    assert overview_of(data, data.train[0]) is None
