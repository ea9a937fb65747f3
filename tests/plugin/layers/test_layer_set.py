"""Removing layers while a layer of the user's own is drawn."""

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QOpenGLContext

from napari_al.plugin.layers.layer_kinds import NAMES


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
    layer = desk.viewer.layers[NAMES["prediction"]]
    assert not layer.visible
    desk.viewer.layers.remove(layer)  # and stays away, if that is wanted
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    assert NAMES["prediction"] not in desk.viewer.layers
