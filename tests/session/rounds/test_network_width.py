"""The networks of a frozen segmenter are as wide as the labels of a round are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenes import answer_round, project_config

from napari_al import Oracle
from napari_al.formats.dataset import DataFolder
from napari_al.learning import training
from napari_al.learning.weights import load_segmenter
from napari_al.session.project.config import TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.runner import run_config
from napari_al.simulate.supervised import supervised_config

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_answers_count_one_each_and_labels_to_correct_by_their_regions(
    data_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FEW_REGIONS", 1)
    few_steps = {"segmenter": "filters", "steps": 1, "threads": 1}
    answered, labelled = tmp_path / "answered", tmp_path / "labelled"
    config = project_config(data_path, training=TrainingSettings.model_validate(few_steps))
    with Session.create(answered, config) as session:
        answer_round(session, Oracle(session.data))
        session.train()
    data = DataFolder.open(data_path)
    run_config(data, supervised_config(data, {"training": few_steps}), 1, labelled)
    widths = {}
    for project in (answered, labelled):
        (model,) = (project / "models").glob("*.safetensors")
        trunk = load_segmenter(model).frozen
        assert trunk is not None
        widths[project.name] = trunk.n_hidden
    assert widths == {"answered": 128, "labelled": 384}
