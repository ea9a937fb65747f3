"""The choice of channels on the View tab."""

import json
from functools import partial

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_al.errors import InputError
from napari_al.plugin.inspect.dock import find_inspect_dock, inspect
from napari_al.plugin.layers.channel_view import ChannelChoice
from napari_al.plugin.layers.channels_file import NAME, read_channels
from napari_al.plugin.layers.picture_store import displayed
from napari_al.session.session import Session


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
    assert box.choice.view[3] == (3, "yellow")
    until_shown(box.choice.view)
    box.shown.setCurrentIndex(box.shown.findData(2))
    assert box.choice.view == ((2, "grey"),)
    until_shown(box.choice.view)
    image = desk.query.region.image
    while desk.query.region.image == image:  # the next image is shown like this, too
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    until_shown(box.choice.view)


def test_the_choice_is_kept_with_the_project(open_session, four_channels):
    desk = open_session(data=four_channels, training={"segmenter": "filters"})
    box, project = desk.dock.annotate.view.channels, desk.session.project.path
    box._rows[0][0].click()
    box._rows[3][1].setCurrentIndex(box._rows[3][1].findData("cyan"))
    box.shown.setCurrentIndex(box.shown.findData(2))
    chosen = box.choice
    assert chosen == ChannelChoice(2, (False, True, True, False), ("red", "green", "blue", "cyan"))

    def open_again():
        desk.dock.bench.close()
        desk.dock.bench.open(Session.open(project, dispatch=desk.dock.bench.dispatch))
        desk.until_asked()
        data = desk.session.data
        pixels = data.image(desk.query.region.image)
        return partial(displayed, pixels, data.rules.ranges), desk.dock.bench.stage.layers

    show, layers = open_again()
    assert box.choice == chosen
    assert box._list.isHidden()
    np.testing.assert_array_equal(layers.get("image").data, show(((2, "grey"),)))
    box.shown.setCurrentIndex(0)
    show, layers = open_again()
    assert not box._list.isHidden()
    np.testing.assert_array_equal(layers.get("image").data, show(((1, "green"), (2, "blue"))))
    desk.dock.bench.close()
    inspect(desk.viewer, project)
    inspector = find_inspect_dock(desk.viewer).inspector
    desk.until(lambda: inspector.project and inspector.layers.base.get("image"))
    np.testing.assert_array_equal(
        inspector.layers.base.get("image").data,
        displayed(
            inspector.inspection.data.image(inspector.project.image),
            inspector.inspection.data.rules.ranges,
            ((1, "green"), (2, "blue")),
        ),
    )
    inspector.close()
    (project / NAME).write_text('{"in_grey": 4}')
    show, layers = open_again()
    assert "the channels are shown as in a new project" in desk.dock.annotate._message.text()
    np.testing.assert_array_equal(layers.get("image").data, show())


@pytest.mark.parametrize(
    ("in_grey", "n_channels", "colours"),
    [(3, 3, ["red"] * 3), (-1, 3, ["red"] * 3), (None, 2, ["red"] * 3), (0, 3, ["pink"] * 3)],
)
def test_a_choice_that_does_not_fit_is_not_used(tmp_path, in_grey, n_channels, colours):
    assert read_channels(tmp_path, 3) is None
    choice = {"in_grey": in_grey, "in_composite": [True] * n_channels, "colours": colours}
    (tmp_path / NAME).write_text(json.dumps(choice))
    with pytest.raises(InputError, match="cannot be used, so the channels are shown as in a new"):
        read_channels(tmp_path, 3)


def test_photographs_have_no_choice_of_channels(open_session):
    view = open_session().dock.annotate.view
    assert not view.channels.isVisibleTo(view)
