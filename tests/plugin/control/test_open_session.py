"""Which query is on screen: while images vanish and scores arrive, after undo, out of turn."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from scenes import write_data

TRAINING = {"steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1}
CTRL = Qt.KeyboardModifier.ControlModifier


def test_an_image_that_vanishes_or_changes_size_is_named_and_the_others_go_on(
    open_session, tmp_path
):
    data = write_data(tmp_path / "data")
    desk = open_session(data=data, budget=50)
    desk.until(lambda: not desk.dock.bench.stage._pictures.is_busy)
    coming = {query.region.image: query for query in desk.session.upcoming(60)}
    gone, replaced, *_ = (image for image in coming if image != desk.query.region.image)
    (data / "train" / "images" / f"{gone}.png").unlink()
    iio.imwrite(data / "train" / "images" / f"{replaced}.png", np.zeros((20, 30, 3), np.uint8))
    seen = []
    desk.dock.bench.events.told.connect(seen.append)
    desk.dock.bench.stage._pictures._kept.clear()
    for image in (gone, replaced):
        desk.dock.bench.opened.queries.go_to(coming[image])
        desk.until(lambda image=image: any(image in words for words in seen))
    desk.dock.bench.opened.queries.ask()
    desk.until_asked()
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == 1


def test_the_question_on_screen_stays_while_scores_come_in(open_session):
    desk = open_session(budget=4)
    for _ in range(4):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.key(Qt.Key.Key_H)
    on_screen, asked = desk.query, []
    desk.dock.bench.events.query_changed.connect(asked.append)
    refreshed = []
    desk.session.events.scores_changed.connect(lambda: refreshed.append(desk.query))
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.until(lambda: not desk.dock.bench.opened.updates._scored.isActive())
    assert not asked
    assert len(refreshed) >= 2, "image by image, and in the end"
    assert all(query is on_screen for query in refreshed)
    answered = {a.query.region for a in desk.session.answers()}
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    assert desk.query.model_round == 1
    assert desk.query.region not in answered | {on_screen.region}


def test_undone_questions_of_an_earlier_round_are_asked_again_before_new_ones(open_session):
    desk = open_session(training={"segmenter": "compact", **TRAINING}, budget=20)
    asked = []
    for _ in range(4):
        asked.append(desk.query.region)
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.session.train()
    desk.session.prepare()
    assert desk.session.round == 2
    for _ in range(3):
        desk.key(Qt.Key.Key_Z, CTRL)
    again = []
    for _ in range(3):
        again.append(desk.query.region)
        desk.key(Qt.Key.Key_2)
        desk.until_asked()
    assert again == asked[1:]
    assert desk.query.region not in asked
    assert [a.class_ids for a in desk.session.answers()] == [(0,), (1,), (1,), (1,)]


def test_a_random_question_stays_one_after_undo_but_not_when_it_is_picked(open_session):
    settings = {"training": {"segmenter": "compact", **TRAINING}, "budget": 8}
    desk = open_session("bvsb", acquisition={"random_share": 1.0}, **settings)
    for _ in range(8):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    desk.key(Qt.Key.Key_1)  # asked by the model of before
    desk.until_asked()
    for _ in range(3):
        assert desk.query.source == "random"
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    for _ in range(2):
        desk.key(Qt.Key.Key_Z, CTRL)
    for _ in range(2):
        assert desk.query.source == "random"
        desk.key(Qt.Key.Key_2)
        desk.until_asked()
    coming = desk.session.upcoming(5)
    assert {query.source for query in coming} == {"random"}
    desk.dock.bench.opened.queries.go_to(coming[2])
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    desk.dock.bench.opened.questions.answer_many(desk.session.upcoming(2), (1,))
    sources = [answer.query.source for answer in desk.session.answers()[9:]]
    assert sources == ["random"] * 3 + ["picked"] * 3


def test_live_the_model_is_trained_again_and_again_and_no_question_waits(open_session):
    settings = {"training": {"segmenter": "compact", **TRAINING}, "budget": 1000}
    desk = open_session("bvsb", first_training=3, retrain_after=2, **settings)
    page = desk.dock.annotate
    assert page._budget.format() == "0 of 3 answers"
    shown, expected = [], [desk.query]
    desk.dock.bench.events.query_changed.connect(shown.append)
    for _ in range(7):
        desk.key(Qt.Key.Key_1)
        assert desk.dock.bench.query is not None, "also while the first model is trained"
        assert desk.query not in expected
        expected.append(desk.query)
    assert desk.session.is_training or desk.session.model_round == 1
    desk.until(lambda: desk.session.model_round == 2)  # begun by itself, with 4 new answers
    desk.until(lambda: not desk.session.is_busy)
    assert [int(row["queries"]) for row in desk.session.rounds()] == [3, 7]
    assert shown == expected[1:], "no question came or went but by an answer"
    assert desk.query == expected[-1]
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    assert desk.query.model_round == 2
    assert desk.dock.bench.stage.layers.wants("prediction"), "the first model showed itself"


def test_an_old_answer_is_changed_only_if_wanted(open_session):
    desk = open_session()
    first = desk.query
    desk.key(Qt.Key.Key_2)
    desk.until_asked()
    following, page = desk.query, desk.dock.annotate
    place = page.classes.geometry()
    desk.dock.bench.opened.queries.go_to(first)
    assert page._question.text() == "Changing your answer: was <i>sky</i>"
    assert page._back.isVisible()
    QApplication.processEvents()
    assert page.classes.geometry() == place, "the buttons stay where they are"
    desk.key(Qt.Key.Key_Escape)
    assert desk.query == following
    assert page._question.text() == "Which class is this mostly?"
    assert not page._back.isVisible()
    desk.dock.bench.opened.queries.go_to(first)
    desk.press("Back")
    assert desk.query == following
    assert [a.class_ids for a in desk.session.answers()] == [(1,)]
    desk.dock.bench.opened.queries.go_to(first)
    desk.key(Qt.Key.Key_3)
    desk.until_asked()
    assert [a.class_ids for a in desk.session.answers()] == [(2,)]
    desk.key(Qt.Key.Key_Z, CTRL)  # the change, not the answer
    assert [a.class_ids for a in desk.session.answers()] == [(1,)]
    assert page._question.text() == "Changing your answer: was <i>sky</i>"
    desk.key(Qt.Key.Key_Escape)
    assert desk.query == following
    desk.key(Qt.Key.Key_Escape)  # the next question stays
    assert desk.query == following


def test_jobs_go_to_the_cluster_of_the_preferences_and_it_says_if_there_is_none(desk, open_session):
    desk.dock.bench.preferences.cluster = "nonsense://nowhere"
    open_session(budget=2)
    ended = []
    desk.session.events.job_finished.connect(ended.append)
    for _ in range(2):
        desk.key(Qt.Key.Key_1)
    desk.until(lambda: ended)
    assert "no Dask scheduler answers at 'nonsense://nowhere'" in ended[0].reason
