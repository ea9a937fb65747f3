"""Which regions the start page chooses, and that the project gets them."""

import pytest

from napari_al.core.opencv import cv2
from napari_al.formats.dataset import DataFolder
from napari_al.methods.table import RECOMMENDED
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import make_config


def open_data(desk, data_path):
    desk.dock.start.folder_wanted.emit(data_path)
    desk.until(lambda: desk.dock.start.source is not None)
    return desk.dock.start


def choose(box, kind):
    box.superpixels.setCurrentIndex(box.superpixels.findData(kind))


def test_slic_is_previewed_and_asked_about_without_contrib(desk, data_path, tmp_path, monkeypatch):
    monkeypatch.delattr(cv2, "ximgproc")
    start = open_data(desk, data_path)
    desk.until(lambda: "method.regions=slic" in start._message.text())
    choose(start.regions, "slic")
    desk.until(lambda: "pixels" in start.regions._text.text())
    assert start._message.text() == ""
    start.project.setText(str(tmp_path / "project"))
    start._on_own_project()
    desk.press("Start")
    desk.until_asked()
    method = Project.open(tmp_path / "project").read_config().method
    assert (method.name, method.regions) == (RECOMMENDED["dominant"], "slic")


@pytest.mark.parametrize(
    ("settings", "regions"),
    [
        ({}, "seeds"),
        ({"method": {"regions": "slic"}}, "slic"),
        ({"method": {"regions": "grid"}}, "grid"),
    ],
)
def test_the_regions_that_a_command_set_are_kept(desk, data_path, settings, regions):
    start = open_data(desk, data_path)
    start.preset(None, make_config(DataFolder.open(data_path), settings, "classbal"), settings)
    assert start.regions.regions == regions
    assert start.choice().settings["method"] == {"regions": regions}
    assert start.regions.superpixels.isVisibleTo(start) == (regions != "grid")


def test_a_method_of_squares_has_no_choice_of_superpixels(desk, data_path):
    start = open_data(desk, data_path)
    choose(start.regions, "slic")
    start.question._questions["precise"].setChecked(True)
    assert start.regions.regions == "grid"
    assert not start.regions.superpixels.isVisibleTo(start)
    start.question._questions["multi-class"].setChecked(True)
    assert start.regions.regions == "slic"
