"""The next queries: the model's prediction in them, and the random share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import project_config

from napari_al.methods.queries import was_predicted
from napari_al.methods.settings import AcquisitionSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.replay import begin_again, repeat, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_al.methods.queries import Query


def places(queries: Iterable[Query]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(q.region.image, q.region.ids, q.source) for q in queries]


def answer_round(session: Session) -> None:
    session.prepare()
    oracle = Oracle(session.data)
    while (query := session.query()) is not None:
        session.submit(oracle.answer(query))


@pytest.fixture
def session(data_path: Path, tmp_path: Path) -> Session:
    """In round 2, where every third question is drawn at random."""
    config = project_config(
        data_path, "bvsb", budget=20, acquisition=AcquisitionSettings(random_share=0.33)
    )
    with Session.create(tmp_path / "p", config) as session:
        answer_round(session)
        session.train()
        session.prepare()
        yield session


def test_the_first_round_has_neither_predictions_nor_a_random_share(session: Session) -> None:
    for answer in session.answers():
        assert (answer.query.source, answer.query.predicted) == ("acquisition", None)
        assert was_predicted(answer) is None


def test_a_query_names_the_class_that_most_of_its_region_is_predicted_to_be(
    session: Session,
) -> None:
    for query in session.upcoming(12):
        region = query.region
        predicted = session.prediction(region.image)[region.mask.to_array((48, 64))]
        assert query.predicted == np.bincount(predicted).argmax()


def test_each_open_region_comes_once(session: Session) -> None:
    upcoming = session.upcoming(10_000)
    regions = [(q.region.image, q.region.ids) for q in upcoming]
    assert len(set(regions)) == len(regions)
    n_answered = len({(a.query.region.image, a.query.region.ids) for a in session.answers()})
    assert len(regions) == session.n_regions - n_answered
    sources = [q.source for q in upcoming[:60]]
    assert 10 < sources.count("random") < 30, "a third of 60, give or take"
    scores = [q.score for q in upcoming if q.source == "acquisition"]
    assert scores == sorted(scores, reverse=True)


def test_what_is_announced_is_asked_also_after_undo_and_a_restart(session: Session) -> None:
    announced = places(session.upcoming(10))
    assert "random" in {source for *_, source in announced}
    oracle, asked = Oracle(session.data), []
    for number in range(10):
        query = session.query()
        assert session.query() == query
        asked.append(query)
        session.submit(oracle.answer(query))
        if number % 3 == 0:
            session.undo()
            assert session.query() == query
            session.submit(oracle.answer(query))
    assert places(asked) == announced
    following = places(session.upcoming(5))
    session.close()
    with Session.open(session.project.path) as again:
        assert places(again.upcoming(5)) == following
        assert [a.query for a in again.answers()[-10:]] == asked


def test_without_a_random_share_regions_come_by_score(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, "bvsb")) as session:
        answer_round(session)
        session.train()
        session.prepare()
        upcoming = session.upcoming(10_000)
        assert {q.source for q in upcoming} == {"acquisition"}
        scores = [q.score for q in upcoming]
        assert scores == sorted(scores, reverse=True)


def test_rounds_csv_has_the_prequential_accuracy(session: Session) -> None:
    n_before = len(session.answers())
    answer_round(session)
    session.train()
    first, second = session.rounds()
    names = ("prequential_accuracy", "random_share_accuracy", "random_share_low")
    assert [first[name] for name in names] == ["", "", ""]
    new = session.answers()[n_before:]
    judged = [right for a in new if (right := was_predicted(a)) is not None]
    drawn = [was_predicted(a) for a in new if a.query.source == "random"]
    drawn = [right for right in drawn if right is not None]
    assert float(second["prequential_accuracy"]) == pytest.approx(np.mean(judged), abs=1e-6)
    assert float(second["random_share_accuracy"]) == pytest.approx(np.mean(drawn), abs=1e-6)
    low, high = float(second["random_share_low"]), float(second["random_share_high"])
    assert 0 <= low <= np.mean(drawn) <= high <= 1


def test_any_open_region_can_be_picked_by_a_pixel(session: Session) -> None:
    asked = session.query()
    query = session.upcoming(9)[-1]
    image, pixel = query.region.image, query.region.mask.central_pixel()
    picked = session.query_at(image, pixel)
    assert (picked.region, picked.score, picked.source) == (query.region, query.score, "picked")
    assert session.answer_at(image, pixel) is None
    answer = Oracle(session.data).answer(picked)
    session.submit(answer)
    assert session.query_at(image, pixel) is None
    assert session.answer_at(image, pixel) == answer
    assert session.query() == asked
    assert session.clicks_in_round == answer.clicks.total == 1
    for outside in ((-1, 0), (0, 64), (48, 0)):
        assert session.query_at(image, outside) is None
    session.undo()
    assert session.query_at(image, pixel) == picked


def test_picked_answers_are_replayed_to_the_same_targets(session: Session, tmp_path: Path) -> None:
    oracle = Oracle(session.data)
    for query in session.upcoming(12)[::3]:
        pixel = query.region.mask.central_pixel()
        session.submit(oracle.answer(session.query_at(query.region.image, pixel)))
    session.train()
    with begin_again(session, tmp_path / "again") as again:
        for step in steps_of(session):
            repeat(step, again)
        assert again.answers() == session.answers()
        for image in session.data.train:
            np.testing.assert_array_equal(again.targets(image), session.targets(image))


def test_the_next_regions_are_found_once(session: Session) -> None:
    """In a large image, finding one takes a pass over it; they are wanted with every answer."""
    first = [query.region.mask for query in session.upcoming(6)]
    again = [query.region.mask for query in session.upcoming(6)]
    assert all(one is other for one, other in zip(first, again, strict=True))
    for query in session.upcoming(6):
        inside = np.isin(session.region_map(query.region.image), query.region.ids)
        np.testing.assert_array_equal(query.region.mask.to_array(inside.shape), inside)
