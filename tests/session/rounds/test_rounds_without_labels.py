"""Rounds whose answers name no class: nothing is learnt from them, and that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import answer_round, project_config

from napari_al.core.clicks import Clicks
from napari_al.learning.weights import load_segmenter
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["efficientnet-lite0", "compact"])
def session(data_path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    config = project_config(data_path)
    given = {"segmenter": request.param, "steps": 3, "batch_size": 2, "crop_px": 32, "threads": 1}
    training = type(config.training)(**given)
    with Session.create(tmp_path / "p", config.model_copy(update={"training": training})) as opened:
        yield opened


def answer_unsure(session: Session) -> None:
    from napari_al import Answer

    session.prepare()
    while (query := session.query()) is not None:
        session.submit(Answer(query, (), Clicks(class_clicks=1), outcome="unsure"))


def test_a_first_round_without_a_label_gives_no_model(session: Session) -> None:
    warnings: list[str] = []
    session.events.warned.connect(warnings.append)
    answer_unsure(session)
    session.train()
    (row,) = session.rounds()
    assert (row["train_steps"], row["model_miou"]) == ("0", "")
    assert len(warnings) == 1
    assert "nothing was learnt" in warnings[0]
    assert "there is no model yet" in warnings[0]
    assert any("warning" in record for record in session.project.read_training())
    assert not session.project.has_trained_model(1)
    session.prepare()  # in no order that an untrained network gives
    assert not session.project.prediction_file(1, session.data.train[0]).exists()
    answer_round(session, Oracle(session.data))
    session.train()
    assert int(session.rounds()[1]["train_steps"]) == 3
    assert session.rounds()[1]["model_miou"]
    assert len(warnings) == 1


def test_a_later_round_without_a_label_keeps_what_was_learnt(session: Session) -> None:
    answer_round(session, Oracle(session.data))
    session.train()
    learnt = session.rounds()[0]
    warnings: list[str] = []
    session.events.warned.connect(warnings.append)
    for answer in session.answers():  # and all answers are taken back
        session.amend(answer.id, type(answer)(answer.query, (), answer.clicks, outcome="unsure"))
    answer_unsure(session)
    session.train()
    row = session.rounds()[1]
    assert (row["train_steps"], row["model_miou"]) == ("0", learnt["model_miou"])
    assert "the model stays as it was" in warnings[-1]
    session.prepare()
    before, after = (load_segmenter(session.project.model_file(number)) for number in (1, 2))
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach(), other.detach())


def test_a_later_round_without_a_label_keeps_stage_2(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, "multi-class")) as session:
        answer_round(session, Oracle(session.data))
        session.train()
        session.prepare()
        learnt = [session.prediction(image) for image in session.data.train]
        for answer in session.answers():
            session.amend(
                answer.id, type(answer)(answer.query, (), answer.clicks, outcome="unsure")
            )
        answer_unsure(session)
        session.train()
        session.prepare()
        newest = session.project.newest_model_file()
        assert newest == session.project.model_file(2, stage=2)
        kept = [session.prediction(image) for image in session.data.train]
    np.testing.assert_array_equal(kept, learnt)
