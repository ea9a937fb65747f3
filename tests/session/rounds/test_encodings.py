"""Predictions of a project's images, and when a frozen encoder's maps of them are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import torch
from scenes import answer_round, project_config

from napari_al import Oracle
from napari_al.formats.dataset import DataFolder, default_classes
from napari_al.formats.image_rules import ImageRules
from napari_al.learning import inference
from napari_al.methods.table import METHODS
from napari_al.session.log.snapshot import open_snapshot
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project.config import ProjectConfig, RegionSettings, TrainingSettings
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import JobContext
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.session.rounds.round_jobs import score_round
from napari_al.session.rounds.training import start_segmenter
from napari_al.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def test_images_side_by_side_are_predicted_without_dropout_and_noise(
    data_path: Path, tmp_path: Path
) -> None:
    training = TrainingSettings(segmenter="filters", steps=3, noise=5.0, threads=1)
    with Session.create(tmp_path / "p", project_config(data_path, training=training)) as session:
        answer_round(session, Oracle(session.data))
        session.train()
    work = JobContext(open_snapshot(tmp_path / "p", 6), 1)
    images = work.snapshot.data.train
    predictor = Predictor(work, work.snapshot.load_model(1))
    assert predictor.segmenter.training
    one_by_one = {image: predictor.probs(image) for image in images}
    assert not predictor.segmenter.training  # for a change back would reach the other threads
    for image, probs in predictor.for_each(images, predictor.probs):
        torch.testing.assert_close(probs(), one_by_one[image], rtol=0, atol=0)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> ProjectConfig:
    """A picture in six blocks, and a frozen segmenter."""
    path = tmp_path_factory.mktemp("slide")
    (path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 250, (128, 192, 3)).astype(np.uint8)
    tifffile.imwrite(path / "images" / "slide.tif", pixels, photometric="rgb")
    classes = default_classes(["a", "b"])
    data = DataFolder.open(path, classes=classes, rules=ImageRules(block_px=64))
    assert len(data.train) == 6
    return ProjectConfig(
        data=str(path),
        classes=classes,
        method=METHODS["classbal"],
        images=data.rules,
        regions=RegionSettings(n_per_image=12),
        training=TrainingSettings(segmenter="filters", steps=3, threads=1),
    )


@pytest.mark.parametrize(
    ("live", "moves", "n_encoded"),
    [(True, False, [0, 1, 2, 3, 4, 5]), (True, True, [0, 0, 1, 2, 3, 4]), (False, False, [0] * 6)],
)
def test_a_block_is_encoded_as_soon_as_it_can_be_asked_about(
    live: bool, moves: bool, n_encoded: list[int], slide: ProjectConfig, tmp_path: Path
) -> None:
    """But if the user moves to another one meanwhile, that is cut first."""
    session = Session.create(tmp_path / "p", slide)
    project, seen = session.project, []

    def note(progress: JobProgress) -> None:
        scores = PoolScores.load(project.scores_file(0, so_far=True))
        if moves and scores is not None and progress.done == 1:
            project.write_looked_at(next(n for n in session.data.train if n not in scores.images))
        encoded = list((project.cache / "encodings").rglob("*.safetensors"))
        seen.append((progress.stage, progress.done, len(encoded)))

    args = {"project": str(project.path), "round": 0, "log_seq": 0, "live": live}
    score_round(args, note, lambda: False)
    session.close()
    assert seen == [("superpixels", done + 1, n) for done, n in enumerate(n_encoded)]


def test_a_job_can_end_within_a_block(
    slide: ProjectConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "STEP_PX", 32)
    Session.create(tmp_path / "p", slide).close()
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) == 2

    work = JobContext(open_snapshot(tmp_path / "p", 0), 0, should_stop=should_stop)
    encodings = Predictor(work, start_segmenter(work, 1)).encodings
    with pytest.raises(Stopped):
        encodings(work.snapshot.data.train[0])
    encodings(work.snapshot.data.train[0])
    assert len(asked) == 2 + 4, "before each square"
