from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_al.errors import InputError
from napari_al.formats.classes import (
    ClassInfo,
    classes_to_json,
    default_classes,
    default_color,
    read_classes,
)

if TYPE_CHECKING:
    from pathlib import Path

SKY = {"id": 0, "name": "sky", "color": "#808080"}
ROAD = {"id": 1, "name": "road", "color": "#804080"}

BAD: dict[str, tuple[object, str]] = {
    "not a list": ({"sky": 0}, "expected a list"),
    "no class": ([], "expected 1 to 255 classes, got 0"),
    "too many": (
        [{"id": i, "name": f"c{i}"} for i in range(256)],
        "expected 1 to 255 classes, got 256",
    ),
    "gap": ([SKY, {**ROAD, "id": 2}], "0 to 1, each once; got 0, 2"),
    "twice the same id": ([SKY, {**ROAD, "id": 0}], "each once; got 0, 0"),
    "twice the same name": ([SKY, {**ROAD, "name": "sky"}], "two classes are called 'sky'"),
    "bad colour": ([SKY, {**ROAD, "color": "red"}], "expected a colour like '#d55e00'"),
    "id is text": ([SKY, {**ROAD, "id": "1"}], "id of"),
    "id is true": ([SKY, {**ROAD, "id": True}], "id of"),
    "id is negative": ([SKY, {"id": -1, "name": "road"}], "id of"),
    "no name": ([SKY, {"id": 1}], "name of"),
    "empty name": ([SKY, {**ROAD, "name": " "}], "one line"),
    "name of two lines": ([SKY, {**ROAD, "name": "a\nb"}], "one line"),
    "unknown key": ([SKY, {**ROAD, "colour": "#000000"}], "colour of"),
    "rows are names": (["sky", "road"], "class of 'sky'"),
}


def test_classes_survive_a_round_trip_in_order_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps([ROAD, SKY]))
    classes = read_classes(path)
    assert [(c.id, c.name, c.rgb) for c in classes] == [
        (0, "sky", (128, 128, 128)),
        (1, "road", (128, 64, 128)),
    ]
    path.write_text(classes_to_json(classes), encoding="utf-8")
    assert read_classes(path) == classes


@pytest.mark.parametrize(("content", "says"), BAD.values(), ids=BAD.keys())
def test_malformed_classes_are_refused_with_the_reason(
    tmp_path: Path, content: object, says: str
) -> None:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"classes\.json") as error:
        read_classes(path)
    assert says in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_what_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"classes\.json"):
        read_classes(path)


def test_a_byte_order_mark_and_missing_colours_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text('[{"id": 0, "name": "Straße"}, {"id": 1, "name": "b"}]', encoding="utf-8-sig")
    first, second = read_classes(path)
    assert first.name == "Straße"
    assert first.color != second.color


def test_default_colours_differ_clearly() -> None:
    classes = default_classes([f"c{i}" for i in range(60)])
    assert len({c.color for c in classes}) == 60
    rgb = np.array([c.rgb for c in classes[:8]], float)
    apart = np.abs(rgb[:, None] - rgb).sum(axis=2) + 1000 * np.eye(8)
    assert apart.min() > 60
    assert ClassInfo(id=254, name="last", color=default_color(254))
