"""The widget to look at rounds, used as a person uses it: sliders, switches, clicks."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton
from scenes import answer_round, project_config

from napari_al.formats.classes import ClassInfo
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.methods.queries import ONE_CLICK, Answer
from napari_al.plugin import reader, viewers
from napari_al.plugin.app import open_dock
from napari_al.plugin.inspect.dock import INSPECT_NAME, InspectDock, find_inspect_dock, inspect
from napari_al.plugin.inspect.layer_styles import KINDS
from napari_al.plugin.layers import picture_behind
from napari_al.session.inspection import inspection
from napari_al.session.inspection.overlays import PICTURES, RoundImage
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_al.plugin.inspect.controller import Inspector
    from napari_al.plugin.inspect.open_project import OpenProject


@dataclass
class Bench:
    """What a researcher has in front of them."""

    viewer: Any
    qtbot: Any

    @property
    def dock(self) -> InspectDock:
        found = find_inspect_dock(self.viewer)
        assert found is not None
        return found

    @property
    def inspector(self) -> Inspector:
        return self.dock.inspector

    @property
    def project(self) -> OpenProject:
        project = self.inspector.project
        assert project is not None
        return project

    def open(self, path: Path) -> Bench:
        inspect(self.viewer, path)
        self.until(lambda: self.inspector.record is not None)
        self.until(lambda: len(self.inspector.layers.shown) == 2)
        return self

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        self.qtbot.waitUntil(lambda: bool(holds()), timeout=int(1000 * seconds))

    def switch(self, key: str) -> None:
        """Click a picture's switch."""
        box = self.dock.overlays._switches[key]
        QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))

    def press(self, words: str, nth: int = 0) -> None:
        """Click a visible button by its name; of several the nth."""
        named = [b for b in self.dock.findChildren(QPushButton) if b.accessibleName() == words]
        QTest.mouseClick(named[nth], Qt.MouseButton.LeftButton)

    def click_pixel(self, row: float, col: float) -> None:
        """Click a pixel of the image on the canvas."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        camera = self.inspector.layers.base.camera.napari
        centre = np.array(camera.center[1:])
        offset = (np.array([row, col]) - centre) * camera.zoom
        x, y = canvas.width() / 2 + offset[1], canvas.height() / 2 + offset[0]
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))

    def expected(self, key: str) -> np.ndarray:
        record = self.inspector.record
        return PICTURES[key].make(RoundImage(self.inspector.inspection, record, self.project.image))


@pytest.fixture
def bench(make_napari_viewer: Any, qtbot: Any) -> Iterator[Bench]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 720)
    yield Bench(viewer, qtbot)
    dock = find_inspect_dock(viewer)
    if dock is not None:
        dock.inspector.end()
    viewers.close_all()
    QApplication.processEvents()


@pytest.mark.smoke
def test_rounds_are_stepped_through(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    assert bench.inspector.record.number == 2
    for key in ("queried", "queried_lines"):
        assert np.array_equal(bench.inspector.layers.picture(key), bench.expected(key))
    bench.press("◀")
    bench.until(lambda: bench.inspector.record.number == 1)
    assert bench.dock.bar._round.text() == "Round 1"
    assert "adaptive-superpixel · " in bench.dock.bar._summary.text()
    bench.dock.bar.slider.setFocus()
    QTest.keyClick(bench.dock.bar.slider, Qt.Key.Key_End)
    bench.until(lambda: bench.inspector.record.number == 3)
    assert "not trained yet" in bench.dock.bar._summary.text()
    bench.switch("prediction")
    bench.until(lambda: "not been trained" in bench.dock.overlays._reasons["prediction"].text())
    assert bench.inspector.layers.picture("prediction") is None


@pytest.mark.parametrize("method", ["adaptive-superpixel", "a2lc"])
def test_every_switch_shows_its_picture(bench, finished_run, method):
    bench.open(finished_run(method))
    for key in ("queried", "queried_lines"):
        bench.switch(key)
    assert bench.inspector.layers.shown == ()
    for key, switch in bench.dock.overlays._switches.items():
        bench.dock.tabs.widget(0).ensureWidgetVisible(switch)
        bench.switch(key)
        bench.until(lambda key=key: bench.inspector.layers.picture(key) is not None)
        shown, made = bench.inspector.layers.picture(key), bench.expected(key)
        assert np.array_equal(shown, made, equal_nan=made.dtype.kind == "f"), key
    names = [layer.name for layer in bench.viewer.layers]
    order = [KINDS[key].name for key in KINDS if key in bench.dock.overlays._switches]
    assert [name for name in names if name in order] == order


def test_the_eye_and_the_bin_of_the_layer_list(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    bench.viewer.layers[KINDS["queried"].name].visible = False
    assert bench.project.shown_keys == {"queried_lines"}
    assert not bench.dock.overlays._switches["queried"].isChecked()
    bench.viewer.layers[KINDS["queried"].name].visible = True
    bench.until(lambda: bench.dock.overlays._switches["queried"].isChecked())
    bench.viewer.layers.remove(KINDS["queried"].name)
    assert bench.project.shown_keys == {"queried_lines"}
    bench.switch("queried")
    bench.until(lambda: bench.inspector.layers.picture("queried") is not None)


@pytest.mark.smoke
def test_a_clicked_region_is_described(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    record = bench.inspector.record
    answer = next(a for a in record.answers if a.query.region.image == bench.project.image)
    row, col = answer.query.region.mask.central_pixel()
    bench.click_pixel(row, col)
    panel = bench.dock.region
    bench.until(panel.curve.isVisible)
    assert bench.dock.tabs.currentIndex() == 1
    names = [info.name for info in bench.inspector.inspection.config.classes]
    assert f"<b>{names[answer.class_ids[0]]}</b>" in panel.history.text()
    assert "BvSB" in panel._bvsb.text()
    assert sum(share for _, _, share in panel.bars.rows) == pytest.approx(1, abs=0.01)
    assert panel.curve.n_points > 2

    neighbour = panel.neighbours.topLevelItem(0)
    place = panel.neighbours.visualItemRect(neighbour).center()
    before = panel._title.text(), panel._about.text()
    QTest.mouseClick(panel.neighbours.viewport(), Qt.MouseButton.LeftButton, pos=place)
    bench.until(lambda: (panel._title.text(), panel._about.text()) != before)


@pytest.mark.smoke
def test_other_choices_are_tried(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    bench.dock.tabs.setCurrentIndex(2)
    tries, layers = bench.dock.previews, bench.inspector.layers
    for name, switch in tries.switches.items():
        QTest.mouseClick(switch, Qt.MouseButton.LeftButton, pos=QPoint(8, switch.height() // 2))
        bench.until(lambda name=name: tries._results[name].text())
    n_regions = []
    for end in (Qt.Key.Key_Home, Qt.Key.Key_End):
        before = tries._results["try_merging"].text()
        QTest.keyClick(tries.epsilon, end)
        bench.until(lambda before=before: tries._results["try_merging"].text() != before)
        n_regions.append(int(tries._results["try_merging"].text().split()[3]))
    assert n_regions[0] > n_regions[1] == 1
    assert layers.picture("try_merging").all()  # all in one
    assert "Achievable accuracy" in tries._results["try_cut"].text()
    assert "Rank correlation" in tries._results["try_acquisition"].text()
    assert layers.picture("try_heatmap") is None
    assert layers.picture("try_batches").any()
    bench.press("◀")
    bench.until(lambda: "without a model" in tries._results["try_merging"].text())
    assert layers.picture("try_merging") is None
    QTest.mouseClick(tries.switches["try_cut"], Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert layers.picture("try_cut") is None


def test_a_result_that_was_overtaken_is_never_shown(bench, finished_run, monkeypatch):
    """A slow picture of one round comes in when the slider stands at another."""
    bench.open(finished_run("adaptive-superpixel"))
    make = PICTURES["queried"].make
    go_on, begun = threading.Event(), threading.Event()

    def slow(look):
        if look.record.number == 1:
            begun.set()
            go_on.wait(30)
        return make(look)

    row = PICTURES["queried"]
    monkeypatch.setitem(PICTURES, "queried", type(row)(**{**vars(row), "make": slow}))
    shown = []
    bench.inspector.events.overlay_shown.connect(
        lambda key, _: shown.append((key, bench.inspector.record.number))
    )
    bench.press("◀")
    bench.until(begun.is_set)
    bench.press("▶")
    bench.until(lambda: ("queried", 2) in shown)
    picture = bench.inspector.layers.picture("queried").copy()
    go_on.set()
    bench.until(lambda: not bench.project.requests.is_busy)
    QTest.qWait(50)  # the overtaken one has come in by now
    assert np.array_equal(bench.inspector.layers.picture("queried"), picture)
    assert shown.count(("queried", 2)) == 1


def test_another_round_and_at_once_another_image(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    images = bench.inspector.inspection.data.train
    other = images[images.index(bench.project.image) - 1]
    bench.press("◀")
    bench.dock.bar.images.setCurrentIndex(images.index(other))
    bench.until(lambda: bench.inspector.record.number == 1 and bench.project.image == other)
    expected = bench.expected("queried")
    bench.until(lambda: np.array_equal(bench.inspector.layers.picture("queried"), expected))
    assert bench.dock.bar._round.text() == "Round 1"


def test_a_block_lies_in_its_picture_and_a_click_goes_to_another(bench, tmp_path):
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "classes.json").write_text('[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]')
    picture = np.random.default_rng(0).integers(0, 250, (150, 200, 3)).astype(np.uint8)
    tifffile.imwrite(folder / "images" / "big.tif", picture, photometric="rgb")
    rules = DataFolder.open(folder, rules=ImageRules(block_px=64)).rules
    with Session.create(tmp_path / "p", project_config(folder, "bvsb", images=rules)) as session:
        session.prepare()
        for _ in range(4):
            session.submit(Answer(session.query(), (0,), ONE_CLICK))
        parts = {name: session.data.part(name) for name in session.data.train}
    layers = bench.open(tmp_path / "p").viewer.layers
    bench.until(lambda: picture_behind.NAME in layers)
    np.testing.assert_array_equal(layers[picture_behind.NAME].data, picture)
    first = bench.project.image
    names = ("Image", "Queried region", *(KINDS[key].name for key in bench.inspector.layers.shown))
    for name in [n for n in parts if n != first][:3]:
        camera = bench.inspector.layers.base.camera
        camera.napari.zoom, camera.napari.center = 2, (0, 75, 100)
        bench.click_pixel(*(np.add(parts[name].box[:2], parts[name].box[2:]) / 2))
        bench.until(lambda name=name: bench.project.image == bench.project._loaded_image == name)
        bench.until(lambda: len(bench.inspector.layers.shown) == 2)
        assert bench.dock.bar.images.currentText() == name
        bench.click_pixel(*np.add(parts[name].box[:2], 9))
        bench.until(lambda: bench.project.pixel_rc == (9, 9))
        bench.until(lambda: "Queried region" in layers)
        for layer in map(layers.__getitem__, names):
            offset = 0.5 * (layer.scale - 1)  # the outline is finer than the image
            np.testing.assert_allclose(layer.translate, parts[name].box[:2] + offset)
    assert bench.dock.tabs.currentIndex() == 1


def test_a_deleted_cache_is_made_again(bench, finished_run, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(finished_run("adaptive-superpixel"), bare)
    shutil.rmtree(bare / "cache")
    bench.open(bare)
    bench.switch("merged_counts")
    bench.until(lambda: "again" in bench.dock.overlays._reasons["merged_counts"].text())
    assert bench.dock.bar._stop.isVisible()
    bench.until(lambda: bench.inspector.layers.picture("merged_counts") is not None)
    bench.until(lambda: not bench.dock.bar._stop.isVisible())
    assert not (bare / "cache").exists()
    bench.press("◀")
    bench.until(lambda: "no model" in bench.dock.overlays._reasons["merged_counts"].text())


def test_making_again_can_be_stopped(bench, finished_run, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(finished_run("adaptive-superpixel"), bare)
    shutil.rmtree(bare / "cache")
    bench.open(bare)
    bench.switch("prediction")
    bench.until(bench.dock.bar._stop.isVisible)
    bench.press("Stop")
    bench.until(lambda: "in the cache" in bench.dock.overlays._reasons["prediction"].text())
    assert not bench.dock.bar._stop.isVisible()


def test_a_run_that_goes_on_is_followed(bench, tmp_path, data_path):
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(tmp_path / "live", project_config(data_path)) as session:
        answer_round(session, oracle)
        session.train()
        answer_round(session, oracle)
        open_dock(bench.viewer).opening.look(tmp_path / "live")  # in the way of a drop
        bench.until(lambda: find_inspect_dock(bench.viewer) is not None)
        bench.until(lambda: bench.inspector.record is not None)
        assert bench.inspector.record.number == 1
        assert viewers.find_workbench(bench.viewer).session is None
        bench.press("▶")
        bench.until(lambda: bench.inspector.record.number == 2)
        assert not bench.inspector.record.is_done
        session.train()
        bench.until(lambda: bench.inspector.record.number == 3)
        assert bench.dock.bar.slider.maximum() == 2


def test_classes_edited_meanwhile_are_taken_up(bench, tmp_path, data_path):
    """Added, renamed, recoloured and merged, and all of it taken back."""
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(tmp_path / "live", project_config(data_path)) as session:
        answer_round(session, oracle)
        session.train()
        bench.open(tmp_path / "live")
        bench.switch("prediction")
        bench.until(lambda: bench.inspector.layers.picture("prediction") is not None)
        bench.until(lambda: bench.inspector.record.number == 1)
        answer = next(
            a
            for a in bench.inspector.record.answers
            if a.query.region.image == bench.project.image and a.class_ids
        )
        asked = answer.class_ids[0]
        bench.project.pick(answer.query.region.mask.central_pixel())
        panel, legend = bench.dock.region, bench.dock.overlays._classes
        bench.until(lambda: session.config.classes[asked].name in panel.history.text())

        made_with = session.config.classes
        other = next(c.id for c in made_with if c.id != asked)
        classes = [
            info.model_copy(update={"name": "lawn", "color": "#123456"})
            if info.id == asked
            else info.model_copy(update={"merged_into": asked})
            if info.id == other
            else info
            for info in made_with
        ]
        session.edit_classes([*classes, ClassInfo(id=4, name="lamp", color="#ffff00")])
        bench.until(lambda: "lawn" in legend.text())
        assert "lamp" in legend.text()
        assert f"{made_with[other].name} → lawn" in legend.text()
        for key in ("prediction", "queried"):
            layer = bench.viewer.layers[KINDS[key].name]
            color = layer.colormap.color_dict[asked]
            assert np.allclose(color[:3], np.array([0x12, 0x34, 0x56]) / 255, atol=1e-3)
            assert "lawn" in list(layer.features["class"])
        bench.until(lambda: "lawn" in panel.history.text())

        session.undo()
        bench.until(lambda: "lawn" not in legend.text())
        assert "lamp" not in legend.text()
        bench.until(lambda: made_with[asked].name in panel.history.text())


def test_dropping_another_project_looks_at_that(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    bench.viewer.layers.clear()
    read = reader.get_reader(str(finished_run("a2lc")))
    assert read(str(finished_run("a2lc"))) == [(None,)]
    bench.until(lambda: bench.inspector.inspection.config.method.name == "a2lc")
    bench.until(lambda: bench.inspector.layers.picture("queried") is not None)
    assert viewers.find_workbench(bench.viewer) is None


def test_what_is_no_project_is_said_to_be_none(bench, tmp_path):
    inspect(bench.viewer, tmp_path)
    bench.until(lambda: "no project" in bench.dock.bar._message.text())


@pytest.fixture
def left_open(tmp_path, monkeypatch):
    """Return how many logs are open, and how many folders for what a cache lacks are there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def count() -> tuple[int, int]:
        files = [Path(file.path).name for file in psutil.Process().open_files()]
        return files.count("annotations.sqlite"), len(list(tmp_path.glob("napari-al-*")))

    return count


