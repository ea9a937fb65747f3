"""The whole loop in small: every method asks, learns, resumes and undoes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scenes import CLASSES, project_config, write_data, write_initial

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.core.query_choice import multi_class_gains_more
from napari_al.core.regions import RegionTable
from napari_al.errors import InputError
from napari_al.learning.inference import class_map_of, predict_probs
from napari_al.learning.weights import load_segmenter
from napari_al.methods.queries import Answer
from napari_al.methods.table import METHODS
from napari_al.session.project.config import (
    AcquisitionSettings,
    TrainingSettings,
)
from napari_al.session.rounds.region_tables import read_table
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

P = (0.2, 0.1, 0.1, 0.1, 0.05, 0.3, 0.15)
TIMES = ("train_s", "score_s", "select_s")


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_initial(write_data(tmp_path_factory.mktemp("scenes") / "data"))


def answer_round(session: Session) -> list[Answer]:
    """Answer until the round's budget is spent."""
    oracle = Oracle(session.data)
    given = []
    session.prepare()
    while (query := session.query()) is not None:
        given.append(oracle.answer(query))
        session.submit(given[-1])
    return given


def run(session: Session, n_rounds: int) -> None:
    if session.round == 0:
        session.train()
    while session.round <= n_rounds:
        answer_round(session)
        session.train()


def asked(session: Session) -> list[tuple[str, tuple[int, ...]]]:
    return [(a.query.region.image, a.query.region.ids) for a in session.answers()]


def figures(session: Session) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k not in TIMES} for row in session.rounds()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_a_seed_repeats_it(
    method: str, data_path: Path, tmp_path: Path
) -> None:
    results = []
    for name in ("first", "second"):
        with Session.create(tmp_path / name, project_config(data_path, method)) as session:
            run(session, 2)
            results.append((asked(session), figures(session)))
            first = 0 if METHODS[method].starts_from_labels else 1
            assert [int(row["round"]) for row in session.rounds()] == list(range(first, 3))
    assert results[0] == results[1]
    rows = results[0][1]
    assert len(set(results[0][0])) == len(results[0][0]), "no region is asked twice"
    for row in rows:
        assert 0 <= float(row["model_miou"]) <= 1
        assert 0 <= float(row["data_miou"]) <= 1
        assert 0 < float(row["data_coverage"]) <= 1
    if method != "adaptive-superpixel":  # its few merged regions may be all answered before
        assert int(rows[-1]["clicks"]) >= 11  # a pool of merged regions may end before
    if METHODS[method].query == "multi-class":
        assert 0 <= float(rows[-1]["stage2_model_miou"]) <= 1


def test_each_region_is_asked_what_gains_more_a_second(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, "mixed", budget=40)) as session:
        run(session, 2)
        answers = [*session.answers(), *answer_round(session)]
        asked_types = set()
        for answer in answers:
            query = answer.query
            asks_all = True  # before there is a model
            if query.model_round:
                path = session.project.table_file(query.model_round, query.region.image)
                table = read_table(path)
                assert isinstance(table, RegionTable)
                gains = multi_class_gains_more(table.class_histogram, (2.4, 0.9), 0.9)
                asks_all = bool(gains[query.region.ids[0]])
                asked_types.add(query.query_type)
            assert query.query_type == ("multi-class" if asks_all else "dominant")
            assert query.query_type == "multi-class" or len(answer.class_ids) <= 1
        assert asked_types == {"dominant", "multi-class"}


def test_budget_stops_a_batch_once_it_is_reached(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "multi-class", budget=7)
    with Session.create(tmp_path / "p", config) as session:
        given = answer_round(session)
        total = sum(answer.clicks.total for answer in given)
        assert total - given[-1].clicks.total < 7 <= total
        assert session.budget_is_spent
        assert session.query() is None


@pytest.mark.parametrize(
    ("costs", "budget", "n_taken"),
    [
        ([3, 4, 5], 6, 2),
        ([3, 4, 5], 7, 2),
        ([3, 4, 5], 8, 3),
        # the following stop at the budget; the authors of the multi-class query stop beyond it
        ([1, 2, 1, 3, 1], 4, 3),
        ([1, 2, 1, 3, 1], 5, 4),
        ([2, 2, 2], 4, 2),
        ([2, 2, 2], 5, 3),
        ([3, 3], 2, 1),
        ([0, 1, 0, 1, 1], 1, 2),
        ([0, 1, 0, 1, 1], 2, 4),
    ],
)
def test_batches(
    costs: list[int], budget: int, n_taken: int, data_path: Path, tmp_path: Path
) -> None:
    """Algorithm 1 of Cai et al. 2021: stop once the clicks reach the budget, best regions first."""
    config = project_config(data_path, "random", budget=budget)
    with Session.create(tmp_path / "p", config) as session:
        session.prepare()
        scores = []
        for cost in costs:
            query = session.query()
            if query is None:
                break
            scores.append(query.score)
            session.submit(Answer(query, (0,), Clicks(class_clicks=cost)))
        assert len(scores) == n_taken
        assert session.clicks_in_round == sum(costs[:n_taken])
        assert scores == sorted(scores, reverse=True)


