"""The dock, used as a person uses it: keys over the picture, clicks on buttons."""

from __future__ import annotations

import csv
import gc
import json
import shutil
import subprocess
import sys
import weakref

import imageio.v3 as iio
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QRadioButton
from scenes import write_data, write_initial

from napari_al.formats.classes import ClassInfo
from napari_al.formats.dataset import DataFolder
from napari_al.plugin import viewers
from napari_al.plugin.annotate.classes_panel import ClassButton, ClassesPanel
from napari_al.plugin.control.keys import UserKeys
from napari_al.plugin.layers.highlight import CLEAR
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def _message(desk):
    return desk.dock.start._message.text()


def _layer(desk, kind):
    return desk.viewer.layers[NAMES[kind]]


def _highlighted(desk):
    """The pixels that the highlight leaves free, at the image's own fineness."""
    picture = _layer(desk, "query").data
    shape = desk.session.data.shape(desk.query.region.image)
    k = picture.shape[0] // shape[0]
    return picture[k // 2 :: k, k // 2 :: k] == CLEAR


def _assert_shown(desk):
    mask = desk.query.region.mask
    inside = mask.to_array(desk.session.data.shape(desk.query.region.image))
    free, within = _highlighted(desk), slice(2, -2)  # where it ends with the picture is a line
    assert free[within, within][inside[within, within]].all()
    centre = np.array(desk.viewer.scene.camera.center[1:])
    low, high = np.array(mask.box[:2]), np.array(mask.box[2:])
    half = np.array(desk.viewer.canvas.size) / 2 / desk.viewer.scene.camera.zoom
    assert (low > centre - half).all()
    assert (high - 1 < centre + half).all()


@pytest.mark.smoke
def test_from_sample_data_to_exported_labels(desk, tmp_path):
    desk.press("Sample data")
    desk.until(lambda: desk.dock.start.source is not None)
    desk.until(lambda: NAMES["borders"] in desk.viewer.layers)
    QTest.keyClick(desk.dock.start.project, Qt.Key.Key_A, CTRL)
    QTest.keyClicks(desk.dock.start.project, str(tmp_path / "project"))
    desk.press("Start")
    desk.until_asked()
    seen = []
    for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_8):
        seen.append(desk.query)
        _assert_shown(desk)
        desk.key(key)
        desk.until_asked()
    desk.press("road")
    desk.until_asked()

    answers = desk.session.answers()
    assert [a.class_ids for a in answers] == [(0,), (1,), (7,), (5,)]
    assert [a.query for a in answers[:3]] == seen
    assert all(a.seconds > 0 for a in answers)

    desk.dock.annotate.tabs.setCurrentIndex(4)
    panel = desk.dock.annotate.export
    desk.press("Export")
    desk.until(lambda: "There is no model yet" in panel._result.text())
    region = answers[0].query.region
    folder = tmp_path / "project-png-finished"
    assert not folder.exists()  # stated before it is written
    desk.press("Write the files")
    desk.until(lambda: f"images written to {folder}." in panel._result.text())
    written = iio.imread(folder / "labels" / f"{region.image}.png")
    assert (written[region.mask.to_array(written.shape)] == 0).all()


@pytest.mark.smoke
def test_every_answer_shows_the_next_region_at_once(open_session):
    desk = open_session(budget=50)
    desk.until(lambda: NAMES["prediction"] in desk.viewer.layers)
    layers = list(desk.viewer.layers)
    regions = []
    for _ in range(12):
        regions.append(desk.query.region)
        _assert_shown(desk)
        desk.key(Qt.Key.Key_2)
        desk.until_asked()
    assert len(set(regions)) == 12
    assert list(desk.viewer.layers) == layers  # only their data changed


def test_skip_unsure_ignore_cost_a_click_and_are_kept(open_session):
    desk = open_session()
    for key in (Qt.Key.Key_S, Qt.Key.Key_U, Qt.Key.Key_X):
        desk.key(key)
        desk.until_asked()
    answers = desk.session.answers()
    assert [a.outcome for a in answers] == ["skipped", "unsure", "ignored"]
    assert desk.session.clicks_in_round == 3
    assert "0 · 0 · 0" not in desk.dock.annotate.progress._values["without"].text()


@pytest.mark.smoke
def test_undo_shows_the_query_again_and_redo_goes_on(open_session):
    desk = open_session()
    first = desk.query
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    second = desk.query

    desk.key(Qt.Key.Key_Z, CTRL)
    assert desk.query == first
    assert desk.session.answers() == ()
    desk.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert desk.query == second
    assert len(desk.session.answers()) == 1
    desk.key(Qt.Key.Key_Backspace)
    desk.key(Qt.Key.Key_3)
    assert [a.class_ids for a in desk.session.answers()] == [(2,)]
    assert desk.query == second


