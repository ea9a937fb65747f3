from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import write_data

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.methods.queries import Query, Region
from napari_al.simulate.confusion import Confusion
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.methods.table import QueryType

IMAGE = "scene_0"
SHAPE = (48, 64)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Sky over ground, ignored below; a car on the horizon."""
    path = write_data(tmp_path_factory.mktemp("oracle") / "data", n_train=1)
    truth = np.zeros(SHAPE, np.uint8)
    truth[:20] = 1
    truth[16:26, 30:40] = 2
    truth[40:] = IGNORE
    iio.imwrite(path / "train" / "labels" / f"{IMAGE}.png", truth)
    return DataFolder.open(path)


def ask(
    rows: slice, cols: slice, query_type: QueryType = "dominant", region_id: int = 0, **more: object
) -> Query:
    inside = np.zeros(SHAPE, bool)
    inside[rows, cols] = True
    region = Region(IMAGE, (region_id,), Mask.from_array(inside))
    return Query(region, query_type, 1.0, 1, 0, **more)  # type: ignore[arg-type]


SKY, VOID, HORIZON = (slice(0, 10), slice(0, 20)), (slice(40, 48), slice(0, 20)), slice(10, 30)


@pytest.mark.parametrize(
    ("query", "class_ids", "outcome", "clicks"),
    [
        (ask(*SKY), (1,), "labelled", 1),
        (ask(*VOID), (), "ignored", 1),
        (ask(slice(38, 48), slice(0, 20)), (), "ignored", 1),  # 2 rows of ground, 8 ignored
        (ask(HORIZON, slice(0, 20)), (0,), "labelled", 1),  # 10 rows each: the lowest
        (ask(HORIZON, slice(10, 64), "multi-class"), (0, 1, 2), "labelled", 3),
        (ask(slice(10, 22), slice(0, 20), "multi-class"), (1,), "labelled", 1),  # ground: 2 rows
        (ask(slice(36, 46), slice(0, 20), "multi-class"), (0,), "labelled", 1),
        (ask(*VOID, "multi-class"), (), "ignored", 1),
        (ask(*SKY, "correction", pixel_rc=(3, 3), pseudo_label=0), (1,), "labelled", 1),
        (ask(*SKY, "correction", pixel_rc=(3, 3), pseudo_label=1), (1,), "labelled", 1),
        (ask(*SKY, "correction", pixel_rc=(3, 3), pseudo_label=IGNORE), (1,), "labelled", 1),
        (ask(*VOID, "correction", pixel_rc=(41, 3), pseudo_label=0), (), "ignored", 1),
    ],
)
def test_answers(
    data: DataFolder, query: Query, class_ids: tuple[int, ...], outcome: str, clicks: int
) -> None:
    answer = Oracle(data).answer(query)
    assert answer.class_ids == class_ids
    assert answer.outcome == outcome
    assert answer.clicks == Clicks(class_clicks=clicks)
    assert (answer.query, answer.seconds, answer.annotator) == (query, 0.0, "oracle")


def test_errors_are_the_same_whenever_and_in_whatever_order_one_asks(data: DataFolder) -> None:
    queries = [ask(*SKY, region_id=region_id) for region_id in range(200)]
    confusion = Confusion(0.3, np.eye(4)[[1, 2, 3, 0]])  # 1 is taken for 2
    first = {q.region.ids: Oracle(data, confusion=confusion).answer(q).class_ids for q in queries}
    oracle = Oracle(data, confusion=confusion)
    again = {q.region.ids: oracle.answer(q).class_ids for q in reversed(queries)}
    other = {
        q.region.ids: Oracle(data, seed=1, confusion=confusion).answer(q).class_ids for q in queries
    }
    assert first == again
    assert first != other
    n_wrong = sum(ids == (2,) for ids in first.values())
    assert 40 < n_wrong < 80
    assert set(first.values()) == {(1,), (2,)}


@pytest.mark.parametrize("query_type", ["dominant", "multi-class", "correction", "precise"])
def test_every_kind_of_answer_can_be_wrong(data: DataFolder, query_type: QueryType) -> None:
    query = ask(*SKY, query_type, pixel_rc=(3, 3), pseudo_label=1)
    answer = Oracle(data, confusion=Confusion(1.0, np.eye(4)[[1, 2, 3, 0]])).answer(query)
    assert answer.class_ids == (2,)
    assert answer.outcome == "labelled"


def test_without_ground_truth_there_is_no_oracle(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "data", n_train=2)
    (folder / "train" / "labels" / "scene_1.png").unlink()
    with pytest.raises(InputError, match=r"1 of 2 training images .* 'scene_1' among them"):
        Oracle(DataFolder.open(folder))
