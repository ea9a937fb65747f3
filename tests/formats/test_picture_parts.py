"""Blocks of large pictures and planes of stacks as images of a data folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_al.errors import InputError
from napari_al.formats.data_record import check_same, folder_without_files, is_there, record_of
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.images import Header
from napari_al.formats.known_headers import KnownHeaders
from napari_al.formats.parts import picture_parts
from napari_al.formats.parts.picture_parts import BLOCK_PX, block_at, parts_of

if TYPE_CHECKING:
    from pathlib import Path

RULES = ImageRules(block_px=64)
SHAPE = (150, 200)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 250, (*SHAPE, 3)).astype(np.uint8)
LABELS = RNG.integers(0, 3, SHAPE).astype(np.uint8)
STACK = RNG.integers(0, 60000, (2, 3, 20, 30)).astype(np.uint16)


def write_folder(path: Path) -> Path:
    for folder in ("images", "labels", "masks"):
        (path / "train" / folder).mkdir(parents=True)
    classes = [{"id": i, "name": name} for i, name in enumerate("abc")]
    (path / "classes.json").write_text(json.dumps(classes))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A large picture with labels and masks."""
    path = write_folder(tmp_path / "data")
    how = {"tile": (32, 32), "compression": "zlib"}
    tifffile.imwrite(path / "train/images/slide.tif", PICTURE, photometric="rgb", **how)
    tifffile.imwrite(path / "train/labels/slide.tif", LABELS, **how)
    iio.imwrite(path / "train/masks/slide.png", LABELS)
    return path


def write_stack(path: Path) -> Path:
    how = {"metadata": {"axes": "TZYX"}, "photometric": "minisblack"}
    tifffile.imwrite(path / "train/images/stack.tif", STACK, ome=True, **how)
    tifffile.imwrite(path / "train/labels/stack.tif", (STACK % 3).astype(np.uint8), **how)
    return path