def test_multi_class_toggles_and_enter(open_session):
    desk = open_session("multi-class")
    desk.key(Qt.Key.Key_Return)
    assert desk.session.answers() == ()  # nothing chosen yet
    for key in (Qt.Key.Key_3, Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_2):
        desk.key(key)
    checked = [b.info.name for b in desk.dock.annotate.classes._buttons if b.isChecked()]
    assert checked == ["ground", "car"]
    desk.key(Qt.Key.Key_Return)
    (answer,) = desk.session.answers()
    assert answer.class_ids == (0, 2)
    assert answer.clicks.total == 2
    desk.until_asked()
    assert not any(b.isChecked() for b in desk.dock.annotate.classes._buttons)


def test_each_question_says_whether_one_class_answers_it(open_session):
    desk = open_session("mixed", acquisition={"share_localised": 0.3})  # soon pays no longer
    page = desk.dock.annotate
    for number in range(30):
        query = desk.query
        if query.query_type == "dominant":
            break
        assert page._question.text() == "Which classes are in it?"
        assert page._accept.isEnabled()
        keys = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3)[: 2 + number % 2]
        for key in keys:
            desk.key(key)
        checked = [button.isChecked() for button in page.classes._buttons]
        assert checked[:3] == [True, True, len(keys) == 3]
        desk.key(Qt.Key.Key_Return)
        answer = desk.session.answers()[-1]
        assert (answer.query, answer.clicks.total) == (query, len(keys))
        assert answer.class_ids == tuple(range(len(keys)))
        desk.until_asked()
    assert desk.query.query_type == "dominant"
    assert desk.query.model_round  # there is a model that is sure
    assert page._question.text() == "Which class is this mostly?"
    assert "Choose one" in page._about.text()
    assert page._accept.isVisibleTo(page)
    assert not page._accept.isEnabled()
    desk.key(Qt.Key.Key_2)
    answer = desk.session.answers()[-1]
    assert (answer.query, answer.class_ids, answer.clicks.total) == (query, (1,), 1)


def test_undo_of_several_classes_has_them_chosen_again(open_session):
    desk = open_session("multi-class")
    first = desk.query
    for key in (Qt.Key.Key_1, Qt.Key.Key_3, Qt.Key.Key_Return):
        desk.key(key)
    desk.until_asked()
    desk.key(Qt.Key.Key_Z, CTRL)
    assert desk.query == first
    assert desk.dock.bench.answering.chosen == {0, 2}
    checked = [b.info.name for b in desk.dock.annotate.classes._buttons if b.isChecked()]
    assert checked == ["ground", "car"]
    for key in (Qt.Key.Key_3, Qt.Key.Key_2, Qt.Key.Key_Return):
        desk.key(key)
    (answer,) = desk.session.answers()
    assert answer.query == first
    assert answer.class_ids == (0, 1)
    assert answer.clicks.total == 2


def _click_oldest(desk):
    """Click the oldest answer in the film strip."""
    desk.dock.annotate.tabs.setCurrentIndex(3)
    strip = desk.dock.annotate.queue._past
    item = strip.item(strip.count() - 1)
    QTest.mouseClick(
        strip.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        strip.visualItemRect(item).center(),
    )


def test_a_past_answer_is_changed_from_the_film_strip(open_session):
    desk = open_session()
    first = desk.query
    for key in (Qt.Key.Key_1, Qt.Key.Key_2):
        desk.key(key)
        desk.until_asked()
    upcoming = desk.query
    _click_oldest(desk)
    assert desk.query == first
    desk.key(Qt.Key.Key_4)
    desk.until_asked()
    assert sorted(a.class_ids for a in desk.session.answers()) == [(1,), (3,)]
    assert desk.query == upcoming


def test_several_at_once_and_one_undo(open_session):
    desk = open_session()
    desk.dock.annotate.tabs.setCurrentIndex(3)
    queue = desk.dock.annotate.queue
    for row in (0, 2):
        item = queue._upcoming.item(row)
        queue._upcoming.scrollToItem(item)
        QTest.mouseClick(
            queue._upcoming.viewport(),
            Qt.MouseButton.LeftButton,
            CTRL,
            queue._upcoming.visualItemRect(item).center(),
        )
    queue._class.setCurrentIndex(2)
    desk.press("Give")
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(2,), (2,)]
    desk.key(Qt.Key.Key_Z, CTRL)
    assert desk.session.answers() == ()


