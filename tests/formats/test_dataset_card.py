"""The dataset card of every export format, validated and read by mlcroissant."""

from __future__ import annotations

import json
import warnings
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_al.formats.classes import check_classes
from napari_al.formats.exchange.dataset_card import CARD, FILES
from napari_al.formats.exchange.export import MARK, WRITERS, Format, Item, export_labels

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CLASSES = check_classes(
    [{"id": 0, "name": "sky"}, {"id": 1, "name": "Bäume"}, {"id": 2, "name": "tree"}], "the classes"
)
MERGED = (*CLASSES[:2], CLASSES[2].model_copy(update={"merged_into": 1}))
ITEMS = [
    Item("a.jpg", np.array([[0, 1, 255], [1, 1, 0]], np.uint8)),
    Item("city/b.png", np.zeros((3, 3), np.uint8)),
]
WITHOUT_PATTERN = {
    MARK, CARD, "classes.json", "classes.csv", "labels.csv", "labelmap.txt", "labels.txt",
    "data.yaml", "ImageSets/Segmentation/train.txt",
}  # fmt: skip
"""Files of exports that are not labels of an image."""


def read_by_croissant(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports, and that no licence is known
        mlcroissant = pytest.importorskip("mlcroissant")
        return mlcroissant.Dataset(jsonld=path)  # raises for what the format does not allow


def records(dataset: Any, name: str) -> Iterable[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(dataset.records(name))


def test_each_format_has_a_card() -> None:
    assert FILES.keys() == WRITERS.keys()


@pytest.mark.parametrize("format", WRITERS)
def test_card_is_valid_and_names_all_label_files(format: Format, tmp_path: Path) -> None:
    out = tmp_path / "my labels"
    export_labels(out, ITEMS, MERGED, format, "They are answers.")
    dataset = read_by_croissant(out / CARD)
    assert dataset.metadata.name == "my labels"
    assert "2 images in 2 classes" in dataset.metadata.description
    assert "They are answers." in dataset.metadata.description
    patterns = [pattern for file_set in dataset.metadata.file_sets for pattern in file_set.includes]
    assert set(patterns) <= {pattern for pattern, _ in FILES[format].values()}
    written = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    for pattern in patterns:
        found = {name for name in written if _matches(name, pattern)}
        assert found
        written -= found
    assert written <= WITHOUT_PATTERN


def _matches(name: str, pattern: str) -> bool:
    return name not in WITHOUT_PATTERN and fnmatch(name, pattern)


def test_classes_are_records_without_merged_ones(tmp_path: Path) -> None:
    export_labels(tmp_path / "out", ITEMS, MERGED, "png")
    rows = records(read_by_croissant(tmp_path / "out" / CARD), "classes")
    assert [row["classes/id"] for row in rows] == [0, 1]
    assert [row["classes/name"] for row in rows] == ["sky", "Bäume"]
    assert [row["classes/color"] for row in rows] == [c.color for c in CLASSES[:2]]


def test_card_claims_nothing_that_the_program_does_not_know(tmp_path: Path) -> None:
    export_labels(tmp_path / "out", ITEMS, CLASSES, "png")
    card = json.loads((tmp_path / "out" / CARD).read_text(encoding="utf-8"))
    assert not card.keys() & {"license", "creator", "citeAs", "datePublished", "url", "version"}