@pytest.mark.parametrize("shape", [(4097, 4096), (40_000, 30_001), (100, 200_000), (6000, 4000)])
def test_blocks_cover_a_picture_exactly(shape: tuple[int, int]) -> None:
    parts = parts_of("a", Header(*shape, 3, "uint8"), BLOCK_PX)
    times = np.zeros(tuple(-(-side // 32) for side in shape), int)
    for part in parts:
        top, left, bottom, right = part.box
        assert top % 32 == left % 32 == 0
        assert max(part.shape) <= 1.25 * BLOCK_PX
        times[top // 32 : -(-bottom // 32), left // 32 : -(-right // 32)] += 1
    assert (times == 1).all()
    assert (parts[-1].box[2], parts[-1].box[3]) == shape
    names = [part.name for part in parts]
    assert names == sorted(names)


def test_the_block_at_a_pixel() -> None:
    parts = parts_of("a", Header(150, 200, 1, "uint8"), 64)
    of_pixel = {(r, c): p for p in parts for r in range(150)[p.rows] for c in range(200)[p.cols]}
    for part in parts:
        for row in range(-3, 153, 6):
            for col in range(-3, 203, 6):
                at = row - part.box[0], col - part.box[1]
                assert block_at(part, at, 64) == of_pixel.get((row, col))


def test_what_is_no_larger_stays_whole() -> None:
    assert parts_of("a", Header(4096, 4096, 3, "uint8"), BLOCK_PX) == []
    assert parts_of("a", Header(8000, 8000, 3, "uint8"), None) == []


def test_a_file_that_says_it_is_without_end_is_refused() -> None:
    with pytest.raises(InputError, match=r"parts; at most 100,000"):
        parts_of("a", Header(10**9, 10**9, 3, "uint8"), BLOCK_PX)


def test_a_block_is_read_where_it_lies(folder: Path) -> None:
    data = DataFolder.open(folder, rules=RULES)
    assert data.train[:2] == ("slide@y000x000", "slide@y000x064")
    assert len(data.train) == 9
    assert data.notes[-1] == "1 large picture is asked about block by block: 9 images."
    for name in data.train:
        part = data.part(name)
        assert part is not None
        where = (part.rows, part.cols)
        assert data.shape(name) == part.shape
        np.testing.assert_array_equal(data.image(name), PICTURE[where])
        np.testing.assert_array_equal(data.labels(name), LABELS[where])
        np.testing.assert_array_equal(data.masks(name), LABELS[where])
    block = data.in_place("slide@y064x128")
    np.testing.assert_array_equal(block.read(slice(3, 99), slice(0, 200)), PICTURE[3:99])


def test_a_stack_is_listed_plane_by_plane(tmp_path: Path) -> None:
    data = DataFolder.open(write_stack(write_folder(tmp_path)))
    assert data.train[:4] == ("stack@t0z0", "stack@t0z1", "stack@t0z2", "stack@t1z0")
    assert data.rules.block_px is None
    assert data.notes[-1] == "1 stack is asked about plane by plane: 6 images."
    np.testing.assert_array_equal(data.image("stack@t1z2")[..., 0], STACK[1, 2])
    np.testing.assert_array_equal(data.in_place("stack@t1z2")[..., 0], STACK[1, 2])
    np.testing.assert_array_equal(data.labels("stack@t1z0"), STACK[1, 0] % 3)


def test_planes_that_are_large_are_cut_too(tmp_path: Path) -> None:
    planes = RNG.integers(0, 250, (2, 150, 200)).astype(np.uint8)
    path = write_folder(tmp_path)
    how = {"metadata": {"axes": "ZYX"}, "photometric": "minisblack", "compression": "zlib"}
    tifffile.imwrite(path / "train/images/a.tif", planes, **how)
    data = DataFolder.open(path, rules=RULES)
    assert len(data.train) == 18
    np.testing.assert_array_equal(data.image("a@z1y064x128")[..., 0], planes[1, 64:128, 128:])


def test_pages_without_a_name_are_asked_about(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    pages = RNG.integers(0, 250, (3, 20, 30)).astype(np.uint8)
    tifffile.imwrite(path / "train/images/a.tif", pages, photometric="minisblack")
    with pytest.raises(InputError, match=r"images\.pages=channels.*images\.pages=planes"):
        DataFolder.open(path)
    data = DataFolder.open(path, rules=ImageRules(pages="planes"))
    assert data.train == ("a@z0", "a@z1", "a@z2")
    np.testing.assert_array_equal(data.image("a@z2")[..., 0], pages[2])
    assert DataFolder.open(path, rules=ImageRules(pages="channels")).n_channels == 3


def test_ome_zarr_is_an_image_of_a_data_folder(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    path = write_folder(tmp_path)
    for kind, array in (("images", PICTURE.transpose(2, 0, 1)), ("labels", LABELS)):
        group = zarr.open_group(path / f"train/{kind}/slide.zarr", mode="w")
        group.create_array("0", data=array)
        axes = [{"name": name} for name in "cyx"[3 - array.ndim :]]
        group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    data = DataFolder.open(path, rules=RULES)
    assert len(data.train) == 9
    np.testing.assert_array_equal(data.image("slide@y128x128"), PICTURE[128:, 128:])
    np.testing.assert_array_equal(data.labels("slide@y128x128"), LABELS[128:, 128:])
    zarr.open_group(path / "train/images/other.zarr", mode="w")
    with pytest.raises(InputError, match="name no multiscales"):
        DataFolder.open(path)


def test_the_names_are_the_same_when_it_is_opened_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if what is cut by default changes; a project from before does not cut."""
    monkeypatch.setattr("napari_al.formats.image_rules.BLOCK_PX", 64)
    data = DataFolder.open(folder)
    assert data.rules.block_px == 64
    monkeypatch.setattr("napari_al.formats.image_rules.BLOCK_PX", 100)
    assert DataFolder.open(folder, rules=data.rules).train == data.train
    before = data.rules.model_copy(update={"block_px": None})
    assert DataFolder.open(folder, rules=before).train == ("slide",)


def test_known_headers_know_stacks(tmp_path: Path) -> None:
    path, file = write_stack(write_folder(tmp_path / "data")), tmp_path / "headers.json"
    headers = KnownHeaders(path, file)
    names = DataFolder.open(path, headers=headers).train
    headers.save()
    assert DataFolder.open(path, headers=KnownHeaders(path, file)).train == names


def test_a_folder_is_found_again_and_known_without_its_files(folder: Path, tmp_path: Path) -> None:
    data = DataFolder.open(folder, rules=RULES)
    record = record_of(data, tmp_path)
    assert all(image.sha256 is None for image in record.images.values())
    assert is_there(record, folder)
    check_same(record, data)
    gone = folder_without_files(folder, data.classes, data.rules, record)
    assert gone.train == data.train
    assert [gone.part(name) for name in gone.train] == [data.part(name) for name in data.train]
    assert gone.file_name("slide@y000x064") == "slide.tif"
    with pytest.raises(InputError, match="has another size"):
        check_same(record_of(DataFolder.open(folder, rules=RULES), tmp_path), moved(folder))


def moved(folder: Path) -> DataFolder:
    """The same names, at other places."""
    tifffile.imwrite(folder / "train/images/slide.tif", PICTURE[:, :190], photometric="rgb")
    return DataFolder.open(folder, rules=RULES, check_labels=False)


def test_faults_of_a_part_are_told_of_the_file(folder: Path) -> None:
    data = DataFolder.open(folder, rules=RULES)
    moved(folder)
    with pytest.raises(InputError, match=r"slide\.tif has changed"):
        data.image("slide@y000x000")
    with pytest.raises(InputError, match=r"slide\.tif is 200 x 150.* 190 x 150"):
        DataFolder.open(folder, rules=RULES)
    wrong = np.where(np.arange(200) == 190, 7, LABELS).astype(np.uint8)
    tifffile.imwrite(folder / "train/images/slide.tif", PICTURE, photometric="rgb")
    tifffile.imwrite(folder / "train/labels/slide.tif", wrong)
    with pytest.raises(InputError, match=r"slide\.tif has the class id 7"):
        DataFolder.open(folder, rules=RULES)


def test_damage_is_found_where_pixels_are_checked(folder: Path) -> None:
    path = folder / "train/images/slide.tif"
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[-1]
    stored = bytearray(path.read_bytes())
    stored[offset : offset + 8] = b"nonsense"
    path.write_bytes(stored)
    assert len(DataFolder.open(folder, rules=RULES).train) == 9
    iio.imwrite(folder / "train/images/good.png", PICTURE[:50])
    data = DataFolder.open(folder, rules=RULES, skip_broken=True, check_labels=False)
    assert (data.train, [b.name for b in data.broken]) == (("good",), ["slide"])


def test_a_block_without_data_leaves_the_picture_in(folder: Path) -> None:
    pixels = PICTURE.astype(np.float32)
    pixels[:64, :64] = np.nan
    tifffile.imwrite(folder / "train/images/slide.tif", pixels, photometric="rgb")
    data = DataFolder.open(folder, rules=RULES)
    with pytest.raises(InputError, match="no pixel with data"):
        data.image("slide@y000x000")
    assert not data.valid("slide@y000x000").any()
    assert (data.labels("slide@y000x000") == 255).all()
    assert np.isfinite(data.in_place("slide@y000x000").read(slice(0, 64), slice(0, 64))).all()


def test_a_name_that_a_part_has_is_refused(folder: Path) -> None:
    iio.imwrite(folder / "train/images/slide@y000x064.png", PICTURE[:50])
    with pytest.raises(InputError, match="named as another image"):
        DataFolder.open(folder, rules=RULES, check_labels=False)


def test_too_many_parts_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_parts, "MAX_PARTS", 3)
    with pytest.raises(InputError, match="6 parts; at most 3"):
        DataFolder.open(folder, rules=RULES, check_labels=False)
