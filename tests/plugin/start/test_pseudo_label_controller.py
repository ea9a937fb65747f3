"""Initial labels made from the start page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scenes import write_data

from napari_al.formats.dataset import DataFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Desk


def open_box(desk: Desk) -> None:
    desk.dock.start.pseudo_labels.expand(animate=False)
    desk.until(lambda: desk.dock.start.pseudo_labels.make.height() > 0)


def fill_in(desk: Desk, data: Path, hub: Path, out: Path) -> None:
    maker = desk.dock.start.pseudo_labels
    assert maker.make.height() == 0
    desk.dock.opening.look(data)
    desk.until(lambda: desk.dock.start.source == data)
    open_box(desk)
    for line, words in (
        (maker.detector, hub / "dino"),
        (maker.mask_maker, hub / "sam"),
        (maker.folder, out),
    ):
        line.selectAll()
        QTest.keyClicks(line, str(words))


def test_labels_made_in_the_dock_can_be_corrected_at_once(
    desk: Desk, hub_folders: Path, tmp_path: Path
) -> None:
    data, out = write_data(tmp_path / "data", n_train=3), tmp_path / "labelled"
    fill_in(desk, data, hub_folders, out)
    start = desk.dock.start
    assert not start.question._questions["correction"].isEnabled()
    desk.press("Make")
    desk.until(lambda: start.source == out, seconds=120)
    assert DataFolder.open(out).has_initial_labels
    correction = start.question._questions["correction"]
    assert correction.isEnabled()
    assert "3 images have labels to correct" in start.pseudo_labels._state.text()
    QTest.mouseClick(correction, Qt.MouseButton.LeftButton)
    assert start.question.method.name == "a2lc"


def test_labels_made_by_a_trained_model_bring_their_classes(
    open_session: Callable[..., Desk], tmp_path: Path
) -> None:
    training = {"segmenter": "compact", "steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1}
    desk = open_session("bvsb", training=training)
    project, photos, out = desk.session.project.path, tmp_path / "photos", tmp_path / "labelled"
    desk.key(Qt.Key.Key_1)
    desk.session.train()
    shutil.copytree(desk.session.data.path / "train" / "images", photos)
    desk.dock.bench.close()
    desk.dock.opening.look(photos)
    desk.until(lambda: desk.dock.start.source == photos)
    desk.dock.start.class_list.set_classes(())
    open_box(desk)
    maker = desk.dock.start.pseudo_labels
    maker.by.setCurrentIndex(maker.by.findData("model"))
    assert not maker.detector.isVisibleTo(maker)
    desk.press("Make")
    assert "Choose the model first" in maker._state.text()
    QTest.keyClicks(maker.model, str(project))
    maker.folder.setText(str(out))
    desk.press("Make")
    desk.until(lambda: desk.dock.start.source == out, seconds=120)
    assert desk.dock.start.question._questions["correction"].isEnabled()
    assert desk.dock.start.class_list.n_classes == 4


def test_a_job_that_is_stopped_or_fails_says_so_and_goes_on(
    desk: Desk, hub_folders: Path, tmp_path: Path
) -> None:
    data, out = write_data(tmp_path / "data", n_train=2), tmp_path / "labelled"
    broken = shutil.copytree(hub_folders, tmp_path / "hub")
    (broken / "sam" / "config.json").write_text("{}")
    fill_in(desk, data, broken, out)
    maker = desk.dock.start.pseudo_labels
    desk.press("Make")
    assert not maker.make.isEnabled()
    desk.press("Stop")
    desk.until(maker.make.isEnabled)
    assert "stopped" in maker._state.text()
    desk.press("Make")
    desk.until(maker.make.isEnabled, seconds=120)
    assert "config.json" in maker._state.text()
    assert desk.dock.start.source == data


def test_the_class_names_are_needed(desk: Desk, data_path: Path, tmp_path: Path) -> None:
    images = shutil.copytree(data_path / "train" / "images", tmp_path / "images")
    desk.dock.opening.look(images)
    desk.until(lambda: desk.dock.start.source == images)
    open_box(desk)
    desk.press("Make")
    assert "two classes" in desk.dock.start.pseudo_labels._state.text()
