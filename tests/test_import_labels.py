"""Labels of other programs in: all that is exported comes back equal, and what others write."""

from __future__ import annotations

import base64
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.dataset import DataFolder
from napari_al.formats.exchange.export import WRITERS, Format, Item, export_labels
from napari_al.formats.exchange.pixel_outlines import filled_outline, outlines_of
from napari_al.tools.import_labels import import_labels

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = default_classes(["sea", "land", "boat"])
RNG = np.random.default_rng(1)
MAPS = {
    "a": np.where(RNG.random((17, 23)) < 0.2, IGNORE, RNG.integers(0, 3, (17, 23))),
    "city/b.c": np.kron(RNG.integers(0, 3, (4, 5)), np.ones((5, 6), int)),
    "town/b.c": np.full((6, 7), 2),
}
READER_OF = {"png": "index"}


def write_images(folder: Path) -> None:
    for name, ids in MAPS.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*ids.shape, 3), np.uint8)).save(path)


@pytest.mark.parametrize("format", WRITERS)
def test_what_is_exported_comes_back_equal(format: Format, tmp_path: Path) -> None:
    if format == "ngff":
        pytest.importorskip("zarr")
    write_images(tmp_path / "images")
    items = [
        Item(f"{name}.png", ids.astype(np.uint8), tmp_path / "images" / f"{name}.png")
        for name, ids in MAPS.items()
    ]
    export_labels(tmp_path / "out", items, CLASSES, format)
    done = import_labels(
        READER_OF.get(format, format),  # type: ignore[arg-type]
        tmp_path / "out",
        tmp_path / "data",
        images=tmp_path / "images",
    )
    assert [c.name for c in done.classes] == [c.name for c in CLASSES]
    assert done.n_images == 3
    data = DataFolder.open(tmp_path / "data")
    assert data.train == tuple(sorted(MAPS))
    for name, ids in MAPS.items():
        np.testing.assert_array_equal(data.labels(name), ids)


def test_colours_come_back_equal(tmp_path: Path) -> None:
    items = [Item(f"{name}.png", ids.astype(np.uint8)) for name, ids in MAPS.items()]
    export_labels(tmp_path / "out", items, CLASSES, "png")
    write_images(tmp_path / "images")
    import_labels("colours", tmp_path / "out", tmp_path / "d", images=tmp_path / "images")
    data = DataFolder.open(tmp_path / "d")
    for name, ids in MAPS.items():
        np.testing.assert_array_equal(data.labels(name), ids)


def test_outlines_are_exact() -> None:
    for _ in range(50):
        mask = RNG.random((RNG.integers(1, 14), RNG.integers(1, 14))) < RNG.random()
        again = np.zeros_like(mask)
        for outline in outlines_of(mask):
            inside = filled_outline(outline, mask.shape)
            assert not (inside & again).any()
            again |= inside
        np.testing.assert_array_equal(again, mask)


def source(path: Path, ids: np.ndarray) -> Path:
    """Write one image and its label image."""
    for folder in ("images", "labels"):
        (path / folder).mkdir(parents=True)
    Image.fromarray(np.zeros(ids.shape, np.uint8)).save(path / "images" / "a.png")
    Image.fromarray(ids).save(path / "labels" / "a.png")
    return path


ODD = np.array([[0, 7, 255], [7, 7, 0]], np.uint8)


def test_other_ids_are_asked_about_and_mapped(tmp_path: Path) -> None:
    path = source(tmp_path / "in", ODD)
    with pytest.raises(InputError, match=r"values 0, 7, 255.*--map 7=NAME"):
        import_labels("index", path, tmp_path / "d")
    table = {0: "back", 7: "car", 255: "ignore"}
    import_labels("index", path, tmp_path / "d", table=table)
    labels = DataFolder.open(tmp_path / "d").labels("a")
    np.testing.assert_array_equal(labels, [[0, 1, 255], [1, 1, 0]])


def test_masks_of_0_and_255_are_asked_about(tmp_path: Path) -> None:
    path = source(tmp_path / "in", np.array([[0, 255]], np.uint8))
    with pytest.raises(InputError, match=r"--map 0=NAME --map 255=NAME"):
        import_labels("index", path, tmp_path / "d")
    import_labels("index", path, tmp_path / "d", table={0: "back", 255: "object"})
    np.testing.assert_array_equal(DataFolder.open(tmp_path / "d").labels("a"), [[0, 1]])


