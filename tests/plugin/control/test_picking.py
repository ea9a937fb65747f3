"""A region that is clicked in the image is answered like one that was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk

    from napari_al.methods.queries import Query

CTRL = Qt.KeyboardModifier.ControlModifier


def _point(desk: Desk, pixel_rc: tuple[int, int]) -> QPoint:
    """Where a pixel of the image is on the canvas."""
    camera, size = desk.viewer.scene.camera, desk.viewer.canvas.size
    y = (pixel_rc[0] - camera.center[1]) * camera.zoom + size[0] / 2
    x = (pixel_rc[1] - camera.center[2]) * camera.zoom + size[1] / 2
    return QPoint(round(x), round(y))


def _click(desk: Desk, pixel_rc: tuple[int, int]) -> None:
    point = _point(desk, pixel_rc)
    QTest.mouseMove(desk.canvas, point)
    QTest.mouseClick(desk.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    QApplication.processEvents()


def _view(desk: Desk) -> tuple[float, ...]:
    camera = desk.viewer.scene.camera
    return (camera.zoom, *camera.center)


@pytest.fixture
def looking(open_session: Callable[..., Desk]) -> Desk:
    """The whole image is seen, with the prediction."""
    desk = open_session(budget=50)
    desk.key(Qt.Key.Key_P)
    desk.key(Qt.Key.Key_W)
    return desk


def _others(desk: Desk) -> list[Query]:
    """Open queries of the image on screen, the one asked left out."""
    image, asked = desk.dock.bench.stage.image, desk.query.region
    coming = desk.session.upcoming(1000)
    return [q for q in coming if q.region.image == image and q.region != asked]


def test_any_region_is_clicked_answered_and_changed(looking: Desk) -> None:
    desk, page = looking, looking.dock.annotate
    asked, view = desk.query, _view(looking)
    first, second = _others(desk)[:2]
    _click(desk, first.region.mask.central_pixel())
    assert (desk.query.region, desk.query.source) == (first.region, "picked")
    assert _view(desk) == view
    desk.key(Qt.Key.Key_2)
    (answer,) = desk.session.answers()
    assert (answer.query.region, answer.class_ids) == (first.region, (1,))
    assert answer.query.source == "picked"
    assert answer.clicks.total == desk.session.clicks_in_round == 1
    assert desk.query.region == first.region  # it stays selected, to be changed
    assert "Changing your answer" in page._question.text()
    desk.key(Qt.Key.Key_3)
    assert [a.class_ids for a in desk.session.answers()] == [(2,)]

    _click(desk, second.region.mask.central_pixel())
    desk.key(Qt.Key.Key_4)
    assert [a.class_ids for a in desk.session.answers()] == [(2,), (3,)]
    _click(desk, first.region.mask.central_pixel())  # an answered one
    assert desk.query.region == first.region
    assert _view(desk) == view
    desk.key(Qt.Key.Key_Escape)
    desk.until_asked()
    assert desk.query == asked


def test_an_answer_to_a_clicked_region_is_undone_like_any_other(looking: Desk) -> None:
    desk = looking
    (picked, *_) = _others(desk)
    _click(desk, picked.region.mask.central_pixel())
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == 1
    desk.key(Qt.Key.Key_Z, CTRL)
    assert desk.session.answers() == ()
    assert desk.query.region == picked.region


def test_a_drag_moves_the_view_and_picks_nothing(looking: Desk) -> None:
    desk, asked = looking, looking.query
    start = _point(desk, _others(desk)[0].region.mask.central_pixel())
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(desk.canvas, left, Qt.KeyboardModifier.NoModifier, start)
    for step in (10, 20, 30):
        QTest.mouseMove(desk.canvas, start + QPoint(step, step))
        QApplication.processEvents()
    QTest.mouseRelease(desk.canvas, left, Qt.KeyboardModifier.NoModifier, start + QPoint(30, 30))
    QApplication.processEvents()
    assert desk.query == asked


def test_without_the_prediction_a_click_picks_nothing(looking: Desk) -> None:
    desk, asked = looking, looking.query
    desk.key(Qt.Key.Key_P)
    _click(desk, _others(desk)[0].region.mask.central_pixel())
    assert desk.query == asked


def test_a_click_that_paints_in_a_layer_of_the_users_picks_nothing(looking: Desk) -> None:
    desk, asked = looking, looking.query
    other = _others(desk)[0].region.mask.central_pixel()
    labels = desk.viewer.add_labels(desk.session.region_map(asked.region.image) * 0)
    labels.mode = "paint"
    _click(desk, other)
    assert desk.query == asked
    assert labels.data.any()
