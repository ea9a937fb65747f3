"""Blocks lie where they are in their picture, which is seen behind; stacks have sliders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.layers.picture_behind import NAME
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Desk

SETTINGS = {
    "budget": 6,
    "regions": {"n_per_image": 12},
    "training": {"steps": 2, "segmenter": "filters", "members": 1, "threads": 1},
    "images": {"block_px": 64},
}


def open_folder(desk: Desk, path: Path, pixels: np.ndarray, axes: str) -> None:
    (path / "images").mkdir(parents=True)
    (path / "classes.json").write_text(json.dumps([{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]))
    how = {"metadata": {"axes": axes}, "photometric": "rgb" if "S" in axes else "minisblack"}
    tifffile.imwrite(path / "images" / "big.tif", pixels, **how)
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