def test_budget_spent_trains_while_answering_goes_on(open_session):
    desk = open_session(budget=3)
    for _ in range(3):
        desk.key(Qt.Key.Key_1)
    assert desk.session.is_busy
    assert desk.session.round == 2
    desk.until_asked()
    desk.key(Qt.Key.Key_2)
    assert len(desk.session.answers()) == 4
    desk.until(lambda: not desk.session.is_busy)
    desk.until(lambda: desk.session.scores_round == 1)
    desk.until_asked()
    assert "1 answer old" in desk.dock.annotate.model._state.text()
    assert desk.dock.annotate.model.loss.n_points > 0
    assert desk.dock.annotate.model.miou.n_points == 1
    assert desk.dock.annotate._status.text().startswith("Model 1 is ready: P shows")
    desk.until(lambda: NAMES["prediction"] in desk.viewer.layers)
    assert _layer(desk, "prediction").visible  # the first model's, once by itself
    desk.key(Qt.Key.Key_P)
    for key, kind in ((Qt.Key.Key_H, "heatmap"), (Qt.Key.Key_P, "prediction")):
        desk.key(key)
        desk.until(lambda kind=kind: NAMES[kind] in desk.viewer.layers)
        assert _layer(desk, kind).visible
        desk.key(key)
        assert not _layer(desk, kind).visible


def test_training_can_be_stopped(open_session):
    desk = open_session(training={"steps": 100_000, "batch_size": 2, "crop_px": 32})
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    desk.dock.annotate.tabs.setCurrentIndex(1)
    desk.press("Train now")
    desk.until(lambda: desk.dock.annotate.model.loss.n_points > 2)
    desk.press("Stop")
    desk.until(lambda: not desk.session.is_busy)
    assert desk.session.round == 1
    assert desk.dock.bench.query is not None


@pytest.mark.parametrize("kind", ["image", "query", "borders"])
def test_a_layer_removed_by_hand_comes_back_when_needed(open_session, kind):
    desk = open_session()
    if kind == "borders":
        desk.key(Qt.Key.Key_B)
        desk.until(lambda: NAMES["borders"] in desk.viewer.layers)
    desk.viewer.layers.remove(_layer(desk, kind))
    if kind == "borders":
        desk.key(Qt.Key.Key_B)
    desk.until(lambda: NAMES[kind] in desk.viewer.layers)
    _assert_shown(desk)
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == 1
    names = [layer.name for layer in desk.viewer.layers]
    assert names.index(NAMES["query"]) == len(names) - 1


def test_keys_work_whatever_layer_of_ours_is_active(open_session):
    desk = open_session(budget=50)
    for key, kind in ((Qt.Key.Key_L, "answers"), (Qt.Key.Key_B, "borders")):
        desk.key(key)
        desk.until(lambda kind=kind: NAMES[kind] in desk.viewer.layers)
    for n, layer in enumerate(list(desk.viewer.layers)):
        desk.viewer.layers.selection.active = layer
        desk.key(Qt.Key.Key_1)
        assert len(desk.session.answers()) == n + 1
        desk.until_asked()


def test_keys_work_with_the_focus_in_the_dock(open_session):
    desk = open_session()
    desk.dock.setFocus()
    QTest.keyClick(desk.dock, Qt.Key.Key_3)
    assert [a.class_ids for a in desk.session.answers()] == [(2,)]


def test_a_session_outlives_its_dock_and_ends_with_the_window(open_session):
    desk = open_session()
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    query, session = desk.query, desk.session
    before = weakref.ref(desk.dock)
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.dock.deleteLater()
    desk.dock = None
    desk.until(lambda: gc.collect() is not None and before() is None)

    from napari_al.plugin.app import open_dock

    desk.dock = open_dock(desk.viewer)
    desk.until(desk.dock.isVisible)
    assert desk.query == query
    assert "Which class" in desk.dock.annotate._question.text()
    desk.key(Qt.Key.Key_2)
    assert len(session.answers()) == 2

    desk.viewer.close()
    desk.until(lambda: not viewers._WORKBENCHES)
    assert desk.dock.bench.session is None


@pytest.mark.smoke
def test_closing_leaves_no_connection_and_no_key(open_session):
    desk = open_session()
    session, opened, viewer = desk.session, desk.dock.bench.opened, desk.viewer
    keys = dict(viewer.keymap)
    desk.dock.annotate.tabs.setCurrentIndex(4)
    desk.press("Close this project")
    assert len(session.events.answered) == len(session.events.job_finished) == 0
    assert len(keys) > 20
    assert not viewer.keymap
    assert not viewer.layers
    assert len(opened.connections) == len(desk.dock._session_connections) == 0


def test_costs_as_csv(open_session, tmp_path):
    desk = open_session()
    desk.key(Qt.Key.Key_2)
    desk.dock.annotate.progress.csv_wanted.emit(tmp_path / "costs.csv")
    desk.until((tmp_path / "costs.csv").is_file)
    rows = list(csv.DictReader((tmp_path / "costs.csv").read_text().splitlines()))
    assert [row["classes"] for row in rows] == ["sky"]


