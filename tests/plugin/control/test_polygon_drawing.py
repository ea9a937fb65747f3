"""Polygons of a precise answer: what is stored is what napari shows, in the order shown."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Shapes

from napari_al.core.geometry.masks import Mask
from napari_al.formats.classes import default_classes
from napari_al.methods.queries import Query, Region
from napari_al.plugin.control.polygon_drawing import PolygonEditor

CLASSES = default_classes(["sky", "ground", "ball"])
BOX = Mask.from_array(np.ones((40, 40), bool), (0, 0))
QUERY = Query(Region("a", (0,), BOX), "precise", 0.0, 1, 0)


def square(row, col, side=8):
    return np.array([(row, col), (row, col + side), (row + side, col + side), (row + side, col)])


@pytest.fixture
def editor():
    return PolygonEditor(Shapes(ndim=2), SimpleNamespace(px=1.0), QUERY, CLASSES)


def draw(editor, class_id, corners):
    editor.choose(class_id)
    editor._layer.add_polygons([corners])


def stored(editor):
    """Class and upper left corner of each piece."""
    return [(piece.class_id, piece.mask.box[:2]) for piece in editor.pieces()[0]]


def test_classes_follow_a_deleted_polygon(editor):
    for class_id, place in enumerate(((2, 2), (2, 20), (20, 2))):
        draw(editor, class_id, square(*place))
    editor._layer.selected_data = {0}
    editor._layer.remove_selected()
    assert stored(editor) == [(1, (2, 20)), (2, (20, 2))]


def test_a_pasted_polygon_has_the_class_of_its_source(editor):
    draw(editor, 1, square(2, 2))
    draw(editor, 2, square(20, 20))
    editor._layer.selected_data = {0}
    editor._layer._copy_data()
    editor._layer._paste_data()
    assert [class_id for _, class_id in editor._shapes()] == [1, 2, 1]


def test_what_lies_on_top_is_stored(editor):
    draw(editor, 1, square(2, 2))
    draw(editor, 2, square(0, 0, 20))
    assert stored(editor) == [(2, (0, 0))]
    assert editor.hidden() == ("ground",)
    editor._layer.selected_data = {0}
    editor._layer.move_to_front()
    assert sorted(stored(editor)) == [(1, (2, 2)), (2, (0, 0))]
    assert editor.hidden() == ()
    assert list(editor.drawing.class_ids) == [2, 1]


def test_polygons_drawn_before_a_class_was_chosen_get_the_first_one(editor):
    editor._layer.add_polygons([square(2, 2)])
    assert editor.pieces()[0] == ()
    editor.choose(2)
    draw(editor, 0, square(20, 20))
    assert [class_id for class_id, _ in stored(editor)] == [2, 0]


def test_an_ellipse_is_stored_as_it_is_shown(editor):
    editor.choose(1)
    editor._layer.add_ellipses([square(4, 4, 20)])
    (piece,) = editor.pieces()[0]
    assert piece.mask.size == pytest.approx(np.pi * 10**2, rel=0.05)


def test_merged_classes_and_a_drawing_that_comes_back(editor):
    draw(editor, 1, square(2, 2))
    draw(editor, 2, square(20, 20))
    drawing = editor.drawing
    again = PolygonEditor(Shapes(ndim=2), SimpleNamespace(px=1.0), QUERY, CLASSES, drawing)
    assert stored(again) == stored(editor)
    merged = (*CLASSES[:2], CLASSES[2].model_copy(update={"merged_into": 0}))
    again.set_classes(merged)
    assert [class_id for class_id, _ in stored(again)] == [1, 0]
