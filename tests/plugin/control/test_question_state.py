"""What can be answered to each kind of query, and parts of a cut region; no window."""

from __future__ import annotations

import numpy as np
import pytest

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.methods.queries import Query, Region
from napari_al.plugin.control.question_state import QuestionState

REGION = Region("a", (1,), Mask.from_array(np.ones((4, 6), bool), (2, 2)))
IMAGE = np.zeros((9, 12, 3), np.uint8)
IMAGE[:, 6:] = 200


def _state(query_type="dominant", **fields):
    return QuestionState(Query(REGION, query_type, 0.5, 1, 0, **fields))


def test_one_class_is_the_answer():
    answer = _state().choose(3)
    assert (answer.class_ids, answer.clicks) == ((3,), Clicks(1))


def test_several_classes_are_toggled_and_accepted():
    state = _state("multi-class")
    with pytest.raises(InputError, match="Choose the classes"):
        state.accept({0, 1, 2})
    for class_id in (2, 0, 1, 1):
        assert state.choose(class_id) is None
    answer = state.accept({0, 1, 2})
    assert (answer.class_ids, answer.clicks) == ((0, 2), Clicks(2))


@pytest.mark.parametrize(("label", "known"), [(1, True), (None, False), (255, False)])
def test_a_label_can_be_accepted_if_it_is_a_class(label, known):
    state = _state("correction", pseudo_label=label, pixel_rc=(3, 3))
    if known:
        assert state.accept({0, 1}).class_ids == (1,)
    else:
        with pytest.raises(InputError, match="no class yet"):
            state.accept({0, 1})


@pytest.mark.parametrize("query_type", ["dominant", "precise"])
def test_there_is_nothing_to_accept_before_a_class_is_chosen(query_type):
    with pytest.raises(InputError, match="Choose"):
        _state(query_type).accept({0})


def test_a_changed_region_was_not_predicted():
    whole = _state(predicted=1)
    assert whole.cut(IMAGE).query.predicted is None
    region_map = np.zeros((9, 12), np.int32)
    region_map[2:6, 2:8] = 1
    assert whole.joined(region_map, (0, 0)).query.predicted is None
    assert whole.query.predicted == 1


def test_the_answers_to_the_parts_of_a_region_are_kept_together():
    whole = _state()
    first = whole.cut(IMAGE)
    assert (first.n_parts, first.before) == (2, whole)
    second = first.next_part(first.answer((0,)))
    assert [answer.class_ids for answer in second.given] == [(0,)]
    assert second.next_part(second.answer((1,))) is None
    masks = [state.query.region.mask for state in (first, second)]
    assert sum(mask.size for mask in masks) == REGION.mask.size
    assert second.before is first


def test_only_queries_about_whole_regions_can_be_cut_or_joined():
    region_map = np.zeros((9, 12), np.int32)
    for state in (_state("precise"), _state("correction", pseudo_label=0, pixel_rc=(3, 3))):
        with pytest.raises(InputError, match="cannot be cut"):
            state.cut(IMAGE)
        with pytest.raises(InputError, match="cannot be joined"):
            state.joined(region_map, (0, 0))
    with pytest.raises(InputError, match="cannot be cut"):
        _state().cut(None)  # its image is not loaded
    assert _state().joined(region_map, (0, 0)).query.region.ids == (0, 1)


def test_seconds_count_from_when_the_region_is_visible():
    state = _state()
    assert state.seconds == 0
    state.start_clock()
    state.seen_at -= 5
    state.start_clock()
    assert state.seconds == pytest.approx(5, abs=1)
    assert state.cut(IMAGE).seen_at == state.seen_at
