"""Predictions read pictures as the model's own were read: pixel type, channels, nodata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.images import read_ids
from napari_al.learning.segmenter import build_segmenter
from napari_al.tools.predict import predict_images
from napari_al.tools.trained_model import Model

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 65535, (20, 24)).astype(np.uint16)


def model(path: Path, **rules: object) -> Model:
    file = path / "model.safetensors"
    file.write_bytes(b"")
    segmenter = build_segmenter("filters", 1, 2, mean=[32768], std=[20000], seed=0)
    decided = ImageRules(n_channels=1, pixel_type="uint16", **rules)  # type: ignore[arg-type]
    return Model(file, segmenter, default_classes(["sea", "land"]), decided)


def test_another_pixel_type_is_refused_or_converted(tmp_path: Path) -> None:
    Image.fromarray((PIXELS // 257).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="8-bit pixels"):
        predict_images(model(tmp_path), [tmp_path / "a.png"], tmp_path / "out")
    converts = model(tmp_path, convert=True)
    predict_images(converts, [tmp_path / "a.png"], tmp_path / "out")
    tifffile.imwrite(tmp_path / "b.tif", PIXELS // 257 * 257)
    predict_images(converts, [tmp_path / "b.tif"], tmp_path / "out")
    eight, sixteen = (read_ids(tmp_path / "out" / f"{name}.png") for name in "ab")
    np.testing.assert_array_equal(eight, sixteen)


def test_pixels_without_data_have_no_class(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:8, :8] = 7
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    predict_images(model(tmp_path, nodata=7), [tmp_path / "a.tif"], tmp_path / "out")
    class_map = read_ids(tmp_path / "out" / "a.png")
    assert (class_map[:8, :8] == IGNORE).all()
    assert (class_map[8:] != IGNORE).all()


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    for folder in ("images", "disk"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite(tmp_path / "disk" / "a.tif", PIXELS)
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images")
    predict_images(model(tmp_path), [tmp_path / "images"], tmp_path / "out")
    assert (tmp_path / "out" / "linked" / "a.png").exists()
