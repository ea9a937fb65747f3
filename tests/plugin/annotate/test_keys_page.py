"""Keys are changed in the dock, with real keys, and shown everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QLineEdit, QPushButton

from napari_al.plugin.app import open_dock

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk

CTRL = Qt.KeyboardModifier.ControlModifier


def _page(desk: Desk):
    """Open the page that changes keys, as a person does."""
    window = desk.dock.window()
    window.activateWindow()
    desk.until(window.isActiveWindow, 10)
    desk.dock.annotate.tabs.setCurrentIndex(2)
    desk.press("Change keys…")
    return desk.dock.pages.keys


def _give(desk: Desk, row: str, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    """Choose a row by the beginning of its words and press a key for it."""
    page = desk.dock.pages.keys
    (item,) = page.table.findItems(row, Qt.MatchFlag.MatchStartsWith, 1)
    page.table.setCurrentItem(item)
    desk.press("Change")
    desk.until(page.hasFocus, 10)
    QTest.keyClick(page, key, modifier)


def _said(page) -> str:
    return page._message.text()


def test_a_key_is_changed_and_shown_everywhere(open_session: Callable[..., Desk]) -> None:
    desk = open_session("multi-class")
    page = _page(desk)
    _give(desk, "skip", Qt.Key.Key_J)
    _give(desk, "what the model predicts", Qt.Key.Key_F6)
    _give(desk, "the label is right", Qt.Key.Key_G, CTRL)
    _give(desk, "find a class", Qt.Key.Key_T)
    _give(desk, "take the last answer back", Qt.Key.Key_F7)
    assert _said(page) == ""
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert desk.dock.pages.shown is desk.dock.annotate

    first = desk.query
    desk.key(Qt.Key.Key_S)  # now the key of a class that there is not
    assert desk.session.answers() == ()
    desk.key(Qt.Key.Key_J)
    assert [a.outcome for a in desk.session.answers()] == ["skipped"]
    desk.key(Qt.Key.Key_F7)
    assert desk.query == first
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_G, CTRL)
    assert [a.class_ids for a in desk.session.answers()] == [(0,)]

    desk.until_asked()
    view, annotate = desk.dock.annotate.view, desk.dock.annotate
    buttons = {b.accessibleName(): b for b in annotate.findChildren(QPushButton)}
    assert buttons["Skip"].text() == "Skip   J"
    assert buttons["These are all"].text() == "These are all   Ctrl+G"
    assert buttons["Undo"].toolTip() == "take the last answer back  (F7)"
    assert "F6" in {cap.text() for cap in view.findChildren(QLabel)}
    assert annotate._about.text().startswith("Choose all of them, then Ctrl+G.")
    assert "(T)" in annotate.classes.findChild(QLineEdit).placeholderText()
    desk.key(Qt.Key.Key_F1)
    sheet = {label.text() for label in desk.dock._help.findChildren(QLabel)}
    assert {"J", "F6", "Ctrl+G", "T", "F7"} <= sheet
    assert not {"S", "P", "Space or Enter"} & sheet


def test_what_cannot_be_a_key_is_said_and_changes_nothing(
    open_session: Callable[..., Desk],
) -> None:
    desk = open_session()
    page = _page(desk)
    before = desk.dock.bench.keys.to_text()
    _give(desk, "skip", Qt.Key.Key_U)
    assert "U already is the key of “unsure" in _said(page)
    assert page.table.selectedItems()[0].text(1).startswith("unsure")  # whose key it is
    _give(desk, "skip", Qt.Key.Key_1)
    assert "1 is a key of classes" in _said(page)
    _give(desk, "skip", Qt.Key.Key_Tab)
    assert "Tab is the window's" in _said(page)
    _give(desk, "skip", Qt.Key.Key_O, CTRL)
    assert "Ctrl+O is napari's “Open File(s)" in _said(page)
    assert desk.dock.bench.keys.to_text() == before
    assert desk.session.answers() == ()
    desk.press("Done")
    desk.key(Qt.Key.Key_S)
    assert [a.outcome for a in desk.session.answers()] == ["skipped"]


def test_keys_of_classes_and_back_to_the_defaults(open_session: Callable[..., Desk]) -> None:
    desk = open_session()
    page = _page(desk)
    _give(desk, "unsure", Qt.Key.Key_K)
    page.of_classes.setFocus()
    QTest.keyClicks(page.of_classes, "qse")
    QTest.keyClick(page.of_classes, Qt.Key.Key_Return)
    assert "S is no key of a class: it is “skip" in page._class_keys.text()
    assert desk.session.answers() == ()
    desk.press("Done")
    desk.key(Qt.Key.Key_Q)
    desk.until_asked()
    desk.key(Qt.Key.Key_E)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(0,), (1,)]
    assert [b.key for b in desk.dock.annotate.classes._buttons][:2] == ["Q", "E"]

    page = _page(desk)
    desk.press("All as they were at first")
    desk.press("Done")
    desk.key(Qt.Key.Key_U)
    desk.until_asked()
    desk.key(Qt.Key.Key_1)
    assert [a.outcome for a in desk.session.answers()][2:] == ["unsure", "labelled"]


def test_a_drawing_keeps_the_keys_of_napari(open_session: Callable[..., Desk]) -> None:
    """A changed key is bound on every layer, and those of polygons stay napari's."""
    desk = open_session("rectangle-precise")
    _page(desk)
    _give(desk, "take the last answer back", Qt.Key.Key_F7)
    desk.press("Done")
    drawing = next(la for la in desk.viewer.layers if la.metadata.get("napari_al") == "drawing")
    bound = {str(key) for key in drawing.keymap}
    assert "F7" in bound
    assert not {"Enter", "Backspace", "Escape"} & bound
    desk.key(Qt.Key.Key_S)
    desk.until_asked()
    desk.key(Qt.Key.Key_F7)
    assert desk.session.answers() == ()


def test_a_changed_key_reaches_the_other_viewers(
    open_session: Callable[..., Desk], make_napari_viewer
) -> None:
    desk = open_session()
    other = open_dock(make_napari_viewer())
    _page(desk)
    _give(desk, "skip", Qt.Key.Key_J)
    skip = {b.accessibleName(): b.text() for b in other.annotate.findChildren(QPushButton)}["Skip"]
    assert skip == "Skip   J"
    other.bench.keys.assign("skip", "F8")
    desk.press("Done")
    desk.key(Qt.Key.Key_F8)
    assert [a.outcome for a in desk.session.answers()] == ["skipped"]
