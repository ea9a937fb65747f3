"""Images one by one: how far each is answered, asking in one, accepting what is predicted of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import answer_round, project_config, write_data, write_initial

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.session.pool.order import ModelScores, Pool
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.replay import begin_again, repeat, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def session(data_path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    """In round 2 of a method."""
    method = getattr(request, "param", "bvsb")
    with Session.create(tmp_path / "p", project_config(data_path, method, budget=10)) as session:
        answer_round(session, Oracle(session.data))
        session.train()
        session.prepare()
        yield session


def test_progress_of_images(session: Session) -> None:
    images = session.images_progress()
    assert [image.image for image in images] == sorted(session.data.train)
    for image in images:
        answers = [a for a in session.answers() if a.query.region.image == image.image]
        assert image.n_answered == len({i for a in answers for i in a.query.region.ids})
        assert image.n_regions == int(session.region_map(image.image).max()) + 1
        open_scores = session.score_map(image.image)
        assert np.nanmin(open_scores) <= image.score <= 1


def test_progress_while_a_newer_model_scores(session: Session) -> None:
    old = session._queue.pool.parts[0]
    newer = ModelScores(2, replace(old.scores, score=old.scores.score + 1), complete=False)
    shapes = {image: session.data.shape(image) for image in session.data.train}
    before = session.images_progress()
    session._queue.adopt(Pool([old, newer], shapes, session.config))
    after = session.images_progress()
    assert [p.image for p in after] == [p.image for p in before]
    for old_progress, progress in zip(before, after, strict=True):
        assert progress.score == pytest.approx(old_progress.score + 1)


def test_queries_of_one_image_come_in_the_order_of_all(session: Session) -> None:
    image = session.data.train[2]
    expected = [q for q in session.upcoming(1000) if q.region.image == image]
    oracle, asked = Oracle(session.data), []
    while (query := session.query_in(image)) is not None:
        assert session.query_in(image) == query
        asked.append(query)
        session.submit(oracle.answer(query))
        if session.budget_is_spent:
            break
    assert asked == expected[: len(asked)]
    assert len(asked) == 10
    assert session.query_in(image) is None


@pytest.mark.parametrize("session", ["bvsb", "adaptive-superpixel"], indirect=True)
def test_the_rest_of_an_image_is_accepted_for_one_click(session: Session) -> None:
    image = session.data.train[0]
    before = session.answers()
    prediction, shape = session.prediction(image), session.data.shape(image)
    expected = {
        q.region.ids: q.region.mask for q in session.upcoming(1000) if q.region.image == image
    }
    answers = session.answers_as_predicted(image, seconds=2.5)
    assert {a.query.region.ids: a.query.region.mask for a in answers} == expected
    for answer in answers:
        inside = answer.query.region.mask.to_array(shape)
        assert answer.class_ids == (np.bincount(prediction[inside]).argmax(),)
        assert answer.query.source == "accepted"
    assert [a.clicks.total for a in answers] == [1] + [0] * (len(answers) - 1)
    assert sum(a.seconds for a in answers) == 2.5
    assert session.answers() == before

    session.submit(*answers)
    assert session.clicks_in_round == 1
    assert session.query_in(image) is None
    progress = {p.image: p for p in session.images_progress()}[image]
    assert progress.n_answered == progress.n_regions
    assert session.answers_as_predicted(image) == ()
    session.undo()
    assert session.answers() == before
    assert session.clicks_in_round == 0
    session.redo()
    assert session.answers() == (*before, *answers)


def test_many_accepted_answers_are_undone_and_replayed(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "bvsb", budget=10)
    regions = config.regions.model_copy(update={"n_per_image": 120})
    config = config.model_copy(update={"regions": regions})
    with Session.create(tmp_path / "p", config) as session:
        answer_round(session, Oracle(session.data))
        session.train()
        session.prepare()
        image, coming = session.data.train[1], session.upcoming(2000)
        answers = session.answers_as_predicted(image)
        assert len(answers) > 60
        session.write(answers)
        session.take(answers)
        session.undo()
        assert session.upcoming(2000) == coming
        session.redo()
        session.train()
        with begin_again(session, tmp_path / "again") as again:
            for step in steps_of(session):
                repeat(step, again)
            assert again.answers() == session.answers()
            np.testing.assert_array_equal(again.targets(image), session.targets(image))
            assert (again.targets(image) != IGNORE).all()


def test_corrections_are_accepted_with_their_pixel_and_label(tmp_path: Path) -> None:
    data = write_initial(write_data(tmp_path / "data"))
    with Session.create(tmp_path / "p", project_config(data, "alc", budget=10)) as session:
        session.train()
        session.prepare()
        image = session.data.train[0]
        labels = session.current_labels(image)
        answers = session.answers_as_predicted(image)
        asked = {q.region.ids: q for q in session.upcoming(1000) if q.region.image == image}
        for answer in answers:
            query = answer.query
            assert query.pixel_rc == asked[query.region.ids].pixel_rc
            assert query.pseudo_label == labels[query.pixel_rc]
        session.submit(*answers)
        assert len(session.answers()) == len(answers)


@pytest.mark.parametrize(
    ("method", "words"), [("multi-class", "one class a region"), ("bvsb", "no prediction")]
)
def test_what_cannot_be_accepted_says_why(
    data_path: Path, tmp_path: Path, method: str, words: str
) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, method)) as session:
        session.prepare()
        with pytest.raises(InputError, match=words):
            session.answers_as_predicted(session.data.train[0])
