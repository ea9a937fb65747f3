"""Statistics over answers: counted once, and kept up to date."""

import csv
import io
from dataclasses import astuple, replace

import numpy as np
import pytest

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.formats.classes import default_classes
from napari_al.methods.queries import Answer, Query, Region
from napari_al.plugin.control import answer_statistics
from napari_al.session.log.log import AnnotationLog

BOX = Mask.from_array(np.ones((10, 20), bool), (5, 5))


def _answer(class_ids=(0,), *, seconds=1.0, clicks=None, outcome="labelled", **query):
    region = Region("a/b", (3,), BOX)
    asked = Query(region, query.pop("query_type", "dominant"), 0.5, 1, 0, **query)
    return Answer(
        asked, class_ids, clicks or Clicks(class_clicks=1), outcome=outcome, seconds=seconds
    )


def test_tally_counts_by_kind_and_leaves_pauses_out():
    found = answer_statistics.StatisticsAccumulator().update(
        [
            _answer((0,), seconds=1),
            _answer((1, 2), seconds=4, clicks=Clicks(class_clicks=2), query_type="multi-class"),
            _answer((1,), seconds=3000),
            _answer((), outcome="unsure", seconds=2),
            _answer((3,), query_type="correction", pseudo_label=3, pixel_rc=(6, 6), seconds=2),
            _answer((4,), query_type="correction", pseudo_label=3, pixel_rc=(6, 6), seconds=2),
        ]
    )
    assert found.n_queries == 6
    assert found.clicks == Clicks(class_clicks=7)
    assert found.counts == {0: 1, 1: 2, 2: 1, 3: 1, 4: 1}
    assert (found.n_accepted, found.n_corrected) == (1, 1)
    assert found.seconds_per_query == 2
    assert found.active_s == 11
    assert found.by_outcome["unsure"] == 1
    assert found.by_class[1] == answer_statistics.ClassCost(
        n_answers=2, clicks=2, seconds=2
    )  # half of 4
    assert found.by_class[2] == answer_statistics.ClassCost(n_answers=1, clicks=1, seconds=2)


def test_an_empty_tally_knows_no_seconds():
    assert answer_statistics.StatisticsAccumulator().update([]).seconds_per_query is None


def _assert_alike(tally, fresh):
    """Compare tallies; sums of seconds by class depend on the order in their last digits."""
    assert replace(tally, by_class={}) == replace(fresh, by_class={})
    assert tally.by_class.keys() == fresh.by_class.keys()
    for class_id, cost in tally.by_class.items():
        assert astuple(cost) == pytest.approx(astuple(fresh.by_class[class_id]))


def test_running_sums_are_those_of_a_fresh_start(tmp_path):
    rng = np.random.default_rng(0)
    statistics, coverage = (
        answer_statistics.StatisticsAccumulator(),
        answer_statistics.CoverageAccumulator(),
    )
    with AnnotationLog(tmp_path / "log.sqlite") as log:
        for _ in range(120):
            active = log.active()
            match rng.integers(6):
                case 0:
                    log.undo()
                case 1:
                    log.redo()
                case 2 if active:
                    log.amend(active[rng.integers(len(active))].id, _answer((7,), seconds=3))
                case _:
                    log.append([_answer((int(rng.integers(5)),), seconds=float(rng.random()))])
            if rng.random() < 0.7:
                _assert_alike(
                    statistics.update(log.active()),
                    answer_statistics.StatisticsAccumulator().update(log.active()),
                )
                fresh = answer_statistics.CoverageAccumulator().update(log.active())
                assert coverage.update(log.active()) == fresh


def test_coverage_counts_pixels_by_class():
    region = Region("a", (1,), Mask.from_array(np.ones((5, 5), bool)))
    square = Query(region, "dominant", 0.5, 1, 0)
    answers = [
        Answer(square, (2,), Clicks(1)),
        Answer(square, (1, 2), Clicks(2)),
        Answer(square, (), Clicks(1), outcome="unsure"),
    ]
    found = answer_statistics.CoverageAccumulator().update(answers)
    assert found.px_by_class == {2: 25}
    assert found.drawn_clicks >= 15


def test_csv_has_one_row_an_answer():
    classes = default_classes(["sky", "a, b"])
    text = answer_statistics.to_csv([_answer((1,)), _answer((), outcome="skipped")], classes)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["classes"] for row in rows] == ["a, b", ""]
    assert [row["drawn_clicks"] for row in rows] == ["5", "5"]  # a rectangle: four and its class
    assert rows[1]["outcome"] == "skipped"
    assert [rows[0]["source"], rows[0]["predicted"]] == ["acquisition", ""]
    drawn = _answer((1,))
    drawn = replace(drawn, query=replace(drawn.query, source="random", predicted=0))
    (row,) = csv.DictReader(io.StringIO(answer_statistics.to_csv([drawn], classes)))
    assert [row["source"], row["predicted"]] == ["random", "sky"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (59.8, "1 min"), (600, "10 min"), (4980, "1 h 23 min")]
)
def test_duration(seconds, text):
    assert answer_statistics.duration(seconds) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 clicks"), (1, "1 click"), (2, "2 clicks"), (10 / 3, "3.3 clicks")]
)
def test_count(n, text):
    assert answer_statistics.count(n, "click") == text