def test_images_of_the_viewer_stack_and_scale(desk, tmp_path):
    rng = np.random.default_rng(0)
    stack = (rng.random((3, 40, 50)) * 60000).astype(np.uint16)
    source = desk.viewer.add_image(
        stack,
        name="a stack",
        scale=(5, 0.5, 0.25),
        translate=(0, 10, 20),
        units=("second", "micrometer", "micrometer"),
    )
    other = desk.viewer.add_image(stack[:1], name="another", visible=False, units=source.units)
    colored = desk.viewer.add_image(np.zeros((8, 9, 3), np.uint8), name="a photo", rgb=True)
    desk.press("Images in the viewer")
    assert "'a photo' is in colour and 'a stack' is grey" in desk.dock.start._message.text()
    desk.viewer.layers.remove(colored)
    desk.press("Images in the viewer")
    assert desk.dock.start._message.text() == ""
    desk.dock.start.class_list.entry.setFocus()
    QTest.keyClicks(desk.dock.start.class_list.entry, "background, cell")
    QTest.keyClick(desk.dock.start.class_list.entry, Qt.Key.Key_Return)
    desk.dock.start.project.setText(str(tmp_path / "project"))
    desk.dock.start._on_own_project()
    desk.press("Start")
    desk.until_asked()

    assert desk.session.data.train == ("a_stack_0", "a_stack_1", "a_stack_2")  # no hidden layer
    config = json.loads((tmp_path / "project" / "config.json").read_text())
    assert config["data"] == "data"
    np.testing.assert_array_equal(desk.session.data.image("a_stack_1")[..., 0], stack[1])
    assert tuple(_layer(desk, "image").scale) == (0.5, 0.25)
    assert tuple(_layer(desk, "image").translate) == (10, 20)
    desk.key(Qt.Key.Key_2)
    assert [a.class_ids for a in desk.session.answers()] == [(1,)]
    assert (source.visible, other.visible) == (False, False)

    desk.dock.bench.close()
    assert (source.visible, other.visible) == (True, False)  # as they were
    desk.viewer.layers.clear()
    desk.dock.opening.look(tmp_path / "project")
    desk.until_asked()
    assert tuple(_layer(desk, "image").scale) == (0.5, 0.25)
    assert tuple(_layer(desk, "image").translate) == (10, 20)
    assert [str(unit) for unit in _layer(desk, "image").units] == ["micrometer", "micrometer"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [("missing", "does not exist"), ("empty", "no images")],
)
def test_bad_folders_are_named_in_the_dock(desk, tmp_path, folder, words):
    (tmp_path / "empty").mkdir()
    desk.dock.opening.look(tmp_path / folder)
    desk.until(lambda: words in desk.dock.start._message.text())
    assert desk.dock.start._message.isVisibleTo(desk.dock)


