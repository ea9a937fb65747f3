"""Settings that reproduce the authors' code reach the equations that they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scenes import answer_round, project_config, write_data, write_initial

from napari_al.core.correction import class_weights
from napari_al.learning.batches import Batch
from napari_al.methods.acquisition import ACQUISITIONS
from napari_al.methods.loss import loss_function, partial_label_loss
from napari_al.methods.table import METHODS
from napari_al.session.rounds.training import loop_settings
from napari_al.session.session import Session
from napari_al.simulate.runner import oracle_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.session.project.config import ProjectConfig


def changed(config: ProjectConfig, group: str, **values: object) -> ProjectConfig:
    settings = getattr(config, group).model_copy(update=values)
    return config.model_copy(update={group: settings})


@pytest.mark.parametrize("name", ["classbal", "classbal-pixels"])
def test_frequency_scale(name: str, data_path: Path) -> None:
    columns = {
        "mean_bvsb": np.array([0.5, 0.5, 0.5], np.float32),
        "dominant": np.array([0, 0, 1]),
        "size": np.array([10, 10, 10]),
    }
    config = project_config(data_path)
    for scale in (1.0, 0.25):
        scores = ACQUISITIONS[name].score(
            columns, changed(config, "acquisition", frequency_scale=scale)
        )
        expected = 0.5 * np.exp(-scale * np.array([2 / 3, 2 / 3, 1 / 3]))
        np.testing.assert_allclose(scores, expected)


def test_classes_of_abc(data_path: Path) -> None:
    histogram = np.array([[80, 0, 15, 5], [0, 0, 0, 1]])
    columns = {
        "similarity_cil_by_class": np.eye(4, dtype=np.float32)[:2],
        "label_histogram": histogram,
        "queried": np.array([False, True]),
    }
    config = project_config(data_path)
    for choice, present_only in (("all", False), ("present", True)):
        scores = ACQUISITIONS["abc"].score(
            columns, changed(config, "acquisition", abc_classes=choice)
        )
        weights = class_weights(histogram[0], present_only=present_only)
        np.testing.assert_allclose(scores, weights[:2])
    assert class_weights(histogram[0], present_only=True)[1] == 0


def test_pooling_of_the_loss(data_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 4, 4, generator=rng)
    region_map = torch.tensor([[0, 0, 0, 1]] * 4)[None]
    candidates = torch.tensor([[True, False, False], [True, True, False]])
    batch = Batch(logits, None, region_map, candidates)
    config = project_config(data_path, "multi-class")
    for pooling in ("region", "pixel"):
        training = config.training.model_copy(update={"loss_pooling": pooling})
        loss = loop_settings(training, "multi-class").loss(logits, batch)
        expected = partial_label_loss(
            logits, region_map, candidates, weights=training.loss_weights, pooling=pooling
        )
        torch.testing.assert_close(loss, expected)
        again = loss_function("multi-class", weights=training.loss_weights, pooling=pooling)(
            logits, batch
        )
        torch.testing.assert_close(loss, again)


def test_first_pair_of_a_side(data_path: Path) -> None:
    """A change between the first two pixels of each side costs a click, or none."""
    config = project_config(data_path, "rectangle-precise")
    costs = []
    for first_pair in (True, False):
        oracle = oracle_of_scene(changed(config, "oracle", first_pair=first_pair), data_path)
        costs.append(oracle)
    assert costs[0] > costs[1]


def oracle_of_scene(config: ProjectConfig, data_path: Path) -> int:
    """Intersection clicks of all rectangles."""
    from napari_al.core.geometry.masks import Mask
    from napari_al.formats.dataset import DataFolder
    from napari_al.methods.queries import Query, Region

    data = DataFolder.open(data_path)
    oracle = oracle_of(data, config)
    total = 0
    for image in data.train:
        height, width = data.shape(image)
        for row in range(0, height - 8, 8):
            for col in range(0, width - 8, 8):
                inside = np.zeros((height, width), bool)
                inside[row : row + 8, col : col + 8] = True
                region = Region(image, (0,), Mask.from_array(inside))
                query = Query(region, "precise", score=0.0, round=1, model_round=0)
                total += oracle.answer(query).clicks.intersection_clicks
    return total


@pytest.mark.parametrize(
    ("method", "group", "values"),
    [
        ("alc", "acquisition", {"unlabelled": "predicted"}),
        ("a2lc", "acquisition", {"abc_classes": "present", "unlabelled": "predicted"}),
        ("multi-class", "targets", {"similarity": "dot", "prototypes": "cosine"}),
        ("multi-class", "training", {"loss_pooling": "pixel"}),
        ("adaptive-superpixel", "acquisition", {"frequency_scale": 0.25}),
    ],
)
def test_a_round_with_variants(
    method: str, group: str, values: dict[str, str], tmp_path: Path
) -> None:
    data_path = write_initial(write_data(tmp_path / "data"))
    config = changed(project_config(data_path, method), group, **values)
    assert config.method == METHODS[method]
    with Session.create(tmp_path / "p", config) as session:
        if config.method.starts_from_labels:
            session.train()
        answer_round(session, oracle_of(session.data, config))
        session.train()
        session.prepare()
        assert session.model_round == 1
