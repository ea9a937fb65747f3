"""What an export of a project holds: also what was answered after the last training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import answer_round, project_config, write_data

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.formats.images import read_ids
from napari_al.methods.queries import Answer
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.export_labels import export_session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session with a trained round, and answers since."""
    config = project_config(write_data(tmp_path / "data"))
    session = Session.create(tmp_path / "project", config)
    oracle = Oracle(session.data)
    answer_round(session, oracle)
    session.train()
    answer_round(session, oracle)
    return session


def test_the_newest_answers_are_in_an_export(session: Session, tmp_path: Path) -> None:
    with session:
        first = session.answers()[0]
        other = (first.class_ids[0] + 1) % 4
        session.amend(first.id, Answer(first.query, (other,), Clicks(class_clicks=1)))
        export_session(session, "png", "targets", tmp_path / "out")
        for image in session.data.train:
            labels = read_ids(tmp_path / "out" / "labels" / f"{image}.png")
            np.testing.assert_array_equal(labels, session.answers_map(image))
        region = first.query.region
        labels = read_ids(tmp_path / "out" / "labels" / f"{region.image}.png")
        assert (region.mask.view(labels)[region.mask.crop()] == other).all()


def test_an_answer_taken_back_after_the_training_is_not_in_it(
    session: Session, tmp_path: Path
) -> None:
    with session:
        undone = []
        while session.answers():
            undone.append(session.answers()[-1].query.region)
            session.undo()
        export_session(session, "png", "targets", tmp_path / "out")
        for region in undone:
            labels = read_ids(tmp_path / "out" / "labels" / f"{region.image}.png")
            assert (labels == IGNORE).all()
