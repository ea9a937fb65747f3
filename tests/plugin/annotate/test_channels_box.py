"""The choice of channels on the View tab."""

import json

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_al.plugin.layers.picture_store import displayed


@pytest.fixture
def four_channels(tmp_path):
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(2):
        pixels = rng.integers(0, 4000, (4, 48, 64)).astype(np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", pixels, metadata={"axes": "CYX"}, ome=True)
    classes = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    (tmp_path / "data" / "classes.json").write_text(json.dumps(classes))
    return tmp_path / "data"


def test_channels_are_chosen_and_coloured(open_session, four_channels):
    desk = open_session(data=four_channels, training={"segmenter": "filters"})
    box = desk.dock.annotate.view.channels
    assert box.isVisibleTo(desk.dock.annotate.view)
    layer = desk.dock.bench.stage.layers.get("image")
    data = desk.session.data

    def until_shown(view):
        pixels = data.image(desk.query.region.image)
        expected = displayed(pixels, data.rules.ranges, view)
        desk.until(lambda: np.array_equal(layer.data, expected))

    until_shown(None)
    switch, colour = box._rows[3]
    assert [row[0].isChecked() for row in box._rows] == [True, True, True, False]
    QTest.mouseClick(switch, Qt.MouseButton.LeftButton)
    colour.setCurrentIndex(colour.findData("yellow"))
    assert box.view[3] == (3, "yellow")
    until_shown(box.view)
    box.shown.setCurrentIndex(box.shown.findData(2))
    assert box.view == ((2, "grey"),)
    until_shown(box.view)
    image = desk.query.region.image
    while desk.query.region.image == image:  # the next image is shown like this, too
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    until_shown(box.view)


def test_photographs_have_no_choice_of_channels(open_session):
    view = open_session().dock.annotate.view
    assert not view.channels.isVisibleTo(view)
