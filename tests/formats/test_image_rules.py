"""What the pictures of a folder mean: one kind for all, pixels without data, labels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
GREY = RNG.integers(1, 255, (8, 9), dtype=np.uint8)
CONVERT = ImageRules(convert=True)


def folder(path: Path, **images: np.ndarray) -> Path:
    """Write a data folder of two classes; floats and 16 bit as TIFF."""
    (path / "train" / "images").mkdir(parents=True)
    (path / "train" / "labels").mkdir()
    (path / "classes.json").write_text(
        json.dumps([{"id": 0, "name": "sea"}, {"id": 1, "name": "land"}])
    )
    for name, pixels in images.items():
        file = path / "train" / "images" / name
        if pixels.dtype == np.uint8:
            Image.fromarray(pixels).save(f"{file}.png")
        else:
            tifffile.imwrite(f"{file}.tif", pixels)
        label(path, name, (pixels.reshape(*pixels.shape[:2], -1)[..., 0] > 99).astype(np.uint8))
    return path


def label(path: Path, name: str, ids: np.ndarray) -> None:
    Image.fromarray(ids).save(path / "train" / "labels" / f"{name}.png")


def test_bit_depths_are_not_mixed_but_converted_on_request(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY, b=GREY, c=GREY.astype(np.uint16) * 200)
    with pytest.raises(InputError, match=r"c\.tif has 16-bit pixels.*images\.convert=true"):
        DataFolder.open(path)
    data = DataFolder.open(path, rules=CONVERT)
    assert (data.rules.pixel_type, data.n_channels) == ("uint16", 1)
    np.testing.assert_array_equal(data.image("a")[..., 0], GREY.astype(np.uint16) * 257)
    assert "2 8-bit images are read as 16-bit." in data.notes


def test_grey_among_rgb_is_converted_on_request(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY, b=np.dstack([GREY] * 3), c=np.dstack([GREY] * 3))
    with pytest.raises(InputError, match=r"a\.png has 1 channel.*images\.convert=true"):
        DataFolder.open(path)
    data = DataFolder.open(path, rules=CONVERT)
    np.testing.assert_array_equal(data.image("a"), data.image("b"))


def test_floats_among_whole_numbers_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY, b=GREY, c=GREY.astype(np.float32))
    with pytest.raises(InputError, match=r"c\.tif has float pixels"):
        DataFolder.open(path, rules=CONVERT)


def test_what_was_decided_is_kept(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY.astype(np.uint16), b=GREY.astype(np.uint16))
    rules = DataFolder.open(path).rules
    assert (rules.n_channels, rules.pixel_type) == (1, "uint16")
    low, high = np.percentile(GREY, (1, 99))
    assert rules.ranges == ((low, high),)
    for name in ("c", "d", "e"):
        Image.fromarray(GREY).save(path / "train" / "images" / f"{name}.png")
    data = DataFolder.open(path, rules=rules, skip_broken=True)
    assert data.train == ("a", "b"), "the new images do not outvote what a model has learnt from"


@pytest.mark.parametrize("kind", ["setting", "tag", "NaN"])
def test_pixels_without_data_are_ignored_everywhere(kind: str, tmp_path: Path) -> None:
    hole = np.zeros(GREY.shape, bool)
    hole[2:5, 3:7] = True
    pixels = GREY.astype(np.float32 if kind == "NaN" else np.uint16)
    pixels[hole] = np.nan if kind == "NaN" else 0
    path = folder(tmp_path, a=pixels)
    if kind == "tag":
        tag = [(42113, "s", 0, "0", True)]
        tifffile.imwrite(path / "train" / "images" / "a.tif", pixels, extratags=tag)
    (path / "train" / "masks").mkdir()
    Image.fromarray(np.ones(GREY.shape, np.uint8)).save(path / "train" / "masks" / "a.png")
    data = DataFolder.open(path, rules=ImageRules(nodata=0) if kind == "setting" else None)
    valid = data.valid("a")
    assert valid is not None
    np.testing.assert_array_equal(valid, ~hole)
    image, labels, masks = data.image("a")[..., 0], data.labels("a"), data.masks("a")
    assert labels is not None
    assert masks is not None
    assert (labels[hole] == IGNORE).all()
    assert (labels[~hole] != IGNORE).all()
    assert (masks == ~hole).all()
    np.testing.assert_array_equal(image[~hole], pixels[~hole])
    assert np.unique(image[hole]) == np.median(GREY[~hole]).astype(image.dtype)


def test_an_image_without_any_data_cannot_be_used(tmp_path: Path) -> None:
    data = DataFolder.open(folder(tmp_path, a=GREY * 0), rules=ImageRules(nodata=0))
    with pytest.raises(InputError, match="no pixel with data"):
        data.image("a")


def test_masks_of_0_and_255_are_asked_about(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY)
    label(path, "a", ((GREY > 99) * 255).astype(np.uint8))
    with pytest.raises(InputError, match=r"only 0 and 255.*stands for 'land'.*label_ids"):
        DataFolder.open(path)
    data = DataFolder.open(path, rules=ImageRules(label_ids={255: 1}))
    np.testing.assert_array_equal(data.labels("a"), GREY > 99)
    data = DataFolder.open(path, rules=ImageRules(label_ids={255: IGNORE, 0: 1}))
    np.testing.assert_array_equal(data.labels("a"), np.where(GREY > 99, IGNORE, 1))


def test_a_class_that_no_label_has_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY)
    assert DataFolder.open(path).notes == ()
    label(path, "a", np.zeros_like(GREY))
    assert DataFolder.open(path).notes == ("No label has the class land.",)


def test_other_files_are_counted_and_named(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY)
    for name in ("b.gif", "c.gif", "d.czi", ".hidden.gif", "Thumbs.db"):
        (path / "train" / "images" / name).touch()
    Image.fromarray(GREY).save(path / "train" / "labels" / "x.png")
    first, second = DataFolder.open(path).notes
    assert first.startswith("1 .czi, 2 .gif files are not read in")
    assert second.startswith("1 file has no image of the same name in")


def test_labels_are_not_read_where_nobody_needs_them(tmp_path: Path) -> None:
    path = folder(tmp_path, a=GREY, b=GREY)
    (path / "train" / "labels" / "a.png").write_bytes(b"broken")
    (path / "val" / "images").mkdir(parents=True)
    Image.fromarray(GREY).save(path / "val" / "images" / "v.png")
    with pytest.raises(InputError, match=r"a\.png"):
        DataFolder.open(path)
    data = DataFolder.open(path, check_labels=False)
    assert (data.train, data.val) == (("a", "b"), ())
    assert data.notes == (f"1 image in {path / 'val'} without labels: not used to validate.",)


def test_damage_in_the_middle_shows_before_training_for_val_too(tmp_path: Path) -> None:
    noise = RNG.integers(0, 255, (90, 90), dtype=np.uint8)
    path = folder(tmp_path, a=noise, b=noise)
    for split in ("train", "val"):
        (path / split / "images").mkdir(parents=True, exist_ok=True)
        (path / split / "labels").mkdir(exist_ok=True)
        for name in ("x", "y"):
            Image.fromarray(noise).save(path / split / "images" / f"{name}.png")
            Image.fromarray(noise % 2).save(path / split / "labels" / f"{name}.png")
        damaged = path / split / "images" / "x.png"
        content = bytearray(damaged.read_bytes())
        content[3000:3040] = bytes(40)
        damaged.write_bytes(content)
    assert "x" in DataFolder.open(path).train, "headers alone do not show it"
    data = DataFolder.open(path, skip_broken=True)
    assert (data.train, data.val) == (("a", "b", "y"), ("y",))
    rules = data.rules.model_copy(update={"left_out": ("train/x", "val/x")})
    again = DataFolder.open(path, rules=rules, skip_broken=True, check_pixels=False)
    assert (again.train, again.val) == (data.train, data.val)
