"""What goes wrong while somebody annotates in the window."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
from disks import no_file_grows_beyond
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from scenes import write_data

from napari_al.core.clicks import Clicks
from napari_al.session.log.records import Answer
from napari_al.session.session import Session

CTRL = Qt.KeyboardModifier.ControlModifier


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
    monkeypatch.setattr("napari_al.plugin.control.answer_submission.SLOW_DISK_S", 0)
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
    desk.until(lambda: not desk.dock.bench.stage._pictures.is_busy)
    coming = {query.region.image: query for query in desk.session.upcoming(60)}
    gone, replaced, *_ = (image for image in coming if image != desk.query.region.image)
    (data / "train" / "images" / f"{gone}.png").unlink()
    iio.imwrite(data / "train" / "images" / f"{replaced}.png", np.zeros((20, 30, 3), np.uint8))
    seen = []
    desk.dock.bench.events.told.connect(seen.append)
    desk.dock.bench.stage._pictures._kept.clear()
    for image in (gone, replaced):
        desk.dock.bench.opened.go_to(coming[image])
        desk.until(lambda image=image: any(image in words for words in seen))
    desk.dock.bench.opened.ask()
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
    desk.dock.bench.events.query_changed.connect(asked.append)
    refreshed = []
    desk.session.events.scores_changed.connect(lambda: refreshed.append(desk.query))
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.until(lambda: not desk.dock.bench.opened.updates._scored.isActive())
    assert not asked
    assert len(refreshed) >= 2, "image by image, and in the end"
    assert all(query is on_screen for query in refreshed)
    answered = {a.query.region for a in desk.session.answers()}
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    assert desk.query.model_round == 1
    assert desk.query.region not in answered | {on_screen.region}


def _close_dock(desk):
    """Take the dock away for good, at once."""
    dock, desk.dock = desk.dock, None
    desk.viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    QApplication.sendPostedEvents(dock, QEvent.Type.DeferredDelete)


@pytest.mark.parametrize("begun", ["export", "opening"])
def test_what_a_dock_has_begun_ends_unheard_when_it_is_closed(open_session, tmp_path, begun):
    desk = open_session()
    bench, path = desk.dock.bench, desk.session.project.path
    if begun == "export":
        desk.dock.exporter.export_labels(desk.session, "png", "answers", tmp_path / "labels")
        thread = desk.dock.exporter._background._pool
    else:
        desk.dock.annotate.leave_wanted.emit()
        desk.dock.opening.open_project(path)
        thread = desk.dock.opening._background._pool
    thread.submit(int).result()  # done; the window has not heard of it yet
    _close_dock(desk)
    QApplication.processEvents()
    bench.close()
    with Session.open(path) as session:  # nobody holds it
        assert session.answers() == ()
    assert (tmp_path / "labels" / "classes.json").is_file() == (begun == "export")


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
    bench.opened.go_to(query)
    desk.key(Qt.Key.Key_2)
    assert [a.outcome for a in desk.session.answers()] == ["skipped", "labelled"]
    desk.key(Qt.Key.Key_Z, CTRL)
    assert [a.outcome for a in desk.session.answers()] == ["skipped", "unsure"]
    assert bench.query == query
    desk.key(Qt.Key.Key_3)
    assert [(a.outcome, a.class_ids) for a in desk.session.answers()[1:]] == [("labelled", (2,))]
    desk.key(Qt.Key.Key_Z, CTRL)
    bench.opened.ask()
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
    bench.answering.answer_many(desk.session.upcoming(2), 0)
    seconds = [round(answer.seconds, -1) for answer in desk.session.answers()]
    assert seconds == [20, 0, 10, 10]
