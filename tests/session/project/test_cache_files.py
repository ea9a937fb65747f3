"""Class maps and id maps on disk, and labels at single pixels."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_al.core.geometry.masks import Mask
from napari_al.session.project import cache_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("highest", [0, 254, 2**16 - 2, 2**16 - 1, 2**31 - 1])
def test_ids_come_back(highest: int, tmp_path: Path) -> None:
    ids = np.array([[-1, 0, highest], [highest // 2, highest // 3, -1]], np.int32)
    cache_files.write_ids(tmp_path / "ids.png", ids)
    back = cache_files.read_ids(tmp_path / "ids.png")
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, ids)
    assert cache_files.read_size(tmp_path / "ids.png") == (2, 3)
    assert cache_files.read_class_map(tmp_path / "ids.png") is None


def test_class_maps_come_back_and_are_no_ids(tmp_path: Path) -> None:
    class_map = np.array([[0, 1, 255]], np.uint8)
    cache_files.write_class_map(tmp_path / "map.png", class_map)
    np.testing.assert_array_equal(cache_files.read_class_map(tmp_path / "map.png"), class_map)
    assert cache_files.read_ids(tmp_path / "map.png") is None


def png(width: int, height: int, body: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(2**20, 2**20), (0, 5), (2**31 - 1, 2)])
def test_pictures_that_claim_to_be_huge_count_as_missing(
    width: int, height: int, tmp_path: Path
) -> None:
    (tmp_path / "bomb.png").write_bytes(png(width, height, zlib.compress(b"\0" * 10_000)))
    assert cache_files.read_ids(tmp_path / "bomb.png") is None
    assert cache_files.read_class_map(tmp_path / "bomb.png") is None


@given(st.data())
def test_a_mask_holds_its_pixels(data: st.DataObject) -> None:
    inside = data.draw(arrays(bool, (5, 6)).filter(np.any))
    mask = Mask.from_array(inside, origin=(2, 1))
    whole = mask.to_array((9, 9))
    held = [[mask.holds((row, col)) for col in range(9)] for row in range(9)]
    np.testing.assert_array_equal(held, whole)