def test_a_session_goes_on_where_it_was(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path)
    with Session.create(tmp_path / "whole", config) as session:
        run(session, 2)
        expected = asked(session), figures(session)
    with Session.create(tmp_path / "broken", config) as session:
        session.prepare()
        oracle = Oracle(session.data)
        for _ in range(3):
            session.submit(oracle.answer(session.query()))
    for _ in range(2):
        with Session.open(tmp_path / "broken") as session:
            answer_round(session)
            session.train()
    with Session.open(tmp_path / "broken", read_only=True) as session:
        assert (asked(session), figures(session)) == expected


def test_a_lost_cache_changes_nothing(data_path: Path, tmp_path: Path) -> None:
    import shutil

    config = project_config(data_path, "adaptive-superpixel")
    results = []
    for lose in (False, True):
        path = tmp_path / str(lose)
        with Session.create(path, config) as session:
            run(session, 1)
        if lose:
            shutil.rmtree(path / "cache")
        with Session.open(path) as session:
            run(session, 2)
            results.append((asked(session), figures(session)))
    assert results[0] == results[1]


def test_round_1_ends_early_where_that_is_set(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "random", budget=6)
    config = config.model_copy(update={"first_training": 2})
    with Session.create(tmp_path / "p", config) as session:
        assert len(answer_round(session)) == 2
        session.undo()
        assert not session.budget_is_spent
        assert len(answer_round(session)) == 1
        session.train()
        assert len(answer_round(session)) == 6


def test_the_first_rounds_may_have_budgets_of_their_own(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "random", budget=4)
    config = config.model_copy(update={"first_budgets": (2, 3)})
    with Session.create(tmp_path / "p", config) as session:
        for budget in (2, 3, 4, 4):
            assert session.budget == budget
            assert len(answer_round(session)) == budget
            session.train()
            session.prepare()


def test_undo_and_redo_reach_over_rounds_and_restarts(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        given = answer_round(session)
        session.train()
        assert session.clicks_in_round == 0
    with Session.open(tmp_path / "p") as session:
        taken_back = [session.undo()[0] for _ in given]
        assert [a.id for a in taken_back] == [a.id for a in reversed(given)]
        assert session.undo() == ()
        assert session.clicks.total == 0
        session.prepare()
        again = session.query()
        assert again is not None
        for _ in given:
            session.redo()
        assert [a.id for a in session.answers()] == [a.id for a in given]
        image = given[0].query.region.image
        mask = given[0].query.region.mask
        painted = mask.view(session.answers_map(image))[mask.crop()]
        assert (painted == given[0].class_ids[0]).all()


def says(session: Session) -> tuple[object, ...]:
    """What a session knows of its answers and of what to ask."""
    return (
        [answer.id for answer in session.answers()],
        session.clicks,
        session.clicks_in_round,
        session.query(),
        session.upcoming(200),
        [session.answers_map(image).tobytes() for image in session.data.train],
        [np.array(session.score_map(image)).tobytes() for image in session.data.train],
        session.can_undo,
        session.can_redo,
    )


@pytest.mark.parametrize("method", ["classbal", "adaptive-superpixel", "alc"])
def test_whatever_is_done_an_open_session_says_what_one_opened_anew_says(
    method: str, data_path: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    changed = project_config(data_path, method, budget=40)
    with Session.create(tmp_path / "p", changed) as session:
        oracle = Oracle(session.data)
        if session.round == 0:
            session.train()
        session.prepare()
        session.submit(*[oracle.answer(query) for query in session.upcoming(12)])
        session.train()
        session.prepare()
        for _ in range(60):
            coming = session.upcoming(12)
            query = coming[int(rng.integers(len(coming)))] if coming else None
            some = [oracle.answer(q) for q in coming[: int(rng.integers(1, 4))]]
            doing = rng.choice(["submit", "many", "skip", "amend", "hold", "undo", "redo"], p=P)
            match doing:
                case "submit" if query is not None:
                    session.submit(oracle.answer(query))
                case "many" if some:
                    session.submit(*some)
                case "skip" if query is not None:
                    session.submit(Answer(query, (), Clicks(class_clicks=1), outcome="skipped"))
                case "amend" if session.answers():
                    old = session.answers()[int(rng.integers(len(session.answers())))]
                    session.amend(old.id, Answer(old.query, (1,), Clicks(class_clicks=1)))
                case "hold" if query is not None:
                    session.hold(oracle.answer(query))
                    assert session.n_unsaved == 1
                    session.undo()
                case "undo":
                    session.undo()
                case "redo":
                    session.redo()
            with Session.open(tmp_path / "p", read_only=True) as anew:
                assert says(session) == says(anew), doing


@pytest.mark.parametrize(
    ("outcome", "asked_again_now", "asked_again_later"),
    [("skipped", False, True), ("unsure", False, False), ("ignored", False, False)],
)
def test_answers_without_a_class(
    outcome: str,
    asked_again_now: bool,
    asked_again_later: bool,
    data_path: Path,
    tmp_path: Path,
) -> None:
    config = project_config(data_path, "random")
    with Session.create(tmp_path / "p", config) as session:
        session.prepare()
        query = session.query()
        session.submit(Answer(query, (), Clicks(class_clicks=1), outcome=outcome))
        key = (query.region.image, query.region.ids)

        def pool() -> set[tuple[str, tuple[int, ...]]]:
            return {(q.region.image, q.region.ids) for q in session.upcoming(10_000)}

        assert (key in pool()) == asked_again_now
        assert session.clicks.total == 1
        answer_round(session)
        session.train()
        session.prepare()
        assert (key in pool()) == asked_again_later
        mask = query.region.mask
        assert (mask.view(session.answers_map(query.region.image))[mask.crop()] == IGNORE).all()


def test_queries_grouped_by_image_are_the_same_queries(data_path: Path, tmp_path: Path) -> None:
    batches = []
    for order in ("score", "image"):
        config = project_config(data_path, acquisition=AcquisitionSettings(order=order))
        with Session.create(tmp_path / order, config) as session:
            batches.append(
                [(a.query.region.image, a.query.region.ids) for a in answer_round(session)]
            )
    assert sorted(batches[0]) == sorted(batches[1])
    images = [image for image, _ in batches[1]]
    assert sum(a != b for a, b in itertools.pairwise(images)) == len(set(images)) - 1


@pytest.mark.parametrize("method", ["classbal", "multi-class"])
def test_predictions_are_those_of_the_model_that_users_get(
    data_path: Path, tmp_path: Path, method: str
) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, method)) as session:
        run(session, 1)
        session.prepare()
        model = load_segmenter(session.project.newest_model_file())
        assert (session.project.newest_model_file().stem == "round_01") == (method == "classbal")
        for image in session.data.train:
            probs = predict_probs(model, session.data.image(image), torch.device("cpu"))
            agrees = session.prediction(image) == class_map_of(probs)
            assert agrees.mean() > 0.99  # cached maps have half precision