def test_broken_images_are_left_out_where_that_is_asked_for(desk, data_path, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(data_path, data)
    broken = next((data / "train" / "images").iterdir())
    broken.write_bytes(b"")
    desk.dock.opening.open(data, project=None, method=None, settings={})
    desk.until(lambda: "start `napari-al label` with --skip-broken" in _message(desk))
    desk.dock.opening.open(data, project=None, method=None, settings={"skip_broken": True})
    desk.until(lambda: desk.dock.start.source == data)
    assert _message(desk) == ""


def test_a_folder_without_classes_asks_for_them(desk, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in "ab":
        iio.imwrite(tmp_path / "photos" / f"{name}.png", np.zeros((20, 30, 3), np.uint8))
    desk.dock.opening.look(tmp_path / "photos")
    desk.until(lambda: desk.dock.start.source is not None)
    desk.press("Start")
    assert "two classes" in desk.dock.start._message.text()
    QTest.keyClicks(desk.dock.start.class_list.entry, "sky, sea")
    QTest.keyClick(desk.dock.start.class_list.entry, Qt.Key.Key_Return)
    assert desk.dock.start._message.text() == ""


def test_labels_to_correct_are_needed_for_corrections(desk, data_path):
    desk.dock.opening.look(data_path)
    desk.until(lambda: desk.dock.start.source is not None)
    radios = {r.text(): r for r in desk.dock.start.findChildren(QRadioButton)}
    assert not radios["Is the label right?"].isEnabled()
    QTest.mouseClick(radios["Which classes are in it?"], Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    assert desk.dock.start.question.method.query == "multi-class"


def test_themes_change_while_it_is_open(open_session):
    desk = open_session()
    dark = desk.dock.styleSheet()
    desk.viewer.theme = "light"
    assert desk.dock.styleSheet() != dark


def test_docked_left_it_has_room_to_answer(open_session):
    desk = open_session()
    holder, window = desk.dock.parentWidget(), desk.dock.docking.main_window()
    window.resize(1280, 720)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, holder)
    desk.until(lambda: desk.dock.height() > 500)
    assert desk.dock.isVisible()
    assert desk.dock.width() >= 320
    desk.until(lambda: len(window.tabifiedDockWidgets(holder)) == 2)
    for _ in range(20):
        QApplication.processEvents()
    moves = []
    holder.dockLocationChanged.connect(moves.append)
    for _ in range(20):
        QApplication.processEvents()
    assert moves == []


@pytest.mark.smoke
@pytest.mark.parametrize("way", ["?", "Escape", "a class's key", "a click"])
def test_help_comes_and_goes(open_session, way):
    desk = open_session()
    keys = {"?": Qt.Key.Key_Question, "Escape": Qt.Key.Key_Escape, "a class's key": Qt.Key.Key_1}
    desk.canvas.setFocus()
    for _ in range(2):
        desk.key(Qt.Key.Key_F1)
        sheet = desk.dock._help
        if way == "a click":
            QTest.mouseClick(sheet, Qt.MouseButton.LeftButton)
        else:
            QTest.keyClick(sheet, Qt.Key.Key_Shift)
            assert sheet.isVisible()
            QTest.keyClick(sheet, keys[way])
        assert not sheet.isVisible()
    assert not desk.session.answers()
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == 1


def test_many_classes_are_found_by_typing_or_by_two_keys(desk, tmp_path):
    classes = [{"id": i, "name": f"thing {i:02d}"} for i in range(30)]
    folder = tmp_path / "many"
    folder.mkdir()
    iio.imwrite(folder / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    (folder / "classes.json").write_text(json.dumps(classes))
    config = make_config(DataFolder.open(folder), {"regions": {"n_per_image": 9}}, "random")
    session = Session.create(tmp_path / "p", config, dispatch=desk.dock.bench.dispatch)
    session.prepare()
    desk.dock.bench.open(session)
    desk.until_asked()
    search = desk.dock.annotate.classes._search
    desk.key(Qt.Key.Key_Slash)
    QTest.keyClicks(search, "27")
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert [a.class_ids for a in desk.session.answers()] == [(27,)]
    assert search.text() == ""

    panel = desk.dock.annotate.classes
    assert desk.dock.bench.answering.class_keys[25] == "M3"
    desk.key(Qt.Key.Key_M)
    shown = [b.info.id for b in panel._buttons if b.isVisibleTo(panel)]
    assert shown == list(range(23, 30))
    desk.key(Qt.Key.Key_3)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(27,), (25,)]
    desk.key(Qt.Key.Key_M)
    desk.key(Qt.Key.Key_S)  # something else: the pair is forgotten
    desk.until_asked()
    desk.key(Qt.Key.Key_3)
    assert [a.class_ids for a in desk.session.answers()] == [(27,), (25,), (), (2,)]


@pytest.mark.parametrize(
    ("names", "n_columns"),
    [
        (["sky", "road"], 1),
        (["sky", "road", "car"] * 3, 2),
        (["a rather long name", "sky"] * 6, 2),
        (["a rather long name", "sky", "another long name"] * 4, 1),
    ],
)
def test_names_have_room(qtbot, names, n_columns):
    infos = [ClassInfo(id=i, name=f"{name}{i}", color="#ff0000") for i, name in enumerate(names)]
    panel = ClassesPanel()
    qtbot.addWidget(panel)
    panel.set_classes(infos, UserKeys().class_keys(len(infos)))
    panel.resize(340, 400)
    panel.show()
    assert len({button.x() for button in panel.findChildren(ClassButton)}) == n_columns


def test_a_class_found_by_typing_is_one_of_several(desk, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    iio.imwrite(folder / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    names = [{"id": i, "name": f"thing {i:02d}"} for i in range(12)]
    (folder / "classes.json").write_text(json.dumps(names))
    config = make_config(DataFolder.open(folder), {"regions": {"n_per_image": 9}}, "multi-class")
    session = Session.create(tmp_path / "p", config, dispatch=desk.dock.bench.dispatch)
    session.prepare()
    desk.dock.bench.open(session)
    desk.until_asked()
    for name in ("03", "11"):
        desk.key(Qt.Key.Key_Slash)
        QTest.keyClicks(desk.dock.annotate.classes._search, name)
        QTest.keyClick(desk.dock.annotate.classes._search, Qt.Key.Key_Return)
    assert desk.session.answers() == ()  # Enter chose a class, it did not end the answer
    desk.key(Qt.Key.Key_Return)
    assert [a.class_ids for a in desk.session.answers()] == [(3, 11)]


def _edited_in_place(desk, row, words):
    """Type another name over one in the list of classes."""
    editor = desk.dock.editor
    editor.list.setCurrentRow(row)
    desk.press("Rename  F2")
    field = editor.list.findChild(QLineEdit)
    QTest.keyClicks(field, words)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_a_class_that_no_answer_names_is_deleted(open_session):
    desk = open_session(budget=50)
    desk.key(Qt.Key.Key_4)
    desk.until_asked()
    desk.key(Qt.Key.Key_F2)
    editor = desk.dock.editor
    editor.list.setCurrentRow(3)
    assert not editor._delete.isEnabled()  # an answer names it
    editor.list.setCurrentRow(2)
    desk.press("Delete")
    desk.until(lambda: editor.merged.count() == 1)
    assert editor.merged.item(0).text() == "car → deleted"
    assert [editor.list.item(i).text() for i in range(3)] == ["ground", "sky", "van"]
    QTest.keyClicks(editor.entry, "car, tree")  # a name of before is the class of before
    QTest.keyClick(editor.entry, Qt.Key.Key_Return)
    classes = desk.session.config.classes
    assert [(c.name, c.merged_into) for c in classes[2:]] == [
        ("car", None), ("van", None), ("tree", None)
    ]  # fmt: skip
    desk.press("Undo", editor)
    desk.press("Undo", editor)
    assert [c.name for c in desk.session.config.classes] == ["ground", "sky", "car", "van"]
    assert not any(c.is_deleted for c in desk.session.config.classes)


@pytest.mark.smoke
def test_classes_are_edited_while_answering(open_session):
    desk = open_session(budget=50)
    for key in (Qt.Key.Key_3, Qt.Key.Key_4):
        desk.key(key)
        desk.until_asked()
    asked, editor = desk.query, desk.dock.editor
    desk.key(Qt.Key.Key_F2)
    assert editor.isVisible()
    QTest.keyClicks(editor.entry, "tree, sea")
    QTest.keyClick(editor.entry, Qt.Key.Key_Return)
    _edited_in_place(desk, 2, "lorry")
    desk.until(lambda: desk.session.config.classes[2].name == "lorry")
    editor.list.setCurrentRow(3)
    editor.into.setCurrentIndex(2)
    desk.press("Merge")
    names = [c.name for c in desk.session.config.classes]
    assert names == ["ground", "sky", "lorry", "van", "tree", "sea"]
    assert editor.merged.item(0).text() == "van → lorry"
    QTest.keyClicks(editor.entry, "van")
    QTest.keyClick(editor.entry, Qt.Key.Key_Return)
    assert "two classes are called 'van'" in editor._message.text()
    QTest.keyClick(editor.entry, Qt.Key.Key_Escape)

    assert desk.query == asked
    desk.key(Qt.Key.Key_4)  # the merged one's key does nothing
    assert desk.query == asked
    desk.key(Qt.Key.Key_5)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(2,), (2,), (4,)]
    page = desk.dock.annotate
    buttons = {b.info.name: (b.key, b._count.text()) for b in page.classes._buttons}
    assert list(buttons) == ["ground", "sky", "lorry", "tree", "sea"]
    assert buttons["lorry"] == ("3", "2")
    for n_left in (2, 2, 2, 2):
        desk.key(Qt.Key.Key_Z, CTRL)
        assert len(desk.session.answers()) == n_left
    assert [a.class_ids for a in desk.session.answers()] == [(2,), (3,)]
    assert len(page.classes._buttons) == 4


def test_a_session_is_repeated_by_its_script(open_session, tmp_path, monkeypatch):
    desk = open_session("adaptive-superpixel", budget=3)
    for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3):
        desk.key(key)
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.until_asked()
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    desk.key(Qt.Key.Key_Z, CTRL)
    desk.key(Qt.Key.Key_3)
    desk.until_asked()
    desk.dock.annotate.tabs.setCurrentIndex(1)
    desk.press("Train now")
    desk.until(lambda: desk.session.scores_round == 2 and not desk.session.is_busy)
    script = tmp_path / "again.py"
    panel, offered = desk.dock.annotate.export, []
    monkeypatch.setattr(
        QFileDialog,
        "getSaveFileName",
        lambda *args: (offered.append(args[2]), (str(script), ""))[1],
    )
    desk.dock.annotate.tabs.setCurrentIndex(4)
    panel.folder.clear()
    desk.press("Export")
    assert panel._result.text() == "Name a folder for the files."
    desk.press("Save as script…")
    assert offered == [str(tmp_path / "again.py")]

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folders = [
        path / "cache" / "targets" for path in (tmp_path / "project", tmp_path / "project-again")
    ]
    first, again = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.png")} for f in folders)
    assert len(first) > 2
    assert first == again


@pytest.fixture
def correcting(open_session, tmp_path):
    """A project that corrects initial labels, after its first training."""
    data = write_initial(write_data(tmp_path / "data"))
    return open_session("alc", data, budget=50)


def test_corrections_accept_with_space_and_correct_with_a_key(correcting):
    desk = correcting
    page = desk.dock.annotate
    names = [info.name for info in desk.session.config.classes]
    first = desk.query
    assert first.pixel_rc is not None
    assert f"Is this pixel a <i>{names[first.pseudo_label]}</i>?" in page._question.text()
    assert not _highlighted(desk).all()
    row, col = first.pixel_rc
    assert _highlighted(desk)[row, col]  # the marker leaves its pixel free
    desk.key(Qt.Key.Key_Space)
    desk.until_asked()
    second = desk.query
    other = (second.pseudo_label + 1) % len(names)
    desk.key(Qt.Key(Qt.Key.Key_1 + other))
    desk.until_asked()
    answers = desk.session.answers()
    assert [a.class_ids for a in answers] == [(first.pseudo_label,), (other,)]
    assert [a.clicks.total for a in answers] == [1, 1]
    desk.until(lambda: page.progress._values["corrected"].text() == "1")
    assert page.progress._values["accepted"].text() == "1"


def _click(desk, row, col, modifier=Qt.KeyboardModifier.NoModifier):
    """Click an image pixel on the canvas."""
    camera, size = desk.viewer.scene.camera, desk.viewer.canvas.size
    y = (row - camera.center[1]) * camera.zoom + size[0] / 2
    x = (col - camera.center[2]) * camera.zoom + size[1] / 2
    point = QPoint(round(x), round(y))
    QTest.mouseMove(desk.canvas, point)
    QTest.mouseClick(desk.canvas, Qt.MouseButton.LeftButton, modifier, point)
    QApplication.processEvents()


def _draw(desk, corners):
    for row, col in corners:
        _click(desk, row, col)
    desk.key(Qt.Key.Key_Return)  # napari's key to close a polygon


@pytest.mark.smoke
def test_precise_answers_are_drawn(open_session):
    desk = open_session("rectangle-precise", budget=100)
    row0, col0, row1, col1 = desk.query.region.mask.box
    side_px = (row1 - row0) * desk.viewer.scene.camera.zoom
    assert side_px > 0.4 * min(desk.viewer.canvas.size)  # there is room to draw
    desk.key(Qt.Key.Key_3)
    _draw(desk, [(row0 + 4, col0 + 4), (row0 + 4, col0 + 12), (row0 + 12, col0 + 12)])
    desk.key(Qt.Key.Key_2)
    _draw(desk, [(row0 + 14, col0 + 4), (row0 + 14, col0 + 12), (row0 + 20, col0 + 12)])
    desk.key(Qt.Key.Key_Z, CTRL)  # takes the last polygon away, not an answer
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_R)
    query = desk.query
    desk.key(Qt.Key.Key_Space)
    desk.until_asked()

    (answer,) = desk.session.answers()
    assert answer.query == query
    assert answer.class_ids == (0, 2)
    assert (answer.clicks.class_clicks, answer.clicks.polygon_clicks) == (2, 3)
    sizes = {piece.class_id: piece.mask.size for piece in answer.pieces}
    assert sum(sizes.values()) == query.region.mask.size
    assert 20 < sizes[2] < 50
    assert desk.query != query
    assert _layer(desk, "drawing").nshapes == 0
    assert (row1 - row0) * (col1 - col0) == query.region.mask.size


def _shown_corners(desk):
    return [np.round(corners).astype(int).tolist() for corners in _layer(desk, "drawing").data]


def _draw_two(desk):
    """Draw a triangle of class 3 and one of class 2, the rest is class 1; hand it in."""
    row0, col0, _, _ = desk.query.region.mask.box
    desk.key(Qt.Key.Key_3)
    _draw(desk, [(row0 + 4, col0 + 4), (row0 + 4, col0 + 12), (row0 + 12, col0 + 12)])
    desk.key(Qt.Key.Key_2)
    _draw(desk, [(row0 + 14, col0 + 4), (row0 + 14, col0 + 12), (row0 + 20, col0 + 12)])
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_R)
    corners = _shown_corners(desk)
    desk.key(Qt.Key.Key_Space)
    desk.until_asked()
    return corners


