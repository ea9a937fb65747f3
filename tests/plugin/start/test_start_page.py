"""Which settings the start page begins with."""

import shutil

import numpy as np
import pytest
from qtpy.QtWidgets import QScrollArea, QWidget
from scenes import write_data, write_initial

from napari_al.formats.dataset import DataFolder
from napari_al.methods.table import METHODS
from napari_al.plugin.dock import MIN_WIDTH_PX
from napari_al.plugin.preferences import Preferences
from napari_al.plugin.start.new_session import FolderContents
from napari_al.session.project.settings import make_config


@pytest.mark.parametrize(
    ("given", "budget", "first_training"),
    [({}, 70, 20), ({"budget": 9, "first_training": 4}, 9, 4)],
)
def test_preferences_hold_where_no_setting_is_given(
    desk, data_path, tmp_path, given, budget, first_training
):
    page, data = desk.dock.start, DataFolder.open(data_path)
    page.set_preferences(Preferences(budget=70, first_training=20, device="cpu"))
    page.show_found(FolderContents(data_path, data=data))
    page.preset(tmp_path / "p", make_config(data, given, "bvsb"), given)
    assert page.budget.value() == budget
    chosen = page.choice().settings
    assert (chosen["first_training"], chosen["validate_every"]) == (first_training, 5)
    assert chosen["training"]["device"] == page.device == "cpu"
    page.retrain_after.setValue(0)
    assert page.choice().settings["validate_every"] == 1  # by rounds each model is measured


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [
        ("bvsb", {}, 20),
        ("bvsb", {"retrain_after": 7}, 7),
        ("bvsb", {"retrain_after": None}, None),
        ("a2lc", {}, None),
    ],
)
def test_the_window_trains_live_unless_corrections_are_reviewed(
    desk, data_path, tmp_path, method, given, expected
):
    page, data = desk.dock.start, DataFolder.open(data_path)
    page.set_preferences(Preferences())
    page.show_found(FolderContents(data_path, data=data))
    page.preset(tmp_path / "p", make_config(data, given, method), given)
    assert page.choice().settings["retrain_after"] == expected
    assert page.choice().settings["acquisition"]["random_share"] == 0.05
    assert page.retrain_after.isVisibleTo(page) == (method == "bvsb")


def test_preferences_are_settings_of_a_project(data_path):
    data = DataFolder.open(data_path)
    for method, retrain_after in (("bvsb", 20), ("a2lc", None)):
        config = make_config(data, Preferences().settings(METHODS[method]), method)
        assert (config.budget, config.first_training) == (100, 30)
        assert config.retrain_after == retrain_after
        assert config.acquisition.random_share == 0.05
    by_rounds = Preferences(retrain_after=0).settings(METHODS["bvsb"])
    assert by_rounds["retrain_after"] is None


@pytest.mark.smoke  # fonts and margins differ between the bindings
@pytest.mark.parametrize("in_viewer", [True, False])
def test_nothing_is_cut_off_beside_the_scroll_bar(desk, in_viewer):
    page = desk.dock.start
    if in_viewer:
        desk.viewer.add_image(np.zeros((3, 20, 30)))
        desk.until(lambda: page.sources.as_channels.isVisibleTo(page))
    for box in (page.existing_labels, page.pseudo_labels, page.model):
        box.expand(animate=False)
    for maker in ("names", "model"):
        page.pseudo_labels.by.setCurrentIndex(page.pseudo_labels.by.findData(maker))
        area = next(
            a for a in page.findChildren(QScrollArea) if page.regions in a.findChildren(QWidget)
        )
        assert area.widget().minimumSizeHint().width() <= MIN_WIDTH_PX - 20


def test_what_a_greyed_choice_needs_is_on_screen(desk, tmp_path):
    page = desk.dock.start
    question, maker = page.question, page.pseudo_labels
    assert not question._questions["correction"].isEnabled()
    assert "train/initial_labels" in question._needs.text()
    assert question._needs.isVisibleTo(page)
    maker.expand(animate=False)
    assert not maker.make.isEnabled()
    assert maker._needs.isVisibleTo(page)
    page.model.expand(animate=False)
    page.model.segmenter.setCurrentText("filters")
    assert not page.model.weights.isEnabled()
    assert "it has no weights" in page.model._summary.text()

    folder = write_initial(write_data(tmp_path / "corrected"))
    shutil.rmtree(folder / "train" / "masks")
    page.show_found(FolderContents(folder, data=DataFolder.open(folder)))
    assert question._questions["correction"].isEnabled()
    assert not question._needs.isVisibleTo(page)
    assert maker.make.isEnabled()
    assert not maker._needs.isVisibleTo(page)


def test_a_slider_that_comes_to_rest_does_not_hide_what_was_said_since(desk, data_path, qtbot):
    page = desk.dock.start
    desk.dock.start.folder_wanted.emit(data_path)
    desk.until(lambda: page.source is not None)
    page.show_message("before")
    with qtbot.waitSignal(page.regions.changed):
        page.regions.size.setValue(page.regions.size.value() + 1)
        assert page._message.text() == ""
        page.show_message("since")
    assert page._message.text() == "since"
