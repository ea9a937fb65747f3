"""The user's own layers while a session is open: our keys answer, and never change their mode."""

import numpy as np
from qtpy.QtCore import Qt


def test_class_keys_answer_and_leave_the_users_layers_alone(open_session):
    desk = open_session("classbal", budget=100)
    shape = (48, 64)
    labels = desk.viewer.add_labels(np.ones(shape, int), name="mine")
    points = desk.viewer.add_points(np.array([[5, 5]]), name="spots")
    shapes = desk.viewer.add_shapes(ndim=2, name="outlines")
    keys = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_1)
    layers = (labels, points, shapes, labels)
    for n, (layer, key) in enumerate(zip(layers, keys, strict=True), start=1):
        desk.viewer.layers.selection.active = layer
        desk.key(key)
        desk.until_asked()
        assert layer.mode == "pan_zoom"
        assert len(desk.session.answers()) == n
    desk.dock.bench.close()
    assert labels.data.min() == 1