def test_undo_of_a_drawing_brings_it_back(open_session):
    desk = open_session("rectangle-precise", budget=100)
    corners = _draw_two(desk)
    (answer,) = desk.session.answers()
    assert len(corners) == 2
    assert _shown_corners(desk) == []

    desk.key(Qt.Key.Key_Z, CTRL)
    desk.until_asked()
    assert desk.query == answer.query
    assert _shown_corners(desk) == corners
    assert "The rest is ground" in desk.dock.annotate._rest.text()
    colors = [desk.session.config.classes[i].color for i in (2, 1)]
    edges = _layer(desk, "drawing").edge_color
    assert ["#" + bytes(np.round(255 * c[:3]).astype(np.uint8)).hex() for c in edges] == colors
    desk.key(Qt.Key.Key_Space)
    desk.until_asked()
    (again,) = desk.session.answers()
    assert (again.clicks, again.pieces) == (answer.clicks, answer.pieces)

    desk.key(Qt.Key.Key_Z, CTRL)
    desk.key(Qt.Key.Key_Z, CTRL)  # the last polygon of the drawing
    assert _shown_corners(desk) == corners[:1]
    desk.key(Qt.Key.Key_Space)
    (changed,) = desk.session.answers()
    assert changed.class_ids == (0, 2)
    assert (changed.clicks.class_clicks, changed.clicks.polygon_clicks) == (2, 3)


