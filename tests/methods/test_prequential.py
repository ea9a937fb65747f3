"""Prequential accuracy over answers whose predictions are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.core.stopping import Share
from napari_al.methods.prequential import prequential_accuracy
from napari_al.methods.queries import Answer, Piece, Query, Region, was_predicted

QUERY = Query(Region("a", (1,), Mask((0, 0, 2, 4), (0, 8))), "dominant", 0.5, 2, 1, predicted=1)


def answered(*class_ids: int, predicted: int | None = 1, source: str = "acquisition") -> Answer:
    query = replace(QUERY, predicted=predicted, source=source)
    return Answer(query, class_ids, Clicks(1))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered(1), True),
        (answered(2), False),
        (answered(2, 1), True),
        (answered(1, predicted=None), None),
        (replace(answered(), outcome="unsure"), None),
        (
            replace(
                answered(1, 2),
                pieces=(
                    Piece(2, Mask((0, 0, 1, 3), (0, 3))),
                    Piece(1, Mask((1, 0, 2, 2), (0, 2))),
                    Piece(1, Mask((1, 2, 2, 4), (0, 2))),
                ),
            ),
            True,
        ),
        (replace(answered(2, 3), pieces=(Piece(2, Mask((0, 0, 1, 3), (0, 3))),)), False),
    ],
)
def test_was_predicted(answer: Answer, expected: bool | None) -> None:
    assert was_predicted(answer) is expected


def test_newest_answers_by_class_at_random_and_as_a_curve() -> None:
    found = prequential_accuracy(
        [
            answered(0, predicted=None),
            answered(1, source="random"),
            answered(2, source="random"),
            replace(answered(), outcome="skipped"),
            answered(1),
            answered(1, source="random"),
        ],
        newest=3,
    )
    assert found.newest == Share(2, 3)
    assert found.by_class == {1: Share(2, 2), 2: Share(0, 1)}
    assert found.random == Share(2, 3)
    assert found.curve == [(2, 1.0), (3, 0.5), (5, pytest.approx(2 / 3)), (6, pytest.approx(2 / 3))]


@pytest.mark.parametrize("answers", [[], [answered(1, predicted=None)]])
def test_nothing_is_known_without_predictions(answers: list[Answer]) -> None:
    for newest in (None, 60):
        found = prequential_accuracy(answers, newest)
        assert found.newest == found.random == Share(0, 0)
        assert (found.by_class, found.curve) == ({}, [])


def test_regions_that_the_annotator_chose_do_not_count() -> None:
    asked = [answered(1), answered(2)]
    chosen = [answered(2, source="picked"), answered(1, source="accepted")]
    assert prequential_accuracy(asked + chosen) == prequential_accuracy(asked)