def test_training_in_a_child_while_answers_go_on(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path)
    with Session.create(tmp_path / "p", config) as session:
        answer_round(session)
        ended: list[object] = []
        session.events.job_finished.connect(ended.append)
        session.start_training()
        assert session.round == 2
        oracle = Oracle(session.data)
        meanwhile = session.query()
        session.submit(oracle.answer(meanwhile))
        session.wait_for_job()
        assert [result.status for result in ended] == ["done"]
        assert session.model_round == session.scores_round == 1
        assert session.clicks_in_round == 1
        assert session.prediction(session.data.train[0]).max() < len(CLASSES)
        later = {(q.region.image, q.region.ids) for q in session.upcoming(10_000)}
        assert (meanwhile.region.image, meanwhile.region.ids) not in later
        assert int(session.rounds()[0]["queries"]) == 6


def test_a_failed_training_gives_the_round_back(data_path: Path, tmp_path: Path) -> None:
    config = project_config(
        data_path, training=TrainingSettings(steps=10_000, crop_px=32, threads=1)
    )
    with Session.create(tmp_path / "p", config) as session:
        answer_round(session)
        results = []
        session.events.job_finished.connect(results.append)
        session.start_training()
        assert (session.round, session.clicks_in_round) == (2, 0)
        session.stop_job()
        session.wait_for_job()
        assert [result.status for result in results] == ["stopped"]
        assert (session.round, session.clicks_in_round) == (1, 6)
        assert session.rounds() == []


def test_two_writers_are_refused_and_readers_are_not(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        with pytest.raises(InputError, match="open"):
            Session.open(tmp_path / "p")
        answer_round(session)
        with Session.open(tmp_path / "p", read_only=True) as reader:
            assert asked(reader) == asked(session)
            with pytest.raises(InputError, match="reading only"):
                reader.submit(replace(session.answers()[0], id="0" * 32))
    Session.open(tmp_path / "p").close()


def test_training_needs_an_answer(data_path: Path, tmp_path: Path) -> None:
    with (
        Session.create(tmp_path / "p", project_config(data_path)) as session,
        pytest.raises(InputError, match="nothing to train on"),
    ):
        session.train()


def test_human_answers_are_never_overwritten_automatically(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "a2lc", budget=4)
    with Session.create(tmp_path / "p", config) as session:
        run(session, 3)
        for answer in session.answers():
            region = answer.query.region
            painted = region.mask.view(session.targets(region.image))[region.mask.crop()]
            expected = answer.class_ids[0] if answer.class_ids else IGNORE
            assert np.all(painted == expected)
