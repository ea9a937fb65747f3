"""Cutting regions, changing answers and counting seconds in the window."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt

from napari_al.core.clicks import Clicks
from napari_al.methods.queries import Answer

CTRL = Qt.KeyboardModifier.ControlModifier


def test_a_part_of_a_cut_region_is_taken_back_before_an_answer_is(open_session):
    desk = open_session()
    desk.key(Qt.Key.Key_3)
    desk.until_asked()
    whole = desk.query
    for key in (Qt.Key.Key_D, Qt.Key.Key_D, Qt.Key.Key_1):
        desk.key(key)
    for key in (Qt.Key.Key_Backspace, Qt.Key.Key_2, Qt.Key.Key_1, Qt.Key.Key_1):
        desk.key(key)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(2,), (1,), (0,), (0,)]
    desk.key(Qt.Key.Key_Backspace)  # all three
    assert desk.query == whole
    for key in (Qt.Key.Key_D, Qt.Key.Key_D, Qt.Key.Key_Backspace, Qt.Key.Key_Backspace):
        desk.key(key)
    assert desk.query == whole
    assert len(desk.session.answers()) == 1
    desk.key(Qt.Key.Key_Backspace)
    assert desk.session.answers() == ()


def test_of_two_answers_about_a_region_the_one_that_was_picked_is_changed(open_session):
    desk = open_session()
    bench, query = desk.dock.bench, desk.query
    earlier = replace(query, round=0)
    for asked, outcome in ((earlier, "skipped"), (query, "unsure")):
        desk.session.submit(Answer(asked, (), Clicks(class_clicks=1), outcome=outcome))
    bench.opened.queries.go_to(query)
    desk.key(Qt.Key.Key_2)
    assert [a.outcome for a in desk.session.answers()] == ["skipped", "labelled"]
    desk.key(Qt.Key.Key_Z, CTRL)
    assert [a.outcome for a in desk.session.answers()] == ["skipped", "unsure"]
    assert bench.query == query
    desk.key(Qt.Key.Key_3)
    assert [(a.outcome, a.class_ids) for a in desk.session.answers()[1:]] == [("labelled", (2,))]
    desk.key(Qt.Key.Key_Z, CTRL)
    bench.opened.queries.ask()
    desk.key(Qt.Key.Key_Z, CTRL)  # what had no answer before gets one of its own
    desk.key(Qt.Key.Key_4)
    assert [(a.outcome, a.class_ids) for a in desk.session.answers()] == [
        ("skipped", ()),
        ("labelled", (3,)),
    ]


def test_seconds_go_on_while_a_region_is_mended_and_are_shared_by_several(open_session):
    desk = open_session()
    bench = desk.dock.bench
    bench.answering.state.seen_at -= 20
    desk.key(Qt.Key.Key_D)
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    bench.answering.state.seen_at -= 20
    bench.answering.answer_many(desk.session.upcoming(2), (0,))
    seconds = [round(answer.seconds, -1) for answer in desk.session.answers()]
    assert seconds == [20, 0, 10, 10]
