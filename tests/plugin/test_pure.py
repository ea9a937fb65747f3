"""The parts without a window: keys, costs, drawn polygons, displayed pixels."""

import csv
import io
import queue
from dataclasses import astuple, replace

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import project_config

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.plugin import drawing
from napari_al.plugin.annotate import answer_costs, keys
from napari_al.plugin.control import coverage_statistics
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.live_statistics import Figures
from napari_al.plugin.layers import picture_store
from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.start import new_session, placement_file
from napari_al.session.log.log import AnnotationLog
from napari_al.session.log.records import Answer, Query, Region
from napari_al.session.session import Session

BOX = Mask.from_array(np.ones((10, 20), bool), (5, 5))


def _answer(class_ids=(0,), *, seconds=1.0, clicks=None, outcome="labelled", **query):
    region = Region("a/b", (3,), BOX)
    asked = Query(region, query.pop("query_type", "dominant"), 0.5, 1, 0, **query)
    return Answer(
        asked, class_ids, clicks or Clicks(class_clicks=1), outcome=outcome, seconds=seconds
    )


def _rectangle(row0, col0, row1, col1):
    return np.array([[row0, col0], [row0, col1], [row1, col1], [row1, col0]], float)


@pytest.mark.parametrize("n", [2, 10, 11, 24, 25, 47, 48, 255])
def test_class_keys_never_collide(n):
    given = keys.class_keys(n)
    taken = {key for action in keys.ACTIONS.values() for key in action.keys}
    assert len(given) == len(set(given)) == n
    assert {len(key) for key in given} <= {1, 2}
    assert not {char for key in given for char in key} & taken
    begin = {key[0] for key in given if len(key) == 2}
    assert not begin & set(given), "a key that begins a pair names no class"
    assert given[:10] == tuple("1234567890")[:n]


def test_no_key_does_two_things():
    every = [key for action in keys.ACTIONS.values() for key in action.keys]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("key", "text"), [("Control-Shift-Z", "Ctrl+Shift+Z"), ("Space", "Space"), ("/", "/")]
)
def test_shown(key, text):
    assert keys.shown(key) == text


def test_tally_counts_by_kind_and_leaves_pauses_out():
    found = answer_costs.Teller().tally(
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
    assert found.seconds_a_query == 2
    assert found.worked_s == 11
    assert found.by_outcome["unsure"] == 1
    assert found.by_class[1] == answer_costs.ClassCost(
        n_answers=2, clicks=2, seconds=2
    )  # half of 4
    assert found.by_class[2] == answer_costs.ClassCost(n_answers=1, clicks=1, seconds=2)


def test_an_empty_tally_knows_no_seconds():
    assert answer_costs.Teller().tally([]).seconds_a_query is None


def _assert_alike(tally, fresh):
    """Compare tallies; sums of seconds by class depend on the order in their last digits."""
    assert replace(tally, by_class={}) == replace(fresh, by_class={})
    assert tally.by_class.keys() == fresh.by_class.keys()
    for class_id, cost in tally.by_class.items():
        assert astuple(cost) == pytest.approx(astuple(fresh.by_class[class_id]))


def test_running_sums_are_those_of_a_fresh_start(tmp_path):
    rng = np.random.default_rng(0)
    teller, bookkeeper = answer_costs.Teller(), coverage_statistics.Bookkeeper()
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
                _assert_alike(teller.tally(log.active()), answer_costs.Teller().tally(log.active()))
                fresh = coverage_statistics.Bookkeeper().balance(log.active())
                assert bookkeeper.balance(log.active()) == fresh


def test_csv_has_one_row_an_answer():
    classes = default_classes(["sky", "a, b"])
    text = answer_costs.to_csv([_answer((1,)), _answer((), outcome="skipped")], classes)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["classes"] for row in rows] == ["a, b", ""]
    assert [row["drawn_clicks"] for row in rows] == ["5", "5"]  # a rectangle: four and its class
    assert rows[1]["outcome"] == "skipped"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (59.8, "1 min"), (600, "10 min"), (4980, "1 h 23 min")]
)
def test_duration(seconds, text):
    assert answer_costs.duration(seconds) == text


PRECISE = {
    "inside": ([_rectangle(6, 6, 9, 9)], [1], None, Clicks(1, 4, 0), {1: 16}),
    "inside and rest": ([_rectangle(6, 6, 9, 9)], [1], 0, Clicks(2, 4, 0), {1: 16, 0: 184}),
    "across": ([_rectangle(0, 10, 30, 14)], [1], None, Clicks(1, 0, 4), {1: 50}),
    "one side": ([_rectangle(10, 10, 30, 14)], [1], None, Clicks(1, 2, 2), {1: 25}),
    "around": ([_rectangle(0, 0, 40, 40)], [2], 0, Clicks(1, 0, 0), {2: 200}),
    "over": (
        [_rectangle(6, 6, 9, 9), _rectangle(6, 6, 9, 7)],
        [1, 2],
        None,
        Clicks(2, 8, 0),
        {1: 8, 2: 8},
    ),
    "rest only": ([], [], 3, Clicks(1, 0, 0), {3: 200}),
}


