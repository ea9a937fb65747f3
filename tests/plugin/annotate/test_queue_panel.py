"""Coming queries: a click opens one, Ctrl+clicks select several for one answer."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

NONE, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
QUEUE_TAB = 3


def _click(desk, row, modifier):
    strip = desk.dock.annotate.queue._upcoming
    item = strip.item(row)
    strip.scrollToItem(item)
    at = strip.visualItemRect(item).center()
    QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, modifier, at)


@pytest.fixture
def queue(open_session):
    desk = open_session()
    desk.dock.annotate.tabs.setCurrentIndex(QUEUE_TAB)
    return desk


def test_a_click_opens_a_coming_query_and_escape_goes_back(queue):
    first, coming = queue.query, queue.session.upcoming(3)[2]
    _click(queue, 2, NONE)
    assert (queue.query.region, queue.query.source) == (coming.region, "picked")
    assert queue.dock.annotate._back.isVisible()
    queue.key(Qt.Key.Key_Escape)
    assert queue.query == first


@pytest.mark.parametrize(
    ("key", "class_ids", "outcome"),
    [(Qt.Key.Key_3, (2,), "labelled"), (Qt.Key.Key_U, (), "unsure")],
)
def test_a_key_answers_all_that_are_selected(queue, key, class_ids, outcome):
    coming = queue.session.upcoming(3)
    for row in (1, 2):
        _click(queue, row, CTRL)
    assert queue.query == coming[0]
    assert queue.dock.annotate._question.text().startswith("2 regions are selected")
    queue.key(key)
    queue.until_asked()
    given = [(a.query.region, a.class_ids, a.outcome) for a in queue.session.answers()]
    assert given == [(query.region, class_ids, outcome) for query in coming[1:]]
    queue.key(key)  # the one on screen again
    assert len(queue.session.answers()) == 3


def test_nothing_out_of_sight_is_selected(queue):
    for row in (1, 2):
        _click(queue, row, CTRL)
    queue.dock.annotate.tabs.setCurrentIndex(0)
    assert queue.dock.annotate._question.text() == "Which class is this mostly?"
    queue.key(Qt.Key.Key_3)
    assert len(queue.session.answers()) == 1
