"""Blocks lie where they are in their picture, which is seen behind; stacks have sliders."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.layers.picture_behind import NAME
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from conftest import Desk

SETTINGS = {
    "budget": 6,
    "regions": {"n_per_image": 12},
    "training": {"steps": 2, "segmenter": "filters", "members": 1, "threads": 1},
    "images": {"block_px": 64},
}


def write_folder(path: Path, pixels: np.ndarray, axes: str) -> None:
    (path / "images").mkdir(parents=True)
    (path / "classes.json").write_text(json.dumps([{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]))
    how = {"metadata": {"axes": axes}, "photometric": "rgb" if "S" in axes else "minisblack"}
    tifffile.imwrite(path / "images" / "big.tif", pixels, **how)


def open_folder(desk: Desk, path: Path, pixels: np.ndarray, axes: str) -> None:
    write_folder(path, pixels, axes)
    data = DataFolder.open(path, rules=ImageRules(block_px=64), check_labels=False)
    config = make_config(data, SETTINGS, "bvsb")
    session = Session.create(path.with_name("project"), config, dispatch=desk.dock.bench.dispatch)
    session.prepare()
    desk.dock.bench.open(session)
    desk.until_asked()


def test_a_block_lies_in_its_picture(desk: Desk, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 250, (150, 200, 3)).astype(np.uint8)
    open_folder(desk, tmp_path / "data", picture, "YXS")
    desk.until(lambda: NAME in desk.viewer.layers)
    layers = desk.viewer.layers
    behind = layers[NAME]
    np.testing.assert_array_equal(behind.data, picture)
    assert layers.index(behind) == 0
    seen = set()
    for query in desk.session.upcoming(12):
        desk.dock.bench.opened.queries.go_to(query)
        desk.until(lambda image=query.region.image: desk.dock.bench.stage.image == image)
        part = desk.session.data.part(query.region.image)
        assert part is not None
        seen.add(part.box)
        image = layers[NAMES["image"]]
        assert tuple(image.translate) == part.box[:2]
        np.testing.assert_array_equal(image.data, picture[part.rows, part.cols])
        row, col = query.region.mask.central_pixel()
        place = (part.box[0] + row, part.box[1] + col)
        assert image.get_value(place, world=True) is not None
        centre = desk.viewer.scene.camera.center[1:]
        assert np.hypot(*(np.array(centre) - place)) < 64
        assert layers[NAME] is behind
    assert len(seen) > 1
    layers.remove(behind)
    desk.dock.bench.close()
    assert NAME not in layers


def click(desk: Desk, place: tuple[float, float]) -> None:
    """Click a place in the world."""
    camera, size = desk.viewer.scene.camera, desk.viewer.canvas.size
    y, x = (
        (at - centre) * camera.zoom + screen / 2
        for at, centre, screen in zip(place, camera.center[1:], size, strict=True)
    )
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseMove(desk.canvas, QPoint(round(x), round(y)))
    QTest.mouseClick(desk.canvas, left, none, QPoint(round(x), round(y)))
    QApplication.processEvents()


def test_the_picture_behind_waits_for_a_turn_of_its_own(desk: Desk, tmp_path: Path) -> None:
    """napari takes 0.1 s for a layer, and a question's are made when the picture has been read."""
    write_folder(tmp_path, np.zeros((150, 200, 3), np.uint8), "YXS")
    data = DataFolder.open(tmp_path, rules=ImageRules(block_px=64), check_labels=False)
    reads_at_once = SimpleNamespace(
        drop=lambda _: None, request=lambda _, read, then, __: then(read())
    )
    layers = desk.dock.bench.layers
    layers.behind.put(data, data.train[0], layers.placement, reads_at_once)
    assert NAME not in desk.viewer.layers
    desk.until(lambda: NAME in desk.viewer.layers)


def test_a_click_on_another_block_goes_there(desk: Desk, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 250, (150, 200)).astype(np.uint8)
    open_folder(desk, tmp_path / "data", picture, "YX")
    bench, camera = desk.dock.bench, desk.viewer.scene.camera
    bench.opened.queries.stay_in("big@y000x000")
    desk.until(lambda: bench.stage.image == "big@y000x000")
    desk.until(lambda: NAME in desk.viewer.layers)
    assert "alone" in desk.dock.annotate.images._where.text()
    camera.zoom, camera.center = 3, (0, 75, 100)
    for outside in ((-9, 20), (20, -9), (170, 20), (20, 210)):
        click(desk, outside)
        assert bench.stage.image == "big@y000x000", "there is no block"
    click(desk, (100, 150))
    desk.until(lambda: bench.stage.image == "big@y064x128")
    assert desk.query.region.image == "big@y064x128"
    assert "Asking in big@y064x128" in desk.dock.annotate.images._where.text()
    camera.zoom, camera.center = 3, (0, 75, 100)
    click(desk, (30, 100))
    desk.until(lambda: bench.stage.image == "big@y000x064")
    desk.key(Qt.Key.Key_Escape)
    assert "all images" in desk.dock.annotate.images._where.text()


