"""What goes wrong while somebody annotates in the window."""

from __future__ import annotations

import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
from disks import no_file_grows_beyond
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from scenes import write_data

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
    desk.dock.bench._saving.setInterval(1)
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
        for close in (desk.dock.annotate.leave_wanted.emit, desk.dock._main_window().close):
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
    assert "1 answers, unsaved last time, are back" in desk.dock.annotate._message.text()
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
    monkeypatch.setattr("napari_al.plugin.workbench.SLOW_DISK_S", 0)
    for n in (1, 2):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
        words = desk.dock.annotate._message.text()
        assert ("disk is slow" in words) == (n == 1), "once"
        desk.dock.annotate.show_message("")
    assert len(desk.session.answers()) == 2


def test_an_image_that_vanishes_or_changes_size_is_named_and_the_others_go_on(
    open_session, tmp_path
):
    data = write_data(tmp_path / "data")
    desk = open_session(data=data, budget=50)
    desk.until(lambda: not desk.dock.bench.stage._pictures._under_way)
    coming = {query.region.image: query for query in desk.session.upcoming(60)}
    gone, replaced, *_ = (image for image in coming if image != desk.query.region.image)
    (data / "train" / "images" / f"{gone}.png").unlink()
    iio.imwrite(data / "train" / "images" / f"{replaced}.png", np.zeros((20, 30, 3), np.uint8))
    seen = []
    desk.dock.bench.events.told.connect(seen.append)
    desk.dock.bench.stage._pictures._kept.clear()
    for image in (gone, replaced):
        desk.dock.bench.go_to(coming[image])
        desk.until(lambda image=image: any(image in words for words in seen))
    desk.dock.bench.ask()
    desk.until_asked()
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == 1


HOLD = """
import sys
from pathlib import Path
from napari_al.session.session import Session
with Session.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_project_open_elsewhere_is_refused_and_opens_after_a_crash_there(open_session):
    desk = open_session()
    path = desk.session.project.path
    desk.key(Qt.Key.Key_1)
    desk.dock.annotate.leave_wanted.emit()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"open\n"
        desk.dock.opening.open(path, project=None, method=None, settings={})
        desk.until(lambda: f"process {other.pid}" in desk.dock.start._message.text())
        assert desk.dock.bench.session is None
        other.kill()
    desk.dock.opening.open(path, project=None, method=None, settings={})
    desk.until_asked()
    assert len(desk.session.answers()) == 1


def test_the_question_on_screen_stays_while_scores_come_in(open_session):
    desk = open_session(budget=4)
    for _ in range(4):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.key(Qt.Key.Key_H)
    on_screen, asked = desk.query, []
    desk.dock.bench.events.asked.connect(asked.append)
    refreshed = []
    desk.session.events.scores_changed.connect(lambda: refreshed.append(desk.query))
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.until(lambda: not desk.dock.bench._scored.isActive())
    assert not asked
    assert len(refreshed) >= 2, "image by image, and in the end"
    assert all(query is on_screen for query in refreshed)
    answered = {a.query.region for a in desk.session.answers()}
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    assert desk.query.model_round == 1
    assert desk.query.region not in answered | {on_screen.region}