@pytest.mark.parametrize("meanwhile", ["another is opened", "the widget goes"])
def test_a_project_that_nobody_waits_for_any_more_is_closed(
    bench, finished_run, left_open, monkeypatch, meanwhile
):
    first, second = finished_run("adaptive-superpixel"), finished_run("a2lc")
    go_on, begun, opened = threading.Event(), threading.Event(), threading.Event()
    open_log = inspection.AnnotationLog

    def slow(path, **kwargs):
        if path.parent != first or begun.is_set():
            return open_log(path, **kwargs)
        begun.set()
        go_on.wait(30)
        log = open_log(path, **kwargs)
        opened.set()
        return log

    monkeypatch.setattr(inspection, "AnnotationLog", slow)
    n_before = left_open()
    inspect(bench.viewer, first)
    bench.until(begun.is_set)
    gc.collect()
    gc.disable()  # what is closed is not closed by chance
    try:
        if meanwhile == "another is opened":
            inspect(bench.viewer, second)
            bench.until(lambda: bench.inspector.record is not None)
        else:
            widget = bench.dock
            bench.viewer.window.remove_dock_widget(widget)
            with bench.qtbot.waitSignal(widget.destroyed):
                widget.deleteLater()
        go_on.set()
        bench.until(opened.is_set)
        if meanwhile == "another is opened":
            bench.inspector.close()
        bench.until(lambda: left_open() == n_before, seconds=20)
    finally:
        gc.enable()


