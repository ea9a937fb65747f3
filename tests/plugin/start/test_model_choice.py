"""Another network than the default one, chosen on the start page and trained in the window."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tiny_backbones import TINY, write_backbone

from napari_al.learning.networks.catalogue import SEGMENTERS
from napari_al.learning.weights import load_segmenter
from napari_al.session.project.folder import Project


def choose(desk, name, weights=""):
    model = desk.dock.start.model
    assert not model.isExpanded()
    model.expand(animate=False)
    model.segmenter.setCurrentText(name)
    assert SEGMENTERS[name].summary in model._summary.text()
    QTest.keyClicks(model.weights, weights)


def open_data(desk, data_path, project):
    desk.dock.start.folder_wanted.emit(data_path)
    desk.until(lambda: desk.dock.start.source is not None)
    desk.dock.start.project.setText(str(project))
    desk.dock.start._on_own_project()


@pytest.mark.parametrize("name", ["efficientnet-lite0-two-scales", "segformer-b0", "dinov2-small"])
def test_every_kind_of_network(desk, data_path, tmp_path, name):
    weights = str(write_backbone(name, tmp_path / "backbone")) if name in TINY else ""
    open_data(desk, data_path, tmp_path / "project")
    choose(desk, name, weights)
    start = desk.dock.start
    start.regions.size.setValue(0)
    small = {"steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1}
    chosen = start.choice()
    chosen.settings["training"] |= small
    start.start_wanted.emit(chosen)
    desk.until_asked()
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    desk.dock.annotate.tabs.setCurrentIndex(1)
    desk.press("Train now")
    desk.until(lambda: desk.session.model_round == 1)
    model = load_segmenter(tmp_path / "project" / "models" / "round_01.safetensors")
    assert model.name == name


def test_weights_that_are_not_here_are_said_before_anything_is_made(
    desk, data_path, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    open_data(desk, data_path, tmp_path / "project")
    choose(desk, "dinov2-small")
    desk.press("Start")
    desk.until(lambda: "napari-al download dinov2-small" in desk.dock.start._message.text())
    assert not (tmp_path / "project").exists()


def test_a_project_begun_in_a_window_learns_fast_unless_told_otherwise(desk, data_path, tmp_path):
    assert desk.dock.start.model.settings() == {}
    for name, settings in (
        ("efficientnet-lite0-two-scales", {}),
        ("compact", {"training": {"segmenter": "compact"}}),
    ):
        place = tmp_path / name
        desk.dock.opening.open(data_path, project=place, method="bvsb", settings=settings)
        desk.until(lambda place=place: (place / "config.json").exists())
        assert Project.open(place).read_config().training.segmenter == name


def test_what_does_not_apply_cannot_be_chosen(desk):
    model = desk.dock.start.model
    choose(desk, "compact")
    model.collapse(animate=False)
    assert not model.weights.isEnabled()
    assert model.settings() == {"segmenter": "compact"}
    choose(desk, "dinov2-small", "none")
    QTest.mouseClick(model.frozen, Qt.MouseButton.LeftButton)
    assert model.settings() == {"segmenter": "dinov2-small", "weights": "none", "frozen": True}


def test_what_a_command_sets_is_where_the_start_page_begins(desk, data_path, tmp_path):
    regions = {"n_per_image": 250}  # between two steps of the slider
    settings = {"budget": 7, "regions": regions, "training": {"segmenter": "compact", "steps": 3}}
    place = tmp_path / "project"
    desk.dock.opening.open(data_path, project=place, method=None, settings=settings)
    desk.until(lambda: desk.dock.start.source is not None)
    assert desk.dock.start.budget.value() == 7
    desk.press("Start")
    desk.until(lambda: desk.dock.bench.session is not None)
    config = Project.open(place).read_config()
    assert (config.budget, config.training.segmenter, config.training.steps) == (7, "compact", 3)
    assert config.regions.n_per_image == 250


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"training": {"segmenter": "compakt"}}, "compact"), ({"training": {"step": 3}}, "steps")],
)
def test_what_a_command_sets_wrongly_is_said(desk, data_path, settings, words):
    desk.dock.opening.open(data_path, project=None, method=None, settings=settings)
    desk.until(lambda: words in desk.dock.start._message.text())