def coco_file(path: Path) -> Path:
    crowd = np.zeros((8, 10), np.uint8, order="F")
    crowd[:, 4:] = 1
    counts = coco.encode(crowd)
    content: dict[str, Any] = {
        "images": [{"id": 5, "file_name": "a.png", "height": 8, "width": 10}],
        "categories": [{"id": 90, "name": "boat"}, {"id": 3, "name": "land"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 90, "iscrowd": 0,
             "segmentation": [[5, 1, 8, 1, 8, 4, 5, 4]]},
            {"id": 2, "image_id": 5, "category_id": 3, "iscrowd": 1,
             "segmentation": {"size": [8, 10], "counts": counts["counts"].decode()}},
            {"id": 3, "image_id": 5, "category_id": 3, "bbox": [0, 0, 2, 2]},
        ],
    }  # fmt: skip
    path.mkdir()
    (path / "instances.json").write_text(json.dumps(content))
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(path / "a.png")
    return path


def test_coco_with_gaps_polygons_runs_and_crowds(tmp_path: Path) -> None:
    done = import_labels("coco", coco_file(tmp_path / "in"), tmp_path / "d", background="sea")
    assert [c.name for c in done.classes] == ["land", "boat", "sea"]
    assert done.notes == ("1 annotations have no segmentation and are left out.",)
    labels = DataFolder.open(tmp_path / "d").labels("a")
    expected = np.full((8, 10), 2)
    expected[:, 4:] = 0
    expected[1:4, 5:8] = 1
    np.testing.assert_array_equal(labels, expected)


def test_cvats_labelmap(tmp_path: Path) -> None:
    (tmp_path / "in" / "SegmentationClass").mkdir(parents=True)
    (tmp_path / "in" / "JPEGImages").mkdir()
    (tmp_path / "in" / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
    )
    rgb = np.array([[[0, 0, 0], [250, 50, 83]]], np.uint8)
    Image.fromarray(rgb).save(tmp_path / "in" / "SegmentationClass" / "a.png")
    Image.fromarray(rgb).save(tmp_path / "in" / "JPEGImages" / "a.png")
    done = import_labels("voc", tmp_path / "in", tmp_path / "d")
    assert [c.name for c in done.classes] == ["background", "cat"]
    np.testing.assert_array_equal(DataFolder.open(tmp_path / "d").labels("a"), [[0, 1]])


def labelme_folder(path: Path, *shapes: dict[str, Any]) -> Path:
    path.mkdir()
    content = {"shapes": list(shapes), "imageHeight": 8, "imageWidth": 10}
    (path / "a.json").write_text(json.dumps(content))
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(path / "a.png")
    return path


def labelme_mask(label: str, x0: int, y0: int, mask: np.ndarray) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(file, "PNG")
    corner = [x0 + mask.shape[1] - 1, y0 + mask.shape[0] - 1]
    png = base64.b64encode(file.getvalue()).decode()
    return {"label": label, "points": [[x0, y0], corner], "shape_type": "mask", "mask": png}


def test_shapes_of_labelme(tmp_path: Path) -> None:
    """Circles and masks are painted, also where they reach beyond the image; lines are named."""
    cross = np.array([[0, 1, 0], [1, 1, 1]])
    source = labelme_folder(
        tmp_path / "in",
        {"label": "sea", "points": [[0, 0], [10, 8]], "shape_type": "rectangle"},
        {"label": "buoy", "points": [[3, 3], [3, 4.6]], "shape_type": "circle"},
        labelme_mask("boat", 6, 1, cross),
        labelme_mask("boat", 8, 7, np.ones((3, 4))),
        {"label": "way", "points": [[0, 0], [4, 4]], "shape_type": "line"},
        {"label": "spot", "points": [[1, 1]], "shape_type": "point"},
        {"label": "spot", "points": [[2, 1]], "shape_type": "point"},
    )
    done = import_labels("labelme", source, tmp_path / "d")
    assert [c.name for c in done.classes] == ["boat", "buoy", "sea"]
    assert done.notes == (
        "Shapes without an inside are left out: 1 of type line, 2 of type point.",
    )
    expected = np.full((8, 10), 2)
    expected[2:4, 1:5] = expected[1:5, 2:4] = 1
    expected[1:3, 6:9][cross == 1] = 0
    expected[7, 8:] = 0
    np.testing.assert_array_equal(DataFolder.open(tmp_path / "d").labels("a"), expected)


@pytest.mark.parametrize("png", ["", "AAAA", "not base64"])
def test_a_damaged_mask_of_labelme_is_named(tmp_path: Path, png: str) -> None:
    shape = {**labelme_mask("boat", 0, 0, np.ones((2, 2))), "mask": png}
    with pytest.raises(InputError, match=r"a\.json: a mask of 'boat' cannot be read"):
        import_labels("labelme", labelme_folder(tmp_path / "in", shape), tmp_path / "d")


