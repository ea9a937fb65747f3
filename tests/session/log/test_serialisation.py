from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.formats.listing import check_image_name
from napari_al.methods.queries import Answer, AutomaticCorrection, Piece, Query, Region
from napari_al.session.log.serialisation import (
    MAX_REGION_PX,
    decode_answer,
    decode_correction,
    encode_answer,
    encode_correction,
)

REGION = Region("a/b", (4, 7), Mask((2, 3, 6, 9), (1, 10, 3, 10)))
ANSWER = Answer(
    Query(REGION, "precise", 0.25, 1, 0, (3, 4), 2),
    (1,),
    Clicks(1, 4, 0),
    pieces=(Piece(1, REGION.mask),),
)
CORRECTION = AutomaticCorrection(1, REGION, 255, 2, 0.995)


def test_records_of_before_have_no_source_and_no_prediction() -> None:
    tree = json.loads(encode_answer(ANSWER))
    assert tree["query"].pop("source") == "acquisition"
    assert tree["query"].pop("predicted") is None
    assert decode_answer(json.dumps(tree)) == ANSWER


def changed(text: str, path: str, value: object) -> str:
    """JSON text with the value at a dotted path replaced."""
    tree = json.loads(text)
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    node: Any = tree
    for key in parents:
        node = node[key]
    node[last] = value
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("query.source", "somewhere"),
        ("query.predicted", 256),
        ("query.predicted", -1),
        ("query.region.image", "../../etc/passwd"),
        ("query.region.image", "/etc/passwd"),
        ("query.region.image", "a/../../b"),
        ("query.region.image", "C:/x"),
        ("query.region.image", "a\\b"),
        ("query.region.image", "a\0b"),
        ("query.region.image", "a//b"),
        ("query.region.image", "a/."),
        ("query.region.image", ""),
        ("query.region.image", "x" * 1025),
        ("query.region.image", 3),
        ("query.region.ids", []),
        ("query.region.ids", [7, 4]),
        ("query.region.ids", [4, 4]),
        ("query.region.ids", [-1]),
        ("query.region.ids", [2**40]),
        ("query.region.ids", [True]),
        ("query.region.ids", [1.0]),
        ("query.region.ids", "12"),
        ("query.region.mask.box", [0, 0, 2**33, 2**33]),
        ("query.region.mask.box", [0, 0, 4]),
        ("query.region.mask.box", [-1, 3, 6, 9]),
        ("query.region.mask.runs", [1, 10, 3, 9]),
        ("query.region.mask.runs", [1, -10, 23, 10]),
        ("query.region.mask.runs", [24]),
        ("query.region.mask.runs", []),
        ("query.region.mask", {"box": [0, 0, 2**20, 2**20], "runs": [0, 2**40]}),
        ("query.region.mask", {"box": [2**31, 0, 2**31 + 1, 1], "runs": [0, 1]}),
        ("query.query_type", "rhetorical"),
        ("query.score", float("nan")),
        ("query.score", float("inf")),
        ("query.score", None),
        ("query.round", -1),
        ("query.round", "1"),
        ("query.model_round", 10**30),
        ("query.pixel_rc", [3]),
        ("query.pixel_rc", [-3, 4]),
        ("query.pixel_rc", [3, 2**40]),
        ("query.pseudo_label", 256),
        ("class_ids", [255]),
        ("class_ids", [-1]),
        ("class_ids", [1, 1]),
        ("clicks.class_clicks", -1),
        ("clicks.polygon_clicks", 10**12),
        ("clicks", None),
        ("outcome", "won"),
        ("outcome", "skipped"),
        ("pieces.0.class_id", 255),
        ("pieces.0.mask.runs", [24]),
        ("pieces.0", []),
        ("seconds", -1.0),
        ("seconds", float("inf")),
        ("annotator", "x" * 201),
        ("id", ""),
        ("id", "a b"),
        ("id", "x" * 65),
        ("time", "yesterday"),
        ("time", "2026-01-01T00:00:00"),
        ("more", 1),
        ("query.more", 1),
    ],
)
def test_answers_that_cannot_be_are_refused(path: str, value: object) -> None:
    with pytest.raises(InputError):
        decode_answer(changed(encode_answer(ANSWER), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("region.image", "../x"),
        ("round", -1),
        ("old_class", 256),
        ("new_class", 255),
        ("confidence", 1.5),
        ("confidence", float("nan")),
        ("region.mask.runs", [24]),
    ],
)
def test_corrections_that_cannot_be_are_refused(path: str, value: object) -> None:
    with pytest.raises(InputError):
        decode_correction(changed(encode_correction(CORRECTION), path, value))


@pytest.mark.parametrize(
    "changes",
    [
        {"query.query_type": "dominant"},  # with pieces
        {"query.query_type": "dominant", "pieces": [], "class_ids": []},
        {"query.query_type": "dominant", "pieces": [], "class_ids": [1, 2]},
        {"query.query_type": "multi-class", "pieces": [], "class_ids": []},
        {"outcome": "ignored", "class_ids": []},
    ],
)
def test_classes_have_to_fit_the_question(changes: dict[str, object]) -> None:
    text = encode_answer(ANSWER)
    for path, value in changes.items():
        text = changed(text, path, value)
    with pytest.raises(InputError):
        decode_answer(text)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 100_000, "\ud800", '"x"', "1e999"])
def test_text_that_is_no_answer(text: str) -> None:
    with pytest.raises(InputError):
        decode_answer(text)


@pytest.mark.parametrize("name", ["a", "a/b.c", "a b", "..a", "a..b/c..", "…", "10:30", "-x"])
def test_plain_names_are_let_through(name: str) -> None:
    check_image_name(name)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a tree."""
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [here, *(place for key, child in children for place in paths(child, (*here, key)))][
        0 if here else 1 :
    ]


TREE = json.loads(encode_answer(ANSWER))


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(paths(TREE)), junk=JUNK)
def test_junk_anywhere_is_refused_or_a_possible_answer(place: tuple[Any, ...], junk: Any) -> None:
    text = changed(json.dumps(TREE), ".".join(map(str, place)), junk)
    with suppress(InputError):
        answer = decode_answer(text)
        assert decode_answer(encode_answer(answer)) == answer
        mask = answer.query.region.mask
        assert 0 < mask.size <= mask.crop().size <= MAX_REGION_PX
