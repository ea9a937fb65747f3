from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_al.core.grounding import Span, detections, paint, phrases_of, prompt, token_classes


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("Sky", ("sky",)),
        ("traffic_light", ("traffic light",)),
        ("  two   words ", ("two words",)),
        ("tree. bush.", ("tree", "bush")),
        ("...", ()),
    ],
)
def test_phrases(name: str, phrases: tuple[str, ...]) -> None:
    assert phrases_of(name) == phrases


def test_spans_cut_their_phrases_out_of_the_prompt() -> None:
    phrases = [(0, "traffic light"), (1, "traffic sign"), (4, "car")]
    text, spans = prompt(phrases)
    assert text == "traffic light. traffic sign. car."
    assert [(s.class_id, text[s.start : s.stop]) for s in spans] == phrases


def test_a_word_in_two_names_belongs_to_each_in_its_place() -> None:
    # published code keyed tokens by their id, so that "traffic" always meant the sign
    _, spans = prompt([(0, "traffic light"), (1, "traffic sign")])
    #        [CLS]  traffic  light    .         traffic   sign      .         [SEP]
    offsets = [(0, 0), (0, 7), (8, 13), (13, 14), (15, 22), (23, 27), (27, 28), (0, 0)]
    assert token_classes(offsets, spans).tolist() == [-1, 0, 0, -1, 1, 1, -1, -1]


def test_the_best_token_of_a_class_decides_and_the_threshold_is_strict() -> None:
    classes = np.array([-1, 0, 0, -1, 1, -1])
    scores = np.array(
        [
            [0.9, 0.1, 0.3, 0.9, 0.2, 0.9],  # full stops do not compete
            [0.0, 0.2, 0.2, 0.0, 0.2, 0.0],  # not above the threshold
            [0.0, 0.21, 0.1, 0.0, 0.6, 0.0],
        ],
        np.float32,
    )
    found = detections(scores, classes, 0.2)
    assert found.queries.tolist() == [0, 2]
    assert found.class_ids.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.3, 0.6])


def test_a_prompt_without_tokens_finds_nothing() -> None:
    assert detections(np.ones((3, 2), np.float32), np.array([-1, -1]), 0.2).queries.size == 0


def masks_of(*sets: set[int], n: int = 4) -> list[np.ndarray]:
    return [np.isin(np.arange(n), list(pixels))[None] for pixels in sets]


@pytest.mark.parametrize(
    ("masks", "labels", "objects"),
    [
        # E6: the smaller one on top, though found first; of two equal ones the later
        (masks_of({2, 3}, {0, 1, 2, 3}), [5, 5, 7, 7], [2, 2, 1, 1]),
        (masks_of({1, 2}, {2, 3}), [255, 7, 5, 5], [0, 1, 2, 2]),
        (masks_of({1, 2}, {1, 2}), [255, 5, 5, 255], [0, 2, 2, 0]),
        (masks_of(set(), {0}), [5, 255, 255, 255], [2, 0, 0, 0]),
    ],
)
def test_painting(masks: list[np.ndarray], labels: list[int], objects: list[int]) -> None:
    painted, numbers = paint(masks, [7, 5], (1, 4))
    assert (painted[0].tolist(), numbers[0].tolist()) == (labels, objects)


def test_nothing_found_is_background_and_no_object() -> None:
    labels, objects = paint([], [], (2, 3), uncovered=0)
    assert (labels == 0).all()
    assert (objects == 0).all()
    assert (labels.dtype, objects.dtype) == (np.uint8, np.int32)


@given(st.lists(st.sets(st.integers(0, 7), max_size=8), max_size=6))
def test_painting_is_sorting_by_area_and_painting_over(sets: list[set[int]]) -> None:
    masks = masks_of(*sets, n=8)
    class_ids = list(range(len(sets)))
    labels, objects = np.full((1, 8), 255), np.zeros((1, 8), int)
    for at in sorted(class_ids, key=lambda i: -len(sets[i])):
        labels[masks[at]], objects[masks[at]] = class_ids[at], at + 1
    painted, numbers = paint(masks, class_ids, (1, 8))
    np.testing.assert_array_equal(painted, labels)
    np.testing.assert_array_equal(numbers, objects)


def test_spans_are_named() -> None:
    assert prompt([(3, "a")])[1] == (Span(0, 1, 3),)
