"""The list of images: going to one, asking in it, accepting what is predicted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_al.plugin.annotate.images_panel import ImagesPanel, about, in_order
from napari_al.session.pool.images import ImageProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk

IMAGES = 5
TRAINING = {"steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1}
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def desk_on_images(open_session: Callable[..., Desk]) -> Desk:
    desk = open_session(budget=50)
    desk.dock.annotate.tabs.setCurrentIndex(IMAGES)
    desk.until(lambda: desk.dock.annotate.images.model.images)
    return desk


def _click_image(desk: Desk, name: str) -> None:
    panel = desk.dock.annotate.images
    row = [image.image for image in panel.model.images].index(name)
    index = panel.model.index(row)
    panel.list.scrollTo(index)
    place = panel.list.visualRect(index).center()
    QTest.mouseClick(
        panel.list.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        place,
    )
    QApplication.processEvents()


def test_orders() -> None:
    images = [
        ImageProgress("b", 10, 5, 0.2),
        ImageProgress("a", 10, 0, 0.1),
        ImageProgress("c", 10, 0, 0.3),
    ]
    assert [i.image for i in in_order(images, "score")] == ["c", "b", "a"]
    assert [i.image for i in in_order(images, "share")] == ["a", "c", "b"]
    assert [i.image for i in in_order(images, "name")] == ["a", "b", "c"]
    assert about(images[0]) == "50% answered · score 0.20"
    assert about(ImageProgress("a", 10, 1, None)) == "10% answered"
    without_labels = ImageProgress("a", 0, 0, None)
    assert about(without_labels) == "nothing to ask"
    assert in_order([without_labels, *images], "share")[-1] == without_labels


def test_questions_come_from_a_clicked_image_until_it_is_left(desk_on_images: Desk) -> None:
    desk, panel = desk_on_images, desk_on_images.dock.annotate.images
    first = desk.query
    image = next(n for n in desk.session.data.train if n != first.region.image)
    _click_image(desk, image)
    desk.until_asked()
    assert desk.query.region.image == image
    assert f"Asking in {image} alone" in panel._where.text()
    for _ in range(3):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
        assert desk.query.region.image == image
    assert [a.query.region.image for a in desk.session.answers()] == [image] * 3
    coming = desk.session.upcoming(4, image)
    assert coming[0] == desk.query
    assert {query.region.image for query in coming} == {image}
    shown = []
    desk.dock.bench.events.upcoming_changed.connect(shown.append)
    desk.dock.bench.opened.updates.schedule()
    desk.until(lambda: shown)
    assert {query.region.image for query in shown[-1]} == {image}, "the Queue tab shows the same"
    desk.until(lambda: {i.image: i.n_answered for i in panel.model.images}[image] == 3)
    desk.key(Qt.Key.Key_Escape)
    desk.until_asked()
    assert desk.query == first
    assert not panel.leave.isVisible()


def test_an_image_that_is_all_answered_stays_on_screen(desk_on_images: Desk) -> None:
    desk, page = desk_on_images, desk_on_images.dock.annotate
    image = desk.session.data.train[0]
    _click_image(desk, image)
    desk.until_asked()
    while desk.dock.bench.query is not None:
        desk.key(Qt.Key.Key_2)
    assert desk.dock.bench.pause == "complete"
    assert "Every region of this image has an answer" in page._question.text()
    assert desk.dock.bench.stage.image == image
    desk.press("Ask in all images")
    desk.until_asked()
    assert desk.query.region.image != image


def test_thumbnails_come_when_rows_are_seen(desk_on_images: Desk) -> None:
    desk, model = desk_on_images, desk_on_images.dock.annotate.images.model
    name = model.images[0].image
    desk.until(lambda: desk.dock.bench.stage.thumbnail_of(name) is not None)
    desk.until(lambda: name in model._icons)
    assert desk.dock.bench.stage.thumbnail_of(name).shape == (48, 64, 3)


def test_the_rest_of_an_image_is_accepted_at_once(open_session: Callable[..., Desk]) -> None:
    desk = open_session(training={"segmenter": "compact", **TRAINING}, budget=3)
    for _ in range(3):
        desk.key(Qt.Key.Key_1)
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.until_asked()
    desk.dock.annotate.tabs.setCurrentIndex(IMAGES)
    image, bench = desk.query.region.image, desk.dock.bench
    n_open = sum(q.region.image == image for q in desk.session.upcoming(1000))
    told = []
    bench.events.told.connect(told.append)
    desk.press("Accept the rest as predicted")
    assert bench.pause == "accepting"
    bench.opened.queries.undo()  # nothing is taken back meanwhile
    assert len(desk.session.answers()) == 3
    desk.until_asked()
    answers = desk.session.answers()[3:]
    assert len(answers) == n_open
    assert {a.query.source for a in answers} == {"accepted"}
    assert desk.session.clicks_in_round == 1
    assert f"{n_open} regions answered as predicted, for one click" in told[-1]
    assert desk.query.region.image != image
    asked = desk.query
    desk.key(Qt.Key.Key_Z, CTRL)
    desk.until_asked()
    assert len(desk.session.answers()) == 3
    assert desk.session.clicks_in_round == 0
    assert desk.query.source != "accepted"
    assert desk.query.region.image in (image, asked.region.image)


def test_before_a_model_there_is_nothing_to_accept(desk_on_images: Desk) -> None:
    desk = desk_on_images
    asked, told = desk.query, []
    desk.dock.bench.events.told.connect(told.append)
    desk.press("Accept the rest as predicted")
    desk.until_asked()
    assert "no prediction" in told[0]
    assert desk.query == asked


def test_queries_for_several_classes_say_why_they_are_not_accepted(qtbot: object) -> None:
    panel = ImagesPanel()
    panel.set_query_type("multi-class")
    assert not panel.accept.isEnabled()
    assert panel.accept.text() == "Accept the rest: needs one class a region"
