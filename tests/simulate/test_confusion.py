from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.simulate.confusion import Confusion, look_alikes, named_confusions
from napari_al.simulate.initial_labels import noisy_initial_labels, region_labels

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = np.array([[5.0, 3.0, 1.0], [0, 0, 0], [0, 1.0, 0]])


def shares(class_id: int, error_rate: float, n: int = 4000) -> list[float]:
    rng, confusion = np.random.default_rng(0), Confusion(error_rate, WEIGHTS)
    given = [confusion.given(class_id, rng) for _ in range(n)]
    return (np.bincount(given, minlength=3) / n).tolist()


@pytest.mark.parametrize(
    ("class_id", "error_rate", "expected"),
    [
        (0, 0.4, [0.6, 0.3, 0.1]),  # the diagonal does not count
        (1, 0.5, [0.25, 0.5, 0.25]),  # an empty row: any other alike
        (2, 1.0, [0, 1, 0]),
        (2, 0.0, [0, 0, 1]),
    ],
)
def test_errors_come_as_often_and_as_the_class_that_they_should(
    class_id: int, error_rate: float, expected: list[float]
) -> None:
    assert shares(class_id, error_rate) == pytest.approx(expected, abs=0.03)


def test_ignored_stays_ignored_and_one_class_has_no_look_alike() -> None:
    rng = np.random.default_rng(0)
    assert Confusion(1.0, WEIGHTS).given(IGNORE, rng) == IGNORE
    assert Confusion(1.0, np.zeros((1, 1))).given(0, rng) == 0


@pytest.mark.parametrize(
    ("error_rate", "weights"), [(1.5, WEIGHTS), (0.5, WEIGHTS[:2]), (0.5, -WEIGHTS)]
)
def test_impossible_confusions_are_refused(error_rate: float, weights: np.ndarray) -> None:
    with pytest.raises(InputError):
        Confusion(error_rate, weights)


def test_confusions_by_name(data_path: Path) -> None:
    classes = DataFolder.open(data_path).classes
    weights = named_confusions({"car": {"van": 2.0, "sky": 1.0}}, classes)
    assert weights[2].tolist() == [0, 1, 0, 2]
    assert weights.sum() == 3
    with pytest.raises(InputError, match="'bus' is not a class"):
        named_confusions({"car": {"bus": 1.0}}, classes)


def test_look_alikes_are_those_of_like_colour(data_path: Path) -> None:
    weights = look_alikes(DataFolder.open(data_path))
    assert weights[2].argmax() == 3
    assert weights[3].argmax() == 2
    assert np.diag(weights).tolist() == [0, 0, 0, 0]


def test_noisy_labels_are_wrong_object_by_object() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, (6, 8)).repeat(5, axis=0).repeat(5, axis=1).astype(np.uint8)
    truth[:5, :5] = IGNORE
    labels, masks = noisy_initial_labels(truth, Confusion(0.5, WEIGHTS), rng)
    assert ((masks == 0) == (truth == IGNORE)).all()
    assert (labels[masks == 0] == IGNORE).all()
    n_wrong = 0
    for object_id in range(1, masks.max() + 1):
        inside = masks == object_id
        assert len(np.unique(truth[inside])) == len(np.unique(labels[inside])) == 1
        n_wrong += int(truth[inside][0] != labels[inside][0])
    assert 0 < n_wrong < masks.max()
    assert not ((truth == 2) & (labels == 0)).any(), "2 is only ever taken for 1"


def test_noisy_labels_without_any_class() -> None:
    labels, masks = noisy_initial_labels(
        np.full((4, 4), IGNORE, np.uint8), Confusion(1.0, WEIGHTS), np.random.default_rng(0)
    )
    assert (labels == IGNORE).all()
    assert (masks == 0).all()


def test_region_labels_give_each_region_its_most_frequent_class() -> None:
    class_map = np.array([[1, 1, 0], [2, 1, 0], [2, 2, 0]], np.uint8)
    region_map = np.array([[0, 0, 1], [0, 0, 1], [0, -1, -1]], np.int32)
    labels, masks = region_labels(class_map, region_map)
    assert labels.tolist() == [[1, 1, 0], [1, 1, 0], [1, IGNORE, IGNORE]]
    assert masks.tolist() == [[1, 1, 2], [1, 1, 2], [1, 0, 0]]
