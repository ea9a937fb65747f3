"""Exports, read back by something else than what wrote them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.exchange.dataset_card import CARD
from napari_al.formats.exchange.export import MARK, Item, export_labels
from napari_al.formats.polygons import read_polygons

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = default_classes(["sea", "land", "boat"])
RNG = np.random.default_rng(1)
MAPS = {
    "a.jpg": np.where(RNG.random((7, 11)) < 0.2, IGNORE, RNG.integers(0, 3, (7, 11))),
    "city/b.png": np.full((5, 4), 2),
    "c.tif": np.full((3, 3), IGNORE),
}
ITEMS = [Item(name, ids.astype(np.uint8)) for name, ids in MAPS.items()]


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def test_png(tmp_path: Path) -> None:
    assert export_labels(tmp_path / "out", ITEMS, CLASSES, "png") == 3
    for name, class_map, _ in ITEMS:
        stem = name.rsplit(".", 1)[0]
        np.testing.assert_array_equal(read(tmp_path / "out" / "labels" / f"{stem}.png"), class_map)
        with Image.open(tmp_path / "out" / "colors" / f"{stem}.png") as coloured:
            rgb = np.array(coloured.convert("RGB"))
        for c in CLASSES:
            expected = tuple(bytes.fromhex(c.color[1:]))
            assert all(tuple(pixel) == expected for pixel in rgb[class_map == c.id])
    classes = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [c["name"] for c in classes] == ["sea", "land", "boat"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:pycocotools")
def test_coco(tmp_path: Path) -> None:
    export_labels(tmp_path / "out", ITEMS, CLASSES, "coco")
    file = tmp_path / "out" / "annotations.json"
    coco = json.loads(file.read_text())
    reader = COCO(file)
    assert [image["file_name"] for image in coco["images"]] == list(MAPS)
    assert len({annotation["id"] for annotation in coco["annotations"]}) == 4
    painted = {
        image["id"]: np.full((image["height"], image["width"]), IGNORE) for image in coco["images"]
    }
    names = {category["id"]: category["name"] for category in coco["categories"]}
    for annotation in coco["annotations"]:
        mask = reader.annToMask(annotation).astype(bool)
        class_id = ["sea", "land", "boat"].index(names[annotation["category_id"]])
        painted[annotation["image_id"]][mask] = class_id
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum() == annotation["area"]
    for image in coco["images"]:
        np.testing.assert_array_equal(painted[image["id"]], MAPS[image["file_name"]])


def test_voc(tmp_path: Path) -> None:
    export_labels(tmp_path / "out", ITEMS, CLASSES, "voc")
    names = (tmp_path / "out" / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
    assert names == ["a", "city/b", "c"]
    with Image.open(tmp_path / "out" / "SegmentationClass" / "a.png") as picture:
        np.testing.assert_array_equal(np.array(picture), MAPS["a.jpg"])
        palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert palette[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    lines = (tmp_path / "out" / "labelmap.txt").read_text().splitlines()
    assert lines[2] == "land:128,0,0::"


def test_cityscapes(tmp_path: Path) -> None:
    classes = default_classes(["sky", "road", "car"])
    export_labels(tmp_path / "out", ITEMS, classes, "cityscapes")
    folder = tmp_path / "out" / "gtFine" / "train"
    ids = read(folder / "all" / "a_gtFine_labelIds.png")
    train_ids = read(folder / "all" / "a_gtFine_labelTrainIds.png")
    official = {0: (23, 10), 1: (7, 0), 2: (26, 13), IGNORE: (0, IGNORE)}
    for class_id, (label_id, train_id) in official.items():
        here = MAPS["a.jpg"] == class_id
        assert (ids[here] == label_id).all()
        assert (train_ids[here] == train_id).all()
    assert (folder / "city" / "b_gtFine_color.png").exists()


def test_an_export_replaces_one_of_its_format_where_told_to_and_nothing_else(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    export_labels(out, ITEMS, CLASSES, "png")
    (out / "notes.txt").write_text("precious")
    (out / "labels" / "notes.txt").write_text("precious")
    export_labels(out, ITEMS, CLASSES, "coco")
    assert {"labels", "annotations.json", CARD} < {p.name for p in out.iterdir()}
    written = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != MARK}
    assert out / "labels" / "city" / "b.png" in written
    with pytest.raises(InputError, match=r"holds an export as png already.*--overwrite"):
        export_labels(out, ITEMS[:1], CLASSES, "png")
    assert written == {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != MARK}
    export_labels(out, ITEMS[:1], CLASSES, "png", overwrite=True)
    assert sorted(p.name for p in (out / "labels").iterdir()) == ["a.png", "notes.txt"]
    assert (out / "annotations.json").read_bytes() == written[out / "annotations.json"]
    assert (out / "notes.txt").read_text() == "precious"


def test_formats_do_not_share_a_file(tmp_path: Path) -> None:
    export_labels(tmp_path, ITEMS, CLASSES, "png")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"classes\.json belongs to the export as png"):
        export_labels(tmp_path, ITEMS, CLASSES, "geotiff")
    assert sorted(tmp_path.rglob("*")) == before


def test_uncertainty_goes_with_any_format(tmp_path: Path) -> None:
    def uncertainty(file_name: str) -> np.ndarray:
        return np.full(MAPS[file_name].shape, len(file_name), np.uint8)

    export_labels(tmp_path, ITEMS, CLASSES, "coco", uncertainty=uncertainty)
    written = read(tmp_path / "uncertainty" / "city" / "b.png")
    np.testing.assert_array_equal(written, np.full((5, 4), len("city/b.png")))


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    (out / "labels").mkdir(parents=True)
    (out / "labels" / "c.png").write_text("precious")
    with pytest.raises(InputError, match=r"c\.png is in the way"):
        export_labels(out, ITEMS, CLASSES, "png")
    assert [p.name for p in out.rglob("*")] == ["labels", "c.png"]
    assert (out / "labels" / "c.png").read_text() == "precious"


def test_a_linked_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    for _ in range(2):
        export_labels(tmp_path / "out", ITEMS, CLASSES, "png", overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "labels" / "city" / "b.png").exists()


def test_a_failing_export_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_labels(out, ITEMS, CLASSES, "png")
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError, match=r"nothing|no labels"):
        export_labels(out, [], CLASSES, "coco")
    assert sorted(out.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


LABELME = {
    "version": "5.0",
    "shapes": [
        {"label": "boat", "points": [[1, 2], [5, 2], [5, 6]], "shape_type": "polygon"},
        {"label": "land", "points": [[0, 0], [4, 3]], "shape_type": "rectangle"},
        {"label": "spot", "points": [[1, 1]], "shape_type": "point"},
    ],
}
CITYSCAPES = {
    "imgHeight": 8,
    "imgWidth": 8,
    "objects": [
        {"label": "road", "polygon": [[0, 0], [8, 0], [8, 8]]},
        {"label": "car", "polygon": [[1, 1], [2, 1], [2, 2]], "deleted": 1},
    ],
}


def test_polygons_of_labelme_and_cityscapes(tmp_path: Path) -> None:
    file = tmp_path / "polygons.json"
    file.write_text(json.dumps(LABELME))
    boat, land = read_polygons(file)
    assert (boat.class_name, boat.vertices_xy.tolist()) == ("boat", [[1, 2], [5, 2], [5, 6]])
    assert land.vertices_xy.tolist() == [[0, 0], [4, 0], [4, 3], [0, 3]]
    file.write_text(json.dumps(CITYSCAPES))
    assert [polygon.class_name for polygon in read_polygons(file)] == ["road"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"shapes": 3}', '{"objects": [{"label": 1}]}', "[" * 10_000]
)
def test_other_files_are_no_polygons(text: str, tmp_path: Path) -> None:
    file = tmp_path / "polygons.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"polygons\.json"):
        read_polygons(file)
