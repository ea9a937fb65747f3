"""Data folders in which not every image has labels to correct, or ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import answer_round, project_config, write_initial

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.session.project.config import TrainingSettings
from napari_al.session.project.initial_labels import notes_of_labels
from napari_al.session.rounds.training_labels import target_images
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = TrainingSettings(segmenter="filters", steps=2, members=1, threads=1)
UNLABELLED = ("scene_1", "scene_3")


@pytest.mark.parametrize("method", ["alc", "a2lc"])
@pytest.mark.parametrize("has_masks", [True, False])
def test_only_images_with_labels_are_asked_about(
    own_data_path: Path, tmp_path: Path, method: str, has_masks: bool
) -> None:
    train = write_initial(own_data_path) / "train"
    for name in UNLABELLED:
        (train / "initial_labels" / f"{name}.png").unlink()
    if not has_masks:
        for file in (train / "masks").iterdir():
            file.unlink()
    config = project_config(own_data_path, method, training=TRAINING)
    with Session.create(tmp_path / "p", config) as session:
        first, *more = notes_of_labels(session.data, session.config)
        names = ", ".join(UNLABELLED)
        assert first == f"2 images have no initial labels: nothing is asked there ({names})."
        assert len(more) == (not has_masks)
        assert not more or more[0].startswith("3 images have no object masks")
        oracle = Oracle(session.data)
        session.train()
        answer_round(session, oracle)
        session.train()
        session.prepare()
        assert session.scores_are_complete
        asked = {query.region.image for query in session.upcoming(1000)}
        assert asked | {a.query.region.image for a in session.answers()} <= {
            "scene_0", "scene_2", "scene_4",
        }  # fmt: skip
        assert asked
        for name in UNLABELLED:
            assert (session.region_map(name) == -1).all()
            assert (session.current_labels(name) == IGNORE).all()
            assert session.prediction(name) is not None
            assert session.query_at(name, (3, 3)) is None
        assert target_images(session._answered.snapshot) == ("scene_0", "scene_2", "scene_4")
        progress = {row.image: row for row in session.images_progress()}
        assert [progress[name].n_regions for name in UNLABELLED] == [0, 0]


def test_without_any_labels_it_says_what_is_missing(own_data_path: Path, tmp_path: Path) -> None:
    with (
        Session.create(tmp_path / "p", project_config(own_data_path, "alc")) as session,
        pytest.raises(InputError, match=r"no train/initial_labels.*--init"),
    ):
        session.region_map("scene_0")


def test_training_labels_are_compared_with_what_truth_there_is(
    own_data_path: Path, data_path: Path, tmp_path: Path
) -> None:
    oracle = Oracle(DataFolder.open(data_path))
    for name in UNLABELLED:
        (own_data_path / "train" / "labels" / f"{name}.png").unlink()
    config = project_config(own_data_path, "random", training=TRAINING, budget=40)
    with Session.create(tmp_path / "p", config) as session:
        answer_round(session, oracle)
        session.train()
        (row,) = session.rounds()
        covered = n_true = 0
        for name in set(session.data.train) - set(UNLABELLED):
            truth, answers = session.data.labels(name), session.answers_map(name)
            assert truth is not None
            n_true += np.count_nonzero(truth != IGNORE)
            covered += np.count_nonzero((truth != IGNORE) & (answers != IGNORE))
        assert float(row["data_coverage"]) == pytest.approx(covered / n_true, abs=1e-4)
        assert 0 < float(row["data_miou"]) <= 1
