"""Keys answer the question, but not while text is typed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit, QSpinBox


def _activate(desk):
    """Give the window the keyboard, without which no field has the focus."""
    window = desk.dock.window()
    window.activateWindow()
    desk.until(window.isActiveWindow, 10)


def test_a_class_is_found_by_typing_where_there_are_few(open_session):
    desk = open_session()
    search = desk.dock.annotate.classes._search
    _activate(desk)
    desk.key(Qt.Key.Key_Slash)
    desk.until(search.hasFocus, 10)
    QTest.keyClicks(search, "sky")
    assert desk.session.answers() == ()
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert [a.class_ids for a in desk.session.answers()] == [(1,)]


@pytest.mark.parametrize("field_type", [QLineEdit, QSpinBox])
def test_no_key_answers_while_a_text_field_has_the_focus(open_session, field_type):
    desk = open_session()
    field = field_type(desk.dock.annotate)
    field.show()
    field.setFocus()
    _activate(desk)
    desk.until(field.hasFocus, 10)
    first = desk.query
    for key in (Qt.Key.Key_1, Qt.Key.Key_U, Qt.Key.Key_Return, Qt.Key.Key_Backspace):
        QTest.keyClick(field, key)
        desk.key(key)
    assert desk.session.answers() == ()
    assert desk.query == first
    field.deleteLater()
