"""How a batch is put together: equal shares, a cap of questions an image, noise that fades."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError
from scenes import answer_round, project_config

from napari_al import InputError, Oracle, make_config
from napari_al.core.acquisition import power_noise
from napari_al.formats.dataset import DataFolder
from napari_al.methods.acquisition import needs_model
from napari_al.methods.pool_scores import pool_scores
from napari_al.methods.settings import AcquisitionSettings
from napari_al.methods.table import METHODS, Method
from napari_al.session.project.config import TrainingSettings
from napari_al.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "uniform": rng.random(n),
        "queried": rng.random(n) < 0.2,
        "image": rng.integers(0, 4, n),
        "model_round": np.full(n, 3),
        "dominant": rng.choice(4, n, p=[0.7, 0.2, 0.1, 0]),
        "mean_bvsb": rng.random(n),
    }


def best(scores: np.ndarray, n: int) -> list[int]:
    return np.argsort(-scores)[:n].tolist()


def test_equal_shares_of_the_predicted_classes(data_path: Path) -> None:
    config = project_config(data_path, "random-equal")
    held = columns(200)
    chosen = best(pool_scores(held, config), 12)
    assert Counter(held["dominant"][chosen].tolist()) == {0: 4, 1: 4, 2: 4}
    assert not held["queried"][chosen].any()
    for class_id in range(3):  # within a class at random: the largest numbers drawn
        of_class = [i for i in chosen if held["dominant"][i] == class_id]
        rest = (held["dominant"] == class_id) & ~held["queried"]
        rest[of_class] = False
        assert held["uniform"][of_class].min() > held["uniform"][rest].max()


def test_before_there_is_a_model_all_are_drawn_at_random(data_path: Path) -> None:
    held = columns(50)
    first = {name: held[name] for name in ("uniform", "queried", "image", "model_round")}
    for method in ("random", "random-equal", "power-equal", "bald", "classbal"):
        scores = pool_scores(first, project_config(data_path, method), by_model=False)
        np.testing.assert_array_equal(scores, held["uniform"])


def test_a_cap_of_questions_an_image(data_path: Path) -> None:
    config = project_config(data_path, "random", acquisition=AcquisitionSettings(max_per_image=2))
    assert not needs_model(config)
    held = columns(200)
    chosen = best(pool_scores(held, config), 8)
    assert Counter(held["image"][chosen].tolist()) == {0: 2, 1: 2, 2: 2, 3: 2}
    # and of the equal shares of classes
    config = project_config(
        data_path, "random-equal", acquisition=AcquisitionSettings(max_per_image=3)
    )
    assert needs_model(config)
    chosen = best(pool_scores(held, config), 12)
    assert Counter(held["image"][chosen].tolist()) == {0: 3, 1: 3, 2: 3, 3: 3}


def test_noise_fades_from_model_to_model(data_path: Path) -> None:
    method = METHODS["bvsb"].model_copy(update={"acquisition": "power-bvsb"})
    config = project_config(data_path).model_copy(
        update={"method": method, "acquisition": AcquisitionSettings(power=(1.0, 7.0))}
    )
    held = columns(30)
    for model_round, beta in ((0, 1), (1, 1), (2, 7), (5, 7)):
        held["model_round"][:] = model_round
        expected = power_noise(held["mean_bvsb"], held["uniform"], beta)
        np.testing.assert_array_equal(pool_scores(held, config), expected)


def test_equal_shares_are_not_for_corrections() -> None:
    with pytest.raises(ValidationError, match="goes by predicted classes"):
        Method(name="mine", query="correction", targets="correct", selection="equal-shares")


def test_only_multi_class_queries_may_differ_by_region() -> None:
    with pytest.raises(ValidationError, match="it needs query='multi-class', got 'dominant'"):
        Method(name="mine", query_choice="by-region")


def test_every_second_question_looks_for_classes_without_an_answer(data_path: Path) -> None:
    held = columns(60)
    rng = np.random.default_rng(5)
    held["features"] = rng.normal(size=(60, 4)).astype(np.float16)
    held["features"][7] = held["features"][9] = 30  # like nothing else
    held["queried"][[7, 9]] = False
    held["answered_as"] = np.zeros((60, 4), bool)
    held["answered_as"][np.flatnonzero(held["queried"])[:2]] = [True, True, True, False]
    config = project_config(data_path, "bvsb")
    settings = AcquisitionSettings(search=2)
    config = config.model_copy(update={"acquisition": settings})
    assert len(config.classes) == 4
    usual = np.argsort(-np.where(held["queried"], -1, held["mean_bvsb"])).tolist()
    chosen = best(pool_scores(held, config), 4)
    assert chosen[0] == usual[0]
    assert chosen[1] == 7
    assert chosen[2] == usual[1]
    assert chosen[3] != 9  # which is as far, but like the one before it
    held["answered_as"][np.flatnonzero(held["queried"])[:2], 3] = True
    np.testing.assert_array_equal(pool_scores(held, config), held["mean_bvsb"])


def test_coverage_needs_a_frozen_encoder(data_path: Path) -> None:
    data = DataFolder.open(data_path)
    for method, settings in (("maxherding", {}), ("bvsb", {"acquisition": {"search": 1}})):
        with pytest.raises(InputError, match=r"reads the features of a frozen segmenter"):
            make_config(data, {"training": {"segmenter": "compact"}, **settings}, method)


def test_coverage_asks_from_the_first_batch_on(data_path: Path, tmp_path: Path) -> None:
    training = TrainingSettings(segmenter="filters", steps=3, threads=1)
    asked = {}
    for method in ("random", "uherding"):
        config = project_config(data_path, method, training=training)
        with Session.create(tmp_path / method, config) as session:
            session.prepare()
            asked[method] = session.upcoming(6)
            assert [q.model_round for q in asked[method]] == [0] * 6
    assert asked["uherding"][0].score == 1
    assert {q.region.ids for q in asked["random"]} != {q.region.ids for q in asked["uherding"]}


def test_bald_needs_an_ensemble(data_path: Path) -> None:
    data = DataFolder.open(data_path)
    for training in ({"segmenter": "compact"}, {"members": 1}):
        with pytest.raises(InputError, match=r"needs a segmenter with training.frozen"):
            make_config(data, {"training": training}, "bald")


@pytest.mark.parametrize("merging", ["none", "adaptive"])
@pytest.mark.parametrize(
    "name", ["random-equal", "power-equal", "bald-equal", "maxherding", "uherding"]
)
def test_rounds_with_and_without_merging(
    data_path: Path, tmp_path: Path, name: str, merging: str
) -> None:
    config = project_config(
        data_path,
        name,
        training=TrainingSettings(segmenter="filters", steps=3, threads=1),
        acquisition=AcquisitionSettings(max_per_image=2),
    )
    method = config.method.model_copy(update={"merging": merging})
    config = config.model_copy(update={"method": method})
    with Session.create(tmp_path / "run", config) as session:
        oracle = Oracle(session.data)
        for _ in range(2):
            asked_before = len(session.answers())
            answer_round(session, oracle)
            images = Counter(a.query.region.image for a in session.answers()[asked_before:])
            assert max(images.values()) <= 2
            session.train()
        session.prepare()
        assert session.scores_round == 2
