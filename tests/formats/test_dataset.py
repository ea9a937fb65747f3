"""Data folders: what is read, and what is refused with which words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder, default_classes

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = Path(__file__).parents[2] / "../shared/data"
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (6, 9, 3), np.uint8)
LABELS = RNG.integers(0, 2, (6, 9), np.uint8)


def write(path: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    for folder in ("images", "labels"):
        (path / "train" / folder).mkdir(parents=True)
    for name in names:
        iio.imwrite(path / "train" / "images" / f"{name}.png", RGB)
        iio.imwrite(path / "train" / "labels" / f"{name}.png", LABELS)
    (path / "classes.json").write_text(
        json.dumps([{"id": 0, "name": "sea"}, {"id": 1, "name": "land"}])
    )
    return path


def test_what_is_there_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "data", ("a", "b", ".hidden"))
    iio.imwrite(path / "train" / "images" / "C.JPG", RGB)
    (path / "train" / "images" / "notes.txt").write_text("not a picture")
    (path / "train" / "images" / "city").mkdir()
    iio.imwrite(path / "train" / "images" / "city" / "d.png", RGB)
    data = DataFolder.open(path)
    assert data.train == ("C", "a", "b", "city/d")
    assert (data.val, data.has_val, data.n_channels) == ((), False, 3)
    assert data.without("labels") == ("C", "city/d")
    assert data.has_some("labels")
    assert not data.has_some("masks")
    assert data.without("masks") == data.train
    assert [c.name for c in data.classes] == ["sea", "land"]
    assert len({c.color for c in data.classes}) == 2
    assert data.shape("a") == (6, 9)
    assert data.file_name("city/d") == "city/d.png"
    np.testing.assert_array_equal(data.image("a"), RGB)
    np.testing.assert_array_equal(data.labels("a"), LABELS)
    assert data.labels("C") is None


@pytest.mark.parametrize("folder", ["", "images"])
def test_a_folder_of_images_alone(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    iio.imwrite(tmp_path / folder / "x.png", RGB)
    with pytest.raises(InputError, match=r"no classes\.json"):
        DataFolder.open(tmp_path)
    data = DataFolder.open(tmp_path, classes=default_classes(["one", "two"]))
    assert data.train == ("x",)
    assert not data.has_labels


KINDS = {
    "grey.png": (RGB[..., 0], 1, np.uint8),
    "rgba.png": (np.dstack([RGB, RGB[..., :1]]), 3, np.uint8),
    "sixteen.png": (RGB[..., 0].astype(np.uint16) * 200, 1, np.uint16),
    "float.tif": (RGB[..., 0].astype(np.float32) / 7, 1, np.float32),
    "five.tif": (RNG.integers(0, 999, (5, 6, 9)).astype(np.uint16), 5, np.uint16),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_images(name: str, tmp_path: Path) -> None:
    pixels, n_channels, dtype = KINDS[name]
    (tmp_path / "images").mkdir()
    file = tmp_path / "images" / name
    if name.endswith(".tif"):
        axes = {"metadata": {"axes": "CYX"}} if pixels.ndim == 3 else {}
        tifffile.imwrite(file, pixels, photometric="minisblack", **axes)
    else:
        iio.imwrite(file, pixels)
    data = DataFolder.open(tmp_path, classes=default_classes(["one"]))
    image = data.image(data.train[0])
    assert (image.shape, image.dtype) == ((6, 9, n_channels), dtype)
    if pixels.ndim == 2:
        np.testing.assert_array_equal(image[..., 0], pixels)


def images(path: Path) -> Path:
    return path / "train" / "images"


def write_map(path: Path, kind: str, ids: np.ndarray) -> None:
    (path / "train" / kind).mkdir(exist_ok=True)
    iio.imwrite(path / "train" / kind / "b.png", ids)


def cut_short(path: Path) -> None:
    file = images(path) / "b.png"
    file.write_bytes(file.read_bytes()[:60])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "label of another size": (
        lambda p: iio.imwrite(p / "train" / "labels" / "b.png", LABELS[:3]),
        r"b\.png is 9 x 3 pixels and its image is 9 x 6",
    ),
    "class id that is none": (
        lambda p: iio.imwrite(p / "train" / "labels" / "b.png", LABELS + 5),
        r"b\.png has the class id [56]; the classes are 0 to 1",
    ),
    "image cut short": (cut_short, r"b\.png"),
    "text named png": (lambda p: (images(p) / "b.png").write_text("hello"), r"b\.png"),
    "empty file": (lambda p: (images(p) / "b.png").write_bytes(b""), r"b\.png"),
    "other channels": (
        lambda p: (
            iio.imwrite(images(p) / "b.png", RGB[..., 0]),
            iio.imwrite(images(p) / "c.png", RGB),
        ),
        r"b\.png has 1 channel and most images have 3",
    ),
    "initial label that is no class": (
        lambda p: write_map(p, "initial_labels", LABELS + 7),
        r"initial_labels/b\.png has the class id [78]",
    ),
    "masks of another size": (
        lambda p: write_map(p, "masks", LABELS[:, :4]),
        r"masks/b\.png is 4 x 6 pixels and its image is 9 x 6",
    ),
    "labels in colour": (lambda p: write_map(p, "labels", RGB), r"b\.png is a colour picture"),
    "link to nowhere": (
        lambda p: (
            (images(p) / "b.png").unlink(),
            (images(p) / "b.png").symlink_to("/nowhere.png"),
        ),
        r"b\.png",
    ),
}


@pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)
def test_one_bad_file_is_named_and_left_out_on_request(
    fault: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "data")
    fault(path)
    with pytest.raises(InputError, match=message) as refusal:
        DataFolder.open(path)
    assert "or open with skip_broken=True to leave it out" in str(refusal.value)
    data = DataFolder.open(path, skip_broken=True)
    assert "a" in data.train
    assert "b" not in data.train
    assert [broken.path.stem for broken in data.broken] == ["b"]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        DataFolder.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        DataFolder.open(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        DataFolder.open(tmp_path / "empty")
    path = write(tmp_path / "data", ("a",))
    cut = images(path) / "a.png"
    cut.write_bytes(cut.read_bytes()[:50])
    with pytest.raises(InputError, match="No training image can be used"):
        DataFolder.open(path, skip_broken=True)


@pytest.mark.skipif(os.name == "nt", reason="there are no such names")
@pytest.mark.parametrize("name", [b"a\nb", b"a\\b", b"C:a", b"\xff"])
def test_names_that_cannot_be_kept_are_refused_at_once(name: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "data")
    images = os.fsencode(path / "train" / "images")
    os.rename(images + b"/a.png", images + b"/" + name + b".png")
    with pytest.raises(InputError, match="rename it"):
        DataFolder.open(path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "data")
    iio.imwrite(images(path) / "a.jpg", RGB)
    with pytest.raises(InputError, match=r"a\.(jpg|png).*a\.(jpg|png)"):
        DataFolder.open(path)


def test_an_image_that_changes_later_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "data")
    data = DataFolder.open(path)
    iio.imwrite(images(path) / "a.png", RGB[:4])
    with pytest.raises(InputError, match="has changed"):
        data.image("a")


def test_validation_images_need_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "data")
    for folder, pixels in (("images", RGB), ("labels", LABELS)):
        (path / "val" / folder).mkdir(parents=True)
        iio.imwrite(path / "val" / folder / "v.png", pixels)
    data = DataFolder.open(path)
    assert (data.val, data.has_val) == (("v",), True)
    np.testing.assert_array_equal(data.labels("v", "val"), LABELS)
    (path / "val" / "labels" / "v.png").unlink()
    with pytest.raises(InputError, match=r"v\.png has no labels; validation images need them"):
        DataFolder.open(path)


def test_labels_that_are_named_unlike_any_image_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "data", ("a",))
    (path / "train" / "labels" / "a.png").rename(path / "train" / "labels" / "a_L.png")
    with pytest.raises(InputError, match="'a_L' is there, and an image is called 'a'"):
        DataFolder.open(path)


def test_masks_hold_more_objects_than_a_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "data", ("a",))
    (path / "train" / "masks").mkdir()
    ids = np.arange(54, dtype=np.int32).reshape(6, 9) * 70_000
    file = path / "train" / "masks" / "a.tif"
    tifffile.imwrite(file, ids)
    data = DataFolder.open(path)
    assert data.has_masks
    np.testing.assert_array_equal(data.masks("a"), ids)
    tifffile.imwrite(file, -ids)
    with pytest.raises(InputError, match="object ids outside 0 to 2147483647"):
        data.masks("a")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    path = write(tmp_path / "data", ("a",))
    (tmp_path / "elsewhere").mkdir()
    iio.imwrite(tmp_path / "elsewhere" / "z.png", RGB)
    (images(path) / "linked").symlink_to(tmp_path / "elsewhere")
    (images(path) / "loop").symlink_to(images(path))
    assert DataFolder.open(path).train == ("a", "linked/z")


@pytest.mark.parametrize("name", ["c", "../../classes", "/etc/passwd", "a.png", ""])
def test_only_images_of_the_folder_are_read(name: str, tmp_path: Path) -> None:
    data = DataFolder.open(write(tmp_path / "data"))
    for access in (data.image, data.labels, data.initial_labels, data.masks, data.shape):
        with pytest.raises(InputError, match="has no image"):
            access(name)


@pytest.mark.parametrize(("name", "n_train", "n_val"), [("camvid", 367, 101), ("nuclei", 150, 50)])
def test_real_data(name: str, n_train: int, n_val: int) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    data = DataFolder.open(REAL / name)
    assert (len(data.train), len(data.val)) == (n_train, n_val)
    assert data.image(data.train[0]).shape == (*data.shape(data.train[0]), 3)
