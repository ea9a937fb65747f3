"""Removing layers while a layer of the user's own is drawn."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QOpenGLContext

from napari_al.plugin.layers.highlight import CLEAR, DARK, DIM, LIGHT
from napari_al.plugin.layers.layer_kinds import NAMES, insert_layer
from napari_al.plugin.start.region_preview import PreviewedImage
from napari_al.plugin.widgets.main_thread import timer


def test_layers_are_deleted_in_the_opengl_context_of_the_canvas(open_session):
    desk = open_session()
    desk.viewer.add_image(np.zeros((48, 64)), name="mine")
    in_context = []

    def note(_):
        in_context.append(QOpenGLContext.currentContext() == desk.canvas.context())

    desk.viewer.layers.events.removed.connect(note)
    desk.canvas.doneCurrent()  # as after the window has been painted: the canvas is not current
    desk.dock.bench.close()
    assert len(in_context) >= 2
    assert all(in_context)
    assert [layer.name for layer in desk.viewer.layers] == ["mine"]


def test_the_layer_that_the_first_model_shows_itself_in_is_made_ahead(open_session):
    desk = open_session()
    desk.until(lambda: NAMES["prediction"] in desk.viewer.layers)
    layer = desk.viewer.layers[NAMES["prediction"]]
    assert not layer.visible
    desk.viewer.layers.remove(layer)  # and stays away, if that is wanted
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    assert NAMES["prediction"] not in desk.viewer.layers


@pytest.mark.parametrize("n_selected", [0, 1, 2])
def test_a_new_layer_leaves_the_selection_alone(desk, n_selected):
    """Nobody hears that napari selects it: showing its controls takes as long as all the rest."""
    layers = desk.viewer.layers
    for _ in range(3):
        layers.append(Image(np.zeros((4, 4))))
    selected = set(layers[:n_selected])
    layers.selection.clear()
    layers.selection.update(selected)
    active, told = layers.selection.active, []
    for event in (layers.selection.events.changed, layers.selection.events.active):
        event.connect(told.append)
    made = Image(np.zeros((4, 4)))
    insert_layer(desk.viewer, made, below=desk.viewer.layers[1:])
    assert layers[1] is made
    assert set(layers.selection) == selected
    assert layers.selection.active is active
    assert not told
    layers.selection.active = made
    assert told[-1].value is made


def test_another_brightness_needs_no_other_colours(open_session):
    """Another colormap makes napari build its shaders anew, at each image that is shown."""
    desk = open_session()
    layers = desk.dock.bench.stage.layers
    query, image = (desk.viewer.layers[NAMES[kind]] for kind in ("query", "image"))
    colors, seen = query.colormap, []
    desk.until(query.data.any)
    for value in (250, 0):
        layers.show("image", np.full_like(image.data, value))
        layers.refit()
        seen.append(set(np.unique(query.data)) - {CLEAR, LIGHT, DARK})
    assert seen == [{DIM}, {DARK + 1}]
    assert query.colormap is colors


def test_layers_are_made_one_at_a_time(desk, open_session):
    """napari takes 0.1 s and more for each: the window is alive in between."""
    made, turns = [], []
    every_turn = timer(1, lambda: turns.append(None), repeat=True)
    every_turn.start()
    desk.viewer.layers.events.inserted.connect(lambda e: made.append((e.value.name, len(turns))))
    open_session()
    desk.until(lambda: len(made) == 3)
    desk.dock.bench.close()
    other = PreviewedImage("other", lambda: np.zeros((64, 64, 3), np.uint8))
    desk.dock.opening.preview.show(other, "slic", 9)
    desk.until(lambda: len(made) == 5)
    every_turn.stop()
    kinds = ("image", "query", "prediction", "image", "borders")
    assert [name for name, _ in made] == [NAMES[kind] for kind in kinds]
    assert len({turn for _, turn in made}) == 5