def test_a_geotiff_keeps_its_place(tmp_path: Path) -> None:
    scale = (33550, "d", 3, (0.5, 0.5, 0.0), True)
    image = tmp_path / "images" / "a.tif"
    image.parent.mkdir()
    tifffile.imwrite(image, np.zeros((4, 5), np.uint8), extratags=[scale])
    ids = np.array([[0, 1, 2, 255, 1]] * 4, np.uint8)
    export_labels(tmp_path / "out", [Item("a.tif", ids, image)], CLASSES, "geotiff")
    with tifffile.TiffFile(tmp_path / "out" / "labels" / "a.tif") as file:
        tags = file.pages.first.tags
        assert tags[33550].value == (0.5, 0.5, 0.0)
        assert tags[42113].value == "255"


def test_folders_as_other_systems_leave_them(tmp_path: Path) -> None:
    """With files of macOS and Synology, accents stored apart, and links to folders."""
    name = "Größe é"
    path = source(tmp_path / "data", np.arange(12, dtype=np.uint8).reshape(3, 4) % 3)
    (path / "labels" / "a.png").rename(
        path / "labels" / f"{unicodedata.normalize('NFD', name)}.png"
    )
    (path / "images" / "a.png").rename(
        path / "images" / f"{unicodedata.normalize('NFC', name)}.png"
    )
    for kind in ("images", "labels"):
        (path / kind / "@eaDir").mkdir()
        (path / kind).rename(tmp_path / kind)
        (path / kind).symlink_to(tmp_path / kind)
        for file in ("._a.png", "@eaDir/a.png", "Thumbs.db"):
            (path / kind / file).write_bytes(b"no picture")
    Image.new("L", (4, 3)).save(path / "labels" / "b.jpg")
    done = import_labels("index", path, tmp_path / "out", images=path / "images", classes=CLASSES)
    assert done.n_images == 1
    (note,) = done.notes
    assert note.startswith("1 .jpg file is not read in")
    data = DataFolder.open(tmp_path / "out")
    assert not data.without("labels")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = source(tmp_path / "data", np.zeros((3, 4), np.uint8))
    Image.new("L", (4, 3)).save(path / "labels" / "a.bmp")
    with pytest.raises(InputError, match="have the same name"):
        import_labels("index", path, tmp_path / "out", classes=CLASSES)


def test_label_ids_that_are_not_of_cityscapes(tmp_path: Path) -> None:
    file = tmp_path / "a_gtFine_labelIds.png"
    Image.fromarray(np.full((3, 4), 300, np.uint16)).save(file)
    with pytest.raises(InputError, match=r"a_gtFine_labelIds\.png has label ids outside 0 to 255"):
        import_labels("cityscapes", tmp_path, tmp_path / "out")


def test_nodata_of_a_geotiff_is_of_that_file_alone(tmp_path: Path) -> None:
    """In one file 0 is no label, and in the palette's index; in the next it is a class."""
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    (tmp_path / "in").mkdir()
    colours = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}
    nodata = {"extratags": [(42113, "s", 0, "0", True)]}
    tifffile.imwrite(tmp_path / "in" / "a.tif", ids, **colours, **nodata)
    tifffile.imwrite(tmp_path / "in" / "b.tif", ids)
    for name in "ab":
        Image.fromarray(ids).save(tmp_path / f"{name}.png")
    import_labels("geotiff", tmp_path / "in", tmp_path / "d", images=tmp_path, classes=CLASSES)
    data = DataFolder.open(tmp_path / "d")
    np.testing.assert_array_equal(data.labels("a"), np.where(ids == 0, IGNORE, ids))
    np.testing.assert_array_equal(data.labels("b"), ids)


def test_more_values_than_there_can_be_classes_are_refused(tmp_path: Path) -> None:
    path = source(tmp_path / "in", np.arange(300, dtype=np.uint16).reshape(15, 20))
    with pytest.raises(InputError, match="have 300 values; expected those of at most 255 classes"):
        import_labels("index", path, tmp_path / "d")
    path = source(tmp_path / "other", np.arange(1, 201, dtype=np.uint16).reshape(10, 20))
    with pytest.raises(InputError, match=r"values 1, 2, .*, 20 …\. .* --map 20=NAME … \("):
        import_labels("index", path, tmp_path / "d")


def test_labels_without_an_image_are_counted(tmp_path: Path) -> None:
    path = source(tmp_path / "in", ODD % 2)
    Image.fromarray(ODD % 2).save(path / "labels" / "b.png")
    done = import_labels("index", path, tmp_path / "d", kind="initial_labels")
    assert done.n_images == 1
    assert done.notes == ("1 labels without an image are left out: b, …",)
    assert (tmp_path / "d" / "train" / "initial_labels" / "a.png").exists()
    with pytest.raises(InputError, match="other classes"):
        import_labels("index", path, tmp_path / "d", classes=CLASSES)