@pytest.mark.parametrize(
    ("polygons", "ids", "rest", "clicks", "sizes"), PRECISE.values(), ids=PRECISE
)
def test_precise_pieces_and_clicks(polygons, ids, rest, clicks, sizes):
    pieces, spent = drawing.pieces_of(polygons, ids, rest, BOX)

    assert spent == clicks
    assert {piece.class_id: piece.mask.size for piece in pieces} == sizes
    covered = sum(piece.mask.to_array((40, 40)).astype(int) for piece in pieces)
    assert covered.max() == 1
    assert not covered[~BOX.to_array((40, 40))].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("n_channels", "shape"), [(1, (9, 8)), (2, (9, 8)), (3, (9, 8, 3)), (7, (9, 8, 3))]
)
def test_displayed_is_always_8_bit(dtype, n_channels, shape):
    rng = np.random.default_rng(0)
    pixels = (rng.random((9, 8, n_channels)) * 255).astype(dtype)
    shown = picture_store.displayed(pixels)
    assert shown.shape == shape
    assert shown.dtype == np.uint8
    assert shown.min() < 20
    assert shown.max() > 200


def test_a_flat_float_image_is_displayed():
    assert picture_store.displayed(np.full((4, 4, 1), np.nan, np.float32)).max() == 0


def test_outdated_pictures_are_not_kept(data_path, tmp_path):
    calls, ready = queue.Queue(), []
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        store = picture_store.PictureStore(session, calls.put, lambda key, _: ready.append(key))
        image = session.data.train[0]
        new, old = (picture_store.Key(image, "answers", (0, stamp)) for stamp in (1, 0))
        for key in (new, old):
            store.request(key)
            calls.get(timeout=60)()
        assert store.is_ready(new)
        assert not store.is_ready(old)
        assert ready == [new]
        newest = picture_store.Key(image, "answers", (1, 0))
        store.request(newest)
        calls.get(timeout=60)()
        assert list(store._kept) == [newest]
        assert store._n_bytes == store.get(newest).nbytes
        store.close()


def test_classes_are_found_in_labels(tmp_path, data_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    iio.imwrite(tmp_path / "images" / "a.png", np.zeros((8, 9, 3), np.uint8))
    labels = np.array([[0, 4, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    iio.imwrite(tmp_path / "labels" / "a.png", labels)

    found = new_session.look(tmp_path)

    assert found.classes_found
    assert not found.classes_known
    assert len(found.data.classes) == len(new_session.classes_of_labels(tmp_path / "labels")) == 5
    named = new_session.classes_of_labels(data_path / "train" / "labels")
    assert [c.name for c in named] == ["class 0", "class 1", "class 2", "class 3"]
    with pytest.raises(InputError, match="label images"):
        new_session.classes_of_labels(tmp_path / "nothing")


def test_a_ledger_follows_what_happened_while_it_was_made(data_path, tmp_path):
    waiting, ledgers, events = queue.Queue(), [], WorkbenchEvents()
    figures = Figures(events, waiting.put)
    events.balanced.connect(ledgers.append)
    config = project_config(data_path)
    with Session.create(tmp_path / "project", config) as session:
        session.prepare()
        coming = session.upcoming(2)
        figures.open(session)
        session.submit(Answer(coming[0], (0,), Clicks(1)))
        figures.count()
        ended = waiting.get(timeout=10)
        session.undo()
        session.submit(Answer(coming[1], (1,), Clicks(1)))
        figures.count()
        ended()
        waiting.get(timeout=10)()
        assert ledgers[-1] == coverage_statistics.Bookkeeper().balance(session.answers())
    figures.close()


def test_placement_comes_back(tmp_path):
    assert placement_file.read_placement(tmp_path) is None
    placement = Placement((0.5, -2.0), (1.0, 2.0), ("micrometer", "pixel"), ("y", "x"))
    placement_file.write_placement(tmp_path, placement)
    assert placement_file.read_placement(tmp_path) == placement


@pytest.mark.parametrize(
    "words",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"scale": [1]}',
        '{"scale": [0, 1]}',
        '{"translate": [NaN, 1]}',
        '{"units": ["parrot", "pixel"]}',
        '{"units": ["9**9**9**9", "pixel"]}',
    ],
)
def test_placements_that_cannot_be_used(tmp_path, words):
    (tmp_path / placement_file.NAME).write_text(words)
    with pytest.raises(InputError, match="delete it"):
        placement_file.read_placement(tmp_path)
