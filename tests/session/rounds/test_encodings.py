"""Predictions of a project's images, one after the other and side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scenes import answer_round, project_config

from napari_al import Oracle
from napari_al.session.log.snapshot import open_snapshot
from napari_al.session.project.config import TrainingSettings
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import JobContext
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
