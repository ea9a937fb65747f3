"""Keys answer from the canvas, and never from a text field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk


def test_what_is_typed_into_a_field_answers_nothing(open_session: Callable[..., Desk]) -> None:
    desk = open_session()
    window, search = desk.dock.window(), desk.dock.annotate.classes._search
    assert len(desk.session.config.classes) < 10
    assert search.isVisible(), "the field is there, however few classes there are"
    window.activateWindow()
    desk.until(window.isActiveWindow, 10)
    desk.key(Qt.Key.Key_Slash)
    desk.until(search.hasFocus, 10)
    QTest.keyClicks(search, "su1")
    desk.key(Qt.Key.Key_2)  # passes through the field to the canvas
    desk.key(Qt.Key.Key_S)
    assert search.text() == "su1"
    assert desk.session.answers() == ()
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert (search.text(), search.hasFocus()) == ("", False)
    desk.key(Qt.Key.Key_2)
    assert [a.class_ids for a in desk.session.answers()] == [(1,)]
