"""A message covers, and moves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from napari_al.plugin.widgets.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk
    from qtpy.QtCore import QRect

LONG = "The disk is slow: an answer took 0.5 s to write. Nothing is lost. " * 3


def test_nothing_in_the_dock_moves_when_a_message_wraps(open_session: Callable[..., Desk]) -> None:
    desk = open_session()
    page = desk.dock.annotate
    buttons = [b for b in page.findChildren(QPushButton) if not page.tabs.isAncestorOf(b)]

    def places() -> list[QRect]:
        return [widget.geometry() for widget in (page.tabs, *buttons)]

    before = places()
    page.show_message(LONG)
    QApplication.processEvents()
    assert places() == before
    assert page._message.isVisible()
    QTest.mouseClick(page._message, Qt.MouseButton.LeftButton)
    assert not page._message.isVisible()


def test_it_stays_at_the_lower_end(qtbot) -> None:
    over = QWidget()
    qtbot.addWidget(over)
    message = Message(over)
    over.resize(200, 300)
    over.show()
    message.show_words(LONG)
    over.resize(400, 150)
    assert message.geometry().bottom() == over.rect().bottom()
    assert (message.width(), message.height()) == (400, message.heightForWidth(400))
    message.show_words("")
    assert not message.isVisible()
