"""Answers that cannot be written, or only slowly, while somebody annotates in the window."""

from __future__ import annotations

import pytest
from disks import no_file_grows_beyond
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_al.session.session import Session


def _answer(question: str) -> list[str]:
    """Press a button of the message box that is about to come up; return its words."""
    seen = []

    def press() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            seen.append(box.text())
            box.button(getattr(QMessageBox.StandardButton, question)).click()

    QTimer.singleShot(200, press)
    return seen


def test_answers_that_cannot_be_written_wait_and_are_written_later(open_session):
    desk = open_session()
    with no_file_grows_beyond(1):
        for _ in range(2):
            desk.key(Qt.Key.Key_1)
            desk.until_asked()
        assert "kept in memory" in desk.dock.annotate._message.text()
        assert desk.session.n_unsaved == len(desk.session.answers()) == 2
    desk.dock.bench.opened.submission._retry.setInterval(1)
    desk.until(lambda: desk.session.n_unsaved == 0)
    assert "on disk again" in desk.dock.annotate._message.text()
    with Session.open(desk.session.project.path, read_only=True) as reader:
        assert reader.answers() == desk.session.answers()


def test_closing_asks_before_an_answer_is_lost(open_session):
    desk = open_session()
    path = desk.session.project.path
    with no_file_grows_beyond(1):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
        for close in (desk.dock.annotate.leave_wanted.emit, desk.dock.docking.main_window().close):
            asked = _answer("Cancel")
            close()
            assert "1 answers could not be written" in asked[0]
            assert desk.dock.isVisible()
            assert desk.session.n_unsaved == 1
    with no_file_grows_beyond(8000), pytest.warns(UserWarning, match="go into the project when"):
        desk.dock.annotate.leave_wanted.emit()
    assert desk.dock.bench.session is None
    desk.dock.opening.open(path, project=None, method=None, settings={})
    desk.until_asked()
    assert "Unsaved last time, back now: 1 answer." in desk.dock.annotate._message.text()
    assert [a.class_ids for a in desk.session.answers()] == [(0,)]
    with no_file_grows_beyond(1):
        desk.key(Qt.Key.Key_2)
        _answer("Discard")
        with pytest.warns(UserWarning, match="could not be written"):
            desk.dock.annotate.leave_wanted.emit()
    with Session.open(path) as session:
        assert len(session.answers()) == 1


def test_a_slow_disk_is_named_and_answers_go_on(open_session, monkeypatch):
    desk = open_session()
    monkeypatch.setattr("napari_al.plugin.control.answer_submission.SLOW_DISK_S", 0)
    for n in (1, 2):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
        words = desk.dock.annotate._message.text()
        assert ("disk is slow" in words) == (n == 1), "once"
        desk.dock.annotate.show_message("")
    assert len(desk.session.answers()) == 2
