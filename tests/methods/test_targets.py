"""Training labels of one image from its answers: painted, merged and void, sieved, localised."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.methods.queries import Answer, AutomaticCorrection, Outcome, Query, Region
from napari_al.methods.settings import TargetSettings
from napari_al.methods.targets import (
    ImageRecords,
    corrected,
    filled,
    localised,
    partial_labels,
    sieved,
)

if TYPE_CHECKING:
    from napari_al.methods.table import QueryType

BASE = np.arange(4, dtype=np.int32).reshape(1, 4).repeat(3, axis=1)  # four regions of three pixels
SHAPE = (1, 12)


def initial() -> np.ndarray:
    return np.full(SHAPE, 3, np.uint8)


def answer(
    ids: tuple[int, ...],
    *class_ids: int,
    outcome: Outcome = "labelled",
    query_type: QueryType = "dominant",
) -> Answer:
    region = Region("a", ids, Mask.from_array(np.isin(BASE, ids)))
    query = Query(region, query_type, score=0.0, round=1, model_round=0)
    return Answer(query, class_ids, Clicks(class_clicks=1), outcome=outcome)


def by_region(class_map: np.ndarray) -> list[int]:
    return class_map[0, ::3].tolist()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([answer((0,), 1), answer((2,), 2)], [1, 255, 2, 255], id="apart"),
        pytest.param([answer((0,), 1), answer((0, 1), 2)], [2, 2, 255, 255], id="the later counts"),
        pytest.param([answer((0,), 1, 2)], [255, 255, 255, 255], id="a set says nothing of pixels"),
        pytest.param(
            [answer((0,), 1), answer((0, 1), outcome="ignored")],
            [1, 255, 255, 255],
            id="a merged void region leaves what was answered before",
        ),
        pytest.param(
            [answer((0, 1), outcome="ignored"), answer((0,), 1)],
            [1, 255, 255, 255],
            id="void first",
        ),
        pytest.param(
            [answer((0,), 1), answer((0,), outcome="ignored")],
            [255, 255, 255, 255],
            id="a region that is void after all",
        ),
        pytest.param(
            [answer((0,), outcome="skipped"), answer((1,), outcome="unsure")],
            [255, 255, 255, 255],
            id="no label",
        ),
    ],
)
def test_filled(answers: list[Answer], expected: list[int]) -> None:
    records = ImageRecords(SHAPE, initial, answers)
    assert by_region(filled(records)) == expected
    # a model that is sure of everything removes nothing
    if all(len(a.class_ids) < 2 for a in answers):
        sure = np.ones((4, *SHAPE), np.float32)
        assert by_region(sieved(records, sure, TargetSettings()).class_map) == expected


def test_corrected() -> None:
    correction = AutomaticCorrection(1, answer((1,)).query.region, 3, 2, 0.99)
    answers = [answer((0,), 1), answer((3,), outcome="ignored")]
    records = ImageRecords(SHAPE, initial, answers, [correction])
    assert by_region(corrected(records)) == [1, 2, 3, 255]
    assert (initial() == 3).all()


def test_a_merged_void_region_leaves_earlier_sets_of_classes() -> None:
    answers = [answer((0,), 0, 2), answer((0, 1), outcome="ignored")]
    region_map, candidates = partial_labels(ImageRecords(SHAPE, initial, answers), 3)
    assert by_region(region_map) == [0, 1, -1, -1]
    assert candidates.tolist() == [[True, False, True], [False, False, False]]


@pytest.mark.parametrize("swapped", [False, True])
def test_the_highest_region_id_wins_whichever_was_answered_first(swapped: bool) -> None:
    """Regions 0 and 2 expand to region 1 between them, each with the same similarity."""
    answers = [answer((0,), 0), answer((2,), 1)]
    records = ImageRecords(SHAPE, initial, answers[::-1] if swapped else answers)
    weight = torch.tensor([0.4, 0.0, 0.0, 0.1, 0.1, 0.1, 0.4, 0.0, 0.0, 2.0, 2.0, 2.0])
    features = torch.stack([torch.ones(12), weight])[:, None]
    probs = torch.full((2, *SHAPE), 0.5)
    settings = TargetSettings(expansion_conflicts="last")
    got = localised(records, BASE, features, probs, settings, stride=1)
    first = localised(
        replace(records, answers=answers[:1]), BASE, features, probs, settings, stride=1
    )
    assert by_region(first) == [0, 0, IGNORE, IGNORE]
    assert by_region(got) == [0, 1, 1, IGNORE]


def test_prototypes_by_the_cosines_without_temperature() -> None:
    """The pixel of the largest probability is another one where the temperature is left out."""
    cosines = torch.tensor([[0.5, 0.9, 0.0], [0.2, 0.7, 0.0], [0.2, -0.9, 0.0]])
    probs = torch.full((3, *SHAPE), 1 / 3)
    probs[:, 0, :3] = (cosines / 0.1).softmax(dim=0)
    features = torch.stack([torch.linspace(0, 1, 12), torch.ones(12)])[:, None]
    records = ImageRecords(SHAPE, initial, [answer((0,), 0)])
    calls: list[torch.Tensor] = []

    def seen(prototypes: str) -> torch.Tensor:
        from napari_al.core import localisation

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                localisation, "localise", lambda f, p, *args, **kwargs: calls.append(p) or p
            )
            settings = TargetSettings(prototypes=prototypes)
            localised(records, BASE, features, probs, settings, stride=1, temperature=0.1)
        return calls[-1]

    assert seen("probability")[0, 0, :3].argmax() == 0
    plain = seen("cosine")[:, 0, :3]
    torch.testing.assert_close(plain, cosines.softmax(dim=0))
    assert plain[0].argmax() == 1
