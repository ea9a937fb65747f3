"""Opening projects that another process holds, and closing the dock meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.start.session_opener import problems_text
from napari_al.session.session import Session

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


def test_another_layer_leaves_what_was_entered_for_the_images_of_the_viewer(desk):
    desk.viewer.add_image(np.zeros((48, 64, 3), np.uint8), rgb=True)
    desk.press("Images in the viewer")
    start = desk.dock.start
    start.project.setText("mine")
    start.project.textEdited.emit("mine")
    start.show_message("a message")
    labels = desk.viewer.add_labels(np.zeros((48, 64), np.uint8))
    desk.until(lambda: not desk.dock.opening._opened_image.isActive())
    assert start.project.text() == "mine"
    assert start._message.text() == "a message"
    assert start.source.label_layers == (labels,)
    desk.viewer.add_image(np.zeros((48, 64, 3), np.uint8), rgb=True)
    desk.until(lambda: len(start.source.layers) == 2)


def test_a_folder_that_is_opened_at_once_is_not_previewed(desk, data_path, tmp_path):
    """Its outlines would be a layer that the session only hides: another 0.1 s without a window."""
    desk.dock.opening.open(data_path, project=tmp_path / "p", method="bvsb", settings={})
    desk.until_asked()
    assert NAMES["borders"] not in desk.viewer.layers


def test_all_problems_are_told_or_counted():
    assert problems_text(["a.", "b."]) == "a.\nb."
    assert problems_text([f"{n}." for n in range(9)]).endswith("3.\nAnd 5 more like these.")


def _close_dock(desk):
    """Take the dock away for good, at once."""
    dock, desk.dock = desk.dock, None
    desk.viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    QApplication.sendPostedEvents(dock, QEvent.Type.DeferredDelete)


@pytest.mark.parametrize("begun", ["export", "opening"])
def test_what_a_dock_has_begun_ends_unheard_when_it_is_closed(open_session, begun):
    desk = open_session()
    bench, path, exporter = desk.dock.bench, desk.session.project.path, desk.dock.exporter
    if begun == "export":
        exporter.prepare_labels(desk.session, "answers", False)
        assert exporter._jobs.is_running
        folder = Path(exporter._prepared.name)
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
    if begun == "export":
        assert not exporter._jobs.is_running
        assert not folder.exists()