def test_a_drawing_of_an_earlier_session_is_said_to_be_gone(open_session, tmp_path):
    desk = open_session("rectangle-precise", budget=100)
    query = desk.query
    _draw_two(desk)
    bench = desk.dock.bench
    bench.close()
    bench.open(Session.open(tmp_path / "project", dispatch=bench.dispatch))
    desk.until_asked()
    desk.key(Qt.Key.Key_Z, CTRL)
    desk.until_asked()
    assert desk.query == query
    assert _shown_corners(desk) == []
    assert "draw it again" in desk.dock.annotate._message.text()


def test_one_can_draw_on_after_the_image_was_removed_by_hand(open_session):
    desk = open_session("rectangle-precise", budget=100)
    desk.viewer.layers.remove(_layer(desk, "image"))
    desk.until(lambda: NAMES["image"] in desk.viewer.layers)
    QApplication.processEvents()
    assert desk.viewer.layers.selection.active is _layer(desk, "drawing")


def test_a_rectangle_of_one_class_takes_two_keys(open_session):
    desk = open_session("rectangle-precise", budget=100)
    desk.key(Qt.Key.Key_Space)
    assert desk.session.answers() == ()  # nothing chosen
    desk.key(Qt.Key.Key_4)
    desk.key(Qt.Key.Key_R)
    desk.key(Qt.Key.Key_Space)
    (answer,) = desk.session.answers()
    assert answer.class_ids == (3,)
    assert answer.clicks.total == 1
    desk.until_asked()
    desk.key(Qt.Key.Key_Z, CTRL)
    assert "The rest is van" in desk.dock.annotate._rest.text()
    desk.key(Qt.Key.Key_Space)
    (again,) = desk.session.answers()
    assert (again.pieces, again.clicks) == (answer.pieces, answer.clicks)