def test_a_block_that_is_not_scored_yet_is_waited_for(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_folder(desk, tmp_path / "data", np.eye(150, dtype=np.uint8)[:, :140], "YX")
    session, queries = desk.session, desk.dock.bench.opened.queries
    is_scored, other = type(session).is_scored, "big@y064x064"
    with monkeypatch.context() as patch:
        patch.setattr(type(session), "query_in", lambda *_: None)
        patch.setattr(type(session), "is_scored", lambda s, name: name != other)
        patch.setattr(type(session), "is_busy", True)
        queries.stay_in(other)
        assert (desk.dock.bench.query, queries.pause) == (None, "scoring")
    assert is_scored(session, other)
    session.events.scores_changed.emit()
    assert desk.query.region.image == other


def test_the_picture_behind_stays_hidden_and_is_the_right_one_when_it_is_shown(
    desk: Desk, tmp_path: Path
) -> None:
    stack = np.random.default_rng(0).integers(0, 250, (2, 150, 140)).astype(np.uint8)
    open_folder(desk, tmp_path / "data", stack, "ZYX")
    desk.until(lambda: NAME in desk.viewer.layers)
    plane = desk.session.data.part(desk.query.region.image).plane[0]
    behind = desk.viewer.layers[NAME]
    np.testing.assert_array_equal(behind.data, stack[plane])
    behind.visible = False
    desk.viewer.dims.set_current_step(0, 1 - plane)
    desk.until(lambda: desk.dock.bench.stage.image.startswith(f"big@z{1 - plane}"))
    assert not desk.viewer.layers[NAME].visible
    desk.viewer.layers[NAME].visible = True
    desk.until(lambda: (desk.viewer.layers[NAME].data == stack[1 - plane]).all())


def test_the_preview_shows_a_block_where_it_lies_and_hands_its_picture_on(
    desk: Desk, tmp_path: Path
) -> None:
    picture = np.random.default_rng(0).integers(0, 60000, (150, 200)).astype(np.uint16)
    path = tmp_path / "data"
    write_folder(path, picture, "YX")
    start, layers = desk.dock.start, desk.viewer.layers
    desk.dock.opening.open(path, project=tmp_path / "project", method=None, settings=SETTINGS)
    desk.until(lambda: NAME in layers and NAMES["borders"] in layers)
    data = DataFolder.open(path, rules=ImageRules(block_px=64))
    for part in map(data.part, data.train):
        desk.until(lambda box=part.box: tuple(layers[NAMES["image"]].translate) == box[:2])
        image = layers[NAMES["image"]]
        np.testing.assert_array_equal(image.data, picture[part.rows, part.cols])
        assert tuple(layers[NAMES["borders"]].translate) == part.box[:2]
        assert image.contrast_limits == layers[NAME].contrast_limits
        centre = np.array(desk.viewer.scene.camera.center[1:])
        assert np.abs(centre - np.add(part.box[:2], part.box[2:]) / 2).max() <= 1
        start.regions._other_image()
    behind = layers[NAME]
    np.testing.assert_array_equal(behind.data, picture)
    start.model.segmenter.setCurrentIndex(start.model.segmenter.findData("filters"))
    desk.press("Start")
    desk.until_asked()
    assert layers[NAME] is behind
    assert (
        tuple(layers[NAMES["image"]].translate)
        == desk.session.data.part(desk.query.region.image).box[:2]
    )


def test_a_stack_of_a_folder_has_a_slider(desk: Desk, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 60000, (5, 40, 50)).astype(np.uint16)
    open_folder(desk, tmp_path / "data", stack, "ZYX")
    dims = desk.viewer.dims
    assert (dims.ndim, dims.axis_labels[0]) == (3, "z")
    asked = desk.session.data.part(desk.query.region.image).plane[0]
    assert dims.current_step[0] == asked
    image = desk.viewer.layers[NAMES["image"]]
    np.testing.assert_array_equal(image.data, stack[asked])
    other = (asked + 2) % 5
    dims.set_current_step(0, other)
    desk.until(lambda: (image.data == stack[other]).all())
    desk.dock.bench.opened.display.focus()
    desk.until(lambda: dims.current_step[0] == asked)
    assert NAME not in desk.viewer.layers
    desk.dock.bench.close()
    assert len(desk.viewer.layers) == 0