def test_leaving_takes_everything_along(bench, finished_run):
    bench.open(finished_run("adaptive-superpixel"))
    bench.switch("merged_cells")
    bench.until(lambda: bench.inspector.layers.picture("merged_cells") is not None)
    n_callbacks = len(bench.viewer.mouse_drag_callbacks)
    dock, inspector = weakref.ref(bench.dock), weakref.ref(bench.inspector)
    folder = bench.inspector.inspection.own.cache
    n_removed = len(bench.viewer.layers.events.removed.callbacks)
    widget = bench.dock
    bench.viewer.window.remove_dock_widget(widget)
    with bench.qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()
    del widget
    bench.until(lambda: gc.collect() is not None and dock() is None and inspector() is None)
    assert not bench.viewer.layers
    assert len(bench.viewer.mouse_drag_callbacks) == n_callbacks - 1
    assert len(bench.viewer.layers.events.removed.callbacks) == n_removed - 1
    bench.until(lambda: not folder.exists())


@pytest.mark.parametrize("area", ["left", "right", "right, then left"])
def test_a_small_window_does_not_grow(bench, finished_run, area):
    dock = InspectDock(bench.viewer)
    bench.viewer.window.add_dock_widget(dock, name=INSPECT_NAME, area=area.partition(",")[0])
    bench.open(finished_run("a2lc"))
    assert bench.dock is dock
    if area == "right, then left":
        dock.window().addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock.parentWidget())
    window = dock.window()
    for index in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(index)
        bench.until(lambda: window.minimumSizeHint().height() <= 720 and dock.height() >= 400)
        assert (window.width(), window.height()) == (1280, 720)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_off_at_340_pixels(bench, finished_run, theme):
    bench.viewer.theme = theme
    bench.open(finished_run("a2lc"))
    bench.dock.resize(340, 600)
    for index in range(bench.dock.tabs.count()):
        page = bench.dock.tabs.widget(index).widget()
        assert page.minimumSizeHint().width() <= 340 - 2 * 8, bench.dock.tabs.tabText(index)


def test_importing_the_widget_loads_neither_torch_nor_cv2():
    code = (
        "import sys, napari_al.plugin.inspect.dock;"
        "assert not {'torch', 'cv2', 'skimage', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
