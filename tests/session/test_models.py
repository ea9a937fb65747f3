"""Live training: answers never wait, the next training has them, and a replay repeats it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import project_config

from napari_al.errors import InputError
from napari_al.methods.queries import ONE_CLICK, Answer
from napari_al.session.project import folder
from napari_al.session.project.config import TrainingSettings
from napari_al.session.rounds.round_jobs import train_and_score
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.replay import begin_again, repeat, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIVE = {
    "budget": 100,
    "first_training": 5,
    "retrain_after": 3,
    "training": TrainingSettings(segmenter="compact", steps=2, batch_size=2, crop_px=32, threads=1),
}
OF_SCORES = ("train_s", "score_s", "select_s", "n_regions")
"""Columns that a replay, which scores nothing, does not have."""


@pytest.fixture
def session(data_path: Path, tmp_path: Path) -> Iterator[Session]:
    with Session.create(tmp_path / "p", project_config(data_path, "bvsb", **LIVE)) as session:
        session.prepare()
        yield session


def answer(session: Session, n: int) -> int:
    """Answer so many queries, or as many as there are; return how many there were."""
    oracle = Oracle(session.data)
    for number in range(n):
        query = session.query()
        if query is None:
            return number
        session.submit(oracle.answer(query))
    return n


def trained_on(session: Session) -> list[int]:
    return [int(row["queries"]) for row in session.rounds()]


def test_rounds_end_after_so_many_answers_where_nothing_else_runs(session: Session) -> None:
    for expected in (5, 3, 3):
        assert session.answers_wanted == expected
        assert answer(session, 50) == expected
        assert session.budget_is_spent
        session.train()
        session.prepare()
        assert session.answers_in_round == 0
    assert trained_on(session) == [5, 8, 11]


def test_the_budget_ends_a_round_that_has_not_its_answers(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "bvsb", **{**LIVE, "budget": 2})
    with Session.create(tmp_path / "p", config) as session:
        session.prepare()
        assert answer(session, 50) == 2


def test_answers_do_not_wait_and_the_next_training_has_them(session: Session) -> None:
    answer(session, 5)
    session.start_training()
    assert answer(session, 7) == 7, "more than end a round"
    assert not session.budget_is_spent
    on_screen = session.query()
    session.wait_for_job()
    assert (session.model_round, session.scores_round) == (1, 1)
    assert (session.answers_in_round, session.budget_is_spent) == (7, True)
    assert session.query() is None, "the next training is due"
    session.start_training()
    assert session.query() is not None
    assert on_screen is not None
    session.submit(Oracle(session.data).answer(on_screen))  # it was on screen all the time
    session.wait_for_job()
    assert trained_on(session) == [5, 12]
    assert len(session.answers()) == 13


def test_the_first_training_does_not_wait_until_all_regions_are_cut(session: Session) -> None:
    session.start_scoring()
    assert session.is_busy
    assert answer(session, 50) == 5
    assert session.budget_is_spent
    assert session.is_busy


def test_undo_across_a_training_and_a_replay_have_the_same_targets(
    session: Session, tmp_path: Path
) -> None:
    answer(session, 5)
    session.start_training()
    for _ in range(2):
        session.undo()  # of what is being trained on
    answer(session, 4)
    session.wait_for_job()
    session.start_training()
    session.undo()
    answer(session, 3)
    session.wait_for_job()
    session.train()
    assert trained_on(session) == [5, 7, 9]
    with begin_again(session, tmp_path / "again") as again:
        for step in steps_of(session):
            repeat(step, again)
        assert again.answers() == session.answers()
        for mine, theirs in zip(again.rounds(), session.rounds(), strict=True):
            assert [v for k, v in mine.items() if k not in OF_SCORES] == [
                v for k, v in theirs.items() if k not in OF_SCORES
            ]
        for image in session.data.train:
            np.testing.assert_array_equal(again.targets(image), session.targets(image))


def test_live_is_switched_on_and_off_and_a_replay_has_the_same_targets(
    session: Session, tmp_path: Path
) -> None:
    answer(session, 5)
    session.train()
    session.prepare()
    session.set_retrain_after(None)
    assert not session.is_live
    assert answer(session, 6) == 6, "by rounds the clicks end a round"
    assert not session.budget_is_spent
    session.set_retrain_after(4)
    assert session.budget_is_spent, "six answers are more than four"
    session.train()
    assert session.project.read_config().retrain_after == 4
    assert session.config.classes == session.made_with.classes
    with begin_again(session, tmp_path / "again") as again:
        for step in steps_of(session):
            repeat(step, again)
        assert trained_on(again) == trained_on(session) == [5, 11]
        for image in session.data.train:
            np.testing.assert_array_equal(again.targets(image), session.targets(image))
    with (
        Session.open(session.project.path, read_only=True) as reader,
        pytest.raises(InputError, match="for reading only"),
    ):
        reader.set_retrain_after(None)


def test_not_every_model_is_validated(data_path: Path, tmp_path: Path) -> None:
    config = project_config(data_path, "bvsb", **LIVE, validate_every=2)
    with Session.create(tmp_path / "p", config) as session:
        session.prepare()
        for n_answers in (5, 3, 3):
            answer(session, n_answers)
            session.train()
            session.prepare()
        assert [row["model_miou"] != "" for row in session.rounds()] == [True, False, True]
    assert config.validates(0), "the model of labels to correct is the first"


@pytest.mark.parametrize("live", [True, False])
def test_live_older_models_go_and_their_rounds_stay(
    live: bool, data_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "N_LIVE_MODELS", 1)
    settings = LIVE if live else {**LIVE, "retrain_after": None}
    path = tmp_path / "p"
    with Session.create(path, project_config(data_path, "bvsb", **settings)) as session:
        session.prepare()
        answer(session, 3)
        args = {"project": str(path), "log_seq": 3, "row": {}}
        for number in (1, 2):
            train_and_score(
                {**args, "round": number, "row": {"round": number}}, lambda _: None, lambda: False
            )
        project = session.project
        assert project.rounds_done() == [1, 2]
        assert [project.model_file(n).exists() for n in (1, 2)] == [not live, True]
        kept = {file.name for file in (project.cache / "predictions").iterdir()}
        assert kept == ({"round_02"} if live else {"round_01", "round_02"})
    with Session.open(path) as again:
        assert [row["round"] for row in again.rounds()] == ["1", "2"]
        query = again.query()
        assert query is not None
        assert query.model_round == again.model_round == 2


def test_a_newest_round_without_its_model_is_not_done(session: Session) -> None:
    for _ in range(2):
        answer(session, 50)
        session.train()
        session.prepare()
    session.project.model_file(2).unlink()
    assert session.project.rounds_done() == [1]


def test_a_round_of_unsure_answers_trains_nothing_and_says_so(session: Session) -> None:
    warned: list[str] = []
    session.events.warned.connect(warned.append)
    for _ in range(5):
        query = session.query()
        assert query is not None
        session.submit(Answer(query, (), ONE_CLICK, outcome="unsure"))
    session.train()
    (words,) = warned
    assert "Round 1: nothing was learnt" in words
    assert "there is no model yet" in words
    (row,) = session.rounds()
    assert (row["train_steps"], row["model_miou"]) == ("0", "")
    session.prepare()
    assert answer(session, 3) == 3, "it goes on"
