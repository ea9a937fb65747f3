"""What happens while a model trains and scores: nothing waits, nothing is asked twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import project_config, write_data, write_initial

from napari_al.session.pool.order import ModelScores, Pool
from napari_al.session.pool.scores import PoolScores
from napari_al.session.rounds import scoring
from napari_al.session.rounds.job_function import JobProgress
from napari_al.session.rounds.round_jobs import score_round
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.simulate.report import write_report
from napari_al.tools.export_labels import export_session

if TYPE_CHECKING:
    from pathlib import Path

N_IMAGES = 6


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("live") / "data", n_train=N_IMAGES)


@pytest.fixture
def session(data_path: Path, tmp_path: Path) -> Session:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        yield session


@pytest.fixture
def trained(session: Session) -> Session:
    """A session in round 2, whose model has not scored anything yet."""
    session.prepare()
    answer(session, 6)
    session.train()
    return session


def answer(session: Session, n: int) -> None:
    oracle = Oracle(session.data)
    for _ in range(n):
        session.submit(oracle.answer(session.query()))


def score(session: Session, on_image: object = lambda _: None) -> None:
    """Score as a job does, publishing every image."""
    args = {"project": str(session.project.path), "round": session.round - 1, "live": True}
    score_round({**args, "log_seq": 6}, on_image, lambda: False)


@pytest.fixture
def _every_image_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MIN_BETWEEN_S", 0)
    monkeypatch.setattr(scoring, "PUBLISHING_SHARE", np.inf)


# ---- scoring


@pytest.mark.usefixtures("_every_image_at_once")
def test_images_are_published_as_they_are_done_the_one_on_screen_first(trained: Session) -> None:
    names = trained.data.train
    wishes = [names[4], names[1], names[1], names[5], names[4], names[0]]
    published = []

    def on_image(progress: JobProgress) -> None:
        assert progress == JobProgress("scoring", len(published) + 1, N_IMAGES, published=True)
        scores = PoolScores.load(trained.project.scores_file(1, so_far=True))
        published.append(scores.images)
        trained.look_at(wishes[len(published) % N_IMAGES])
        for image in scores.images:
            assert trained.project.prediction_file(1, image).exists()

    trained.look_at(wishes[0])
    score(trained, on_image)
    last = published[-1]
    assert [images == last[: len(images)] for images in published] == [True] * N_IMAGES
    assert last[:2] == (names[4], names[1])
    assert last.index(names[5]) == 3, "one that is done already is not done again"
    assert sorted(last) == sorted(names)
    assert not trained.project.scores_file(1, so_far=True).exists()


def test_scores_do_not_depend_on_the_order(trained: Session) -> None:
    trained.look_at(trained.data.train[3])
    score(trained)
    live = PoolScores.load(trained.project.scores_file(1))
    trained.project.scores_file(1).unlink()
    trained.prepare()
    alone = PoolScores.load(trained.project.scores_file(1))
    assert live.images == alone.images == trained.data.train
    np.testing.assert_array_equal(live.score, alone.score)
    np.testing.assert_array_equal(live.region_id, alone.region_id)


@pytest.mark.parametrize("method", ["adaptive-superpixel", "alc"])
def test_scores_survive_their_file(method: str, data_path: Path, tmp_path: Path) -> None:
    write_initial(data_path)
    config = project_config(data_path, method)
    with Session.create(tmp_path / "p", config) as session:
        if session.round == 1:
            session.prepare()
            answer(session, 6)
        session.train()
        session.prepare()
        before = [(q.region.image, q.region.ids, q.pixel_rc) for q in session.upcoming(100)]
        model_round = session.scores_round
    with Session.open(tmp_path / "p") as session:
        assert session.scores_are_complete
        assert session.scores_round == model_round
        after = [(q.region.image, q.region.ids, q.pixel_rc) for q in session.upcoming(100)]
        assert after == before


# ---- the pool of two models


def scores_of(**by_image: list[float]) -> PoolScores:
    values = list(by_image.values())
    return PoolScores(
        tuple(by_image),
        np.tile(np.int32([4, 5]), (len(values), 1)),
        np.repeat(np.arange(len(values), dtype=np.int32), [len(v) for v in values]),
        np.concatenate([np.arange(len(v), dtype=np.int32) for v in values]),
        np.concatenate([np.float64(v) for v in values]),
    )


SHAPES = {"a": (4, 5), "b": (4, 5), "c": (4, 5)}


def asked(pool: Pool) -> list[tuple[str, int, int]]:
    """(image, region, round of the model) in order."""
    found = []
    for row in pool.order.tolist():
        part, own = pool.locate(row)
        found.append((pool.image(row), int(part.scores.region_id[own]), part.round))
    return found


def test_a_newer_models_images_replace_the_older_ones(data_path: Path) -> None:
    config = project_config(data_path)
    old = ModelScores(1, scores_of(a=[0.9, 0.1], b=[0.8, 0.2], c=[0.7, 0.3]))
    new = ModelScores(2, scores_of(b=[0.001, 0.002]), complete=False)
    pool = Pool([old, new], SHAPES, config)
    assert pool.newest_round == 2
    assert pool.round_of_image("b") == 2
    assert pool.round_of_image("a") == 1
    # places 1/8, 3/8, 5/8, 7/8 of the older model's and 1/4, 3/4 of the newer one's
    assert asked(pool) == [
        ("a", 0, 1), ("b", 1, 2), ("c", 0, 1), ("c", 1, 1), ("b", 0, 2), ("a", 1, 1),
    ]  # fmt: skip
    rest = ModelScores(2, scores_of(b=[0.001, 0.002], a=[0.5], c=[0.6]))
    whole = Pool([*pool.parts[:1], rest], SHAPES, config)
    assert [part.round for part in whole.parts] == [2]
    assert asked(whole) == [("c", 0, 2), ("a", 0, 2), ("b", 1, 2), ("b", 0, 2)]


def test_images_that_are_gone_or_of_another_size_are_not_asked(data_path: Path) -> None:
    config = project_config(data_path)
    part = ModelScores(0, scores_of(a=[0.9], b=[0.8], c=[0.7]))
    shapes = {"a": (4, 5), "c": (5, 4), "d": (4, 5)}
    pool = Pool([part], shapes, config)
    assert asked(pool) == [("a", 0, 0)]
    assert pool.of_image("b") is pool.of_image("c") is None


# ---- the session


def test_a_new_project_asks_before_every_image_is_cut(data_path: Path, tmp_path: Path) -> None:
    orders = []
    for child in (True, False):
        with Session.create(tmp_path / str(child), project_config(data_path)) as session:
            seen: list[tuple[int, bool]] = []

            def note(session: Session = session, seen: list[tuple[int, bool]] = seen) -> None:
                n_images = len({query.region.image for query in session.upcoming(1000)})
                seen.append((n_images, session.scores_are_complete))

            session.events.scores_changed.connect(note)
            if child:
                session.start_scoring()
                session.wait_for_job()
                assert seen[0][0] >= 1
            else:
                session.prepare()
            assert seen[-1] == (N_IMAGES, True)
            assert not session.is_busy
            orders.append([(q.region.image, q.region.ids) for q in session.upcoming(1000)])
    assert sorted(orders[0]) == sorted(orders[1])


def test_the_question_on_screen_stays_and_answers_count(session: Session) -> None:
    session.prepare()
    answer(session, 6)
    session.start_training()
    assert session.is_training
    on_screen = session.query()
    session.look_at(on_screen.region.image)
    seen = []
    n_rows = []
    session.events.round_changed.connect(lambda _: n_rows.append(len(session.rounds())))

    def note() -> None:
        prediction = session.prediction(on_screen.region.image)
        seen.append((session.query(), session.is_training, len(session.rounds()), prediction))

    session.events.scores_changed.connect(note)
    session.wait_for_job()
    assert n_rows == [1], "its figures are there before its scores"
    assert len(seen) >= 2, "once an image, and in the end"
    for *what, prediction in seen:
        assert what == [on_screen, False, 1]
        assert prediction is not None, "the image on screen comes first"
    assert on_screen.model_round == 0
    session.submit(Oracle(session.data).answer(on_screen))
    follow = session.query()
    assert follow.region != on_screen.region
    assert follow.model_round == 1
    answered = {(a.query.region.image, a.query.region.ids) for a in session.answers()}
    assert len(answered) == 7
    assert not answered & {(q.region.image, q.region.ids) for q in session.upcoming(1000)}


def test_training_takes_the_place_of_scoring(session: Session) -> None:
    session.prepare()
    answer(session, 6)
    session.train()
    ended = []
    session.events.job_finished.connect(ended.append)
    session.start_scoring()
    session.start_training()
    session.wait_for_job()
    assert [result.status for result in ended] == ["done"]
    assert session.model_round == session.scores_round == 2
    assert session.scores_are_complete


def test_scores_of_a_model_that_was_replaced_are_not_used(trained: Session, tmp_path: Path) -> None:
    trained.prepare()
    old = trained.project.scores_file(1).read_bytes()
    trained.project.round_file(1).unlink()  # as an error message advises for a damaged one
    trained.close()
    with Session.open(tmp_path / "p") as session:
        assert session.round == 1
        session.undo()
        session.train()
        assert not session.has_scores
        assert not session.project.scores_file(1).exists()
        session.prepare()
        assert session.project.scores_file(1).read_bytes() != old


# ---- others read meanwhile


def test_reports_and_exports_while_answers_come_and_a_model_trains(
    session: Session, tmp_path: Path
) -> None:
    session.prepare()
    answer(session, 6)
    session.train()
    session.prepare()
    answer(session, 6)
    ended = []
    session.events.job_finished.connect(ended.append)
    session.start_training()
    n_read = 0
    while session.is_busy and n_read < 4:
        answer(session, 1) if session.query() is not None else None
        with Session.open(session.project.path, read_only=True) as reader:
            assert len(reader.answers()) == len(session.answers())
            assert reader.rounds()[0]["round"] == "1"
            export_session(reader, "png", "answers", tmp_path / "export", overwrite=True)
        write_report([session.project.path], tmp_path / "report")
        n_read += 1
    session.wait_for_job()
    assert n_read > 0
    assert ended[0].status == "done", ended[0].reason
    assert session.model_round == 2