def test_look_alikes_are_looked_at_before_they_are_applied(open_session, tmp_path):
    data = write_initial(write_data(tmp_path / "data", n_train=8))
    targets = {"lcm_confidence": [0.0], "lcm_tail": 0.0}
    desk = open_session("a2lc", data, budget=6, targets=targets)
    for _ in range(6):
        desk.key(Qt.Key.Key_1)
        QApplication.processEvents()
        desk.until(lambda: desk.dock.bench.query or desk.session.budget_is_spent)
    review = desk.dock.review
    desk.until(lambda: review._list.count() > 1)
    assert not desk.session.is_training  # it waits
    n = review._list.count()

    item = review._list.item(1)
    box = review._list.visualItemRect(item)
    QTest.mouseClick(review._list.viewport(), Qt.MouseButton.LeftButton, pos=box.center())
    looked_at = item.data(Qt.ItemDataRole.UserRole).region
    desk.until(lambda: desk.dock.bench.stage.image == looked_at.image)
    item.setCheckState(Qt.CheckState.Unchecked)
    assert review.apply.text() == f"Apply {n - 1} of {n} and train"
    QTest.mouseClick(review.apply, Qt.MouseButton.LeftButton)

    assert desk.session.is_training
    assert len(desk.session.corrections()) == n - 1
    desk.until_asked()
    desk.key(Qt.Key.Key_Z, CTRL)  # one undo takes all of them back
    assert desk.session.corrections() == ()
    assert len(desk.session.answers()) == 6


def test_a_region_is_cut_in_two_and_one_undo_takes_both_back(open_session):
    desk = open_session()
    whole = desk.query
    desk.key(Qt.Key.Key_D)
    first = desk.query
    assert first.region.ids == whole.region.ids
    assert first.region.mask.size < whole.region.mask.size
    desk.key(Qt.Key.Key_1)
    second = desk.query
    assert first.region.mask.size + second.region.mask.size == whole.region.mask.size
    assert desk.session.answers() == ()  # both go in together
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(0,), (1,)]
    assert desk.query.region.ids != whole.region.ids
    desk.key(Qt.Key.Key_Z, CTRL)
    assert desk.session.answers() == ()


@pytest.mark.smoke
def test_a_neighbour_is_joined_with_shift_click(open_session):
    desk = open_session()
    alone = desk.query
    region_map = desk.session.region_map(alone.region.image)
    inside = region_map == alone.region.ids[0]
    grown = np.zeros_like(inside)
    grown[1:] |= inside[:-1]
    grown[:-1] |= inside[1:]
    row, col = np.argwhere(grown & ~inside)[0]
    neighbour = int(region_map[row, col])

    _click(desk, row, col, SHIFT)
    assert desk.query.region.ids == tuple(sorted((alone.region.ids[0], neighbour)))
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    (answer,) = desk.session.answers()
    assert answer.query.region.mask.size == (inside | (region_map == neighbour)).sum()
    assert answer.clicks.total == 1
    labels = desk.session.answers_map(alone.region.image)
    assert (labels[region_map == neighbour] == 1).all()


def test_figures_that_take_time_come_in_later(open_session):
    desk = open_session()
    desk.key(Qt.Key.Key_2)
    panel = desk.dock.annotate.progress
    desk.until(lambda: panel._values["drawn"].text() not in ("0", "0 clicks"))
    assert "sky  100.0%" in panel.shares.toolTip()
