"""Looking at rounds: what is shown is what was done, also when the cache is gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scenes import answer_round, project_config

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo
from napari_al.formats.dataset import DataFolder
from napari_al.methods.acquisition import acquisitions_for
from napari_al.session.inspection.colouring import striped
from napari_al.session.inspection.inspection import Inspection, Missing, NotThereError
from napari_al.session.inspection.overlays import PICTURES, RoundImage, available
from napari_al.session.inspection.previews import (
    compare_acquisitions,
    cut_into,
    merge_at,
)
from napari_al.session.inspection.region_facts import region_facts
from napari_al.session.project import cache_files
from napari_al.session.rounds import region_tables
from napari_al.session.rounds.rebuild_cache import restore
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

METHODS = ("adaptive-superpixel", "multi-class", "a2lc")
N_ROUNDS = 2


def _inspect(path, tmp_path):
    return Inspection(path, tmp_path / "own")


def _image_of(record):
    return record.answers[0].query.region.image


def _restore(inspection, missing):
    restore(inspection.job_args(missing), lambda _: None, lambda: False)


def _picture(shown, key):
    """Make a picture; have done again what is missing for it."""
    for _ in range(3):
        try:
            return PICTURES[key].make(shown)
        except NotThereError as error:
            if error.missing is None:
                return str(error)
            _restore(shown.inspection, error.missing)
    raise AssertionError(f"{key} is missing still")


@pytest.mark.parametrize("method", METHODS)
def test_rounds_are_those_of_the_run(finished_run, tmp_path, method):
    inspection = _inspect(finished_run(method), tmp_path)
    first = 0 if method == "a2lc" else 1
    assert inspection.rounds == tuple(range(first, N_ROUNDS + 2))
    n_queries = 0
    for number in inspection.rounds[:-1]:
        record = inspection.record(number)
        n_queries += len(record.answers)
        assert record.is_done
        assert record.row["queries"] == n_queries
        assert {a.query.round for a in record.answers} <= {number}
    last = inspection.record(inspection.rounds[-1])
    assert not last.is_done
    assert last.answers == ()
    if method == "a2lc":
        assert any(inspection.record(n).accepted for n in (1, 2))


@pytest.mark.parametrize("method", METHODS)
def test_every_picture_again_without_a_cache(finished_run, tmp_path, method):
    """With its cache deleted, a project gives the same pictures, and nothing is written to it."""
    bare = tmp_path / "bare"
    shutil.copytree(finished_run(method), bare)
    shutil.rmtree(bare / "cache")
    before = sorted(path.relative_to(bare) for path in bare.rglob("*"))
    full, emptied = _inspect(finished_run(method), tmp_path), Inspection(bare, tmp_path / "other")
    number = N_ROUNDS
    image = _image_of(full.record(number))
    looks = [RoundImage(i, i.record(number), image) for i in (full, emptied)]
    assert available(full).keys() == available(emptied).keys()
    for key in available(full):
        one, other = (_picture(shown, key) for shown in looks)
        assert isinstance(one, np.ndarray), f"{key}: {one}"
        assert one.shape == full.data.shape(image)
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), key
    assert sorted(path.relative_to(bare) for path in bare.rglob("*")) == before


def test_what_was_merged_and_sieved(finished_run, tmp_path):
    inspection = _inspect(finished_run("adaptive-superpixel"), tmp_path)
    record = inspection.record(2)
    image = _image_of(record)
    shown = RoundImage(inspection, record, image)
    kept, target = PICTURES["sieved"].make(shown), PICTURES["targets"].make(shown)
    answered = record.after.answers_map(image)
    assert ((kept > 0) == (answered != IGNORE)).all()
    assert (target[kept == 1] == answered[kept == 1]).all()
    assert (target[kept == 2] == IGNORE).all()
    answer = record.answers[0]
    mask = answer.query.region.mask
    counts = PICTURES["merged_counts"].make(shown)[mask.to_array(target.shape)]
    n_merged = len(answer.query.region.ids)
    assert (counts == n_merged).all() if n_merged > 1 else np.isnan(counts).all()
    curve = inspection.curves(2, image)[answer.id]
    inside = mask.to_array(target.shape) & (answered == answer.class_ids[0])
    if curve.knee is None:
        assert (target[inside] == answered[inside]).all()

    facts = region_facts(shown, mask.central_pixel())
    assert facts.region == answer.query.region
    assert facts.curve is not None
    assert facts.curve.threshold == curve.threshold
    assert answer in facts.answers
    assert facts.score == pytest.approx(answer.query.score)
    assert facts.view is not None
    assert facts.view.probs.sum() == pytest.approx(1, abs=1e-4)
    assert 0 < facts.view.bvsb <= 1
    distances = [n.distance for n in facts.view.neighbours]
    assert distances == sorted(distances)
    epsilon = inspection.config.acquisition.epsilon
    assert facts.view.distance_to_seed < epsilon


def test_the_first_round_says_that_there_was_no_model(finished_run, tmp_path):
    inspection = _inspect(finished_run("adaptive-superpixel"), tmp_path)
    record = inspection.record(1)
    shown = RoundImage(inspection, record, _image_of(record))
    facts = region_facts(shown, record.answers[0].query.region.mask.central_pixel())
    assert facts.view is None
    assert any("without a model" in note for note in facts.notes)
    for preview in (lambda: merge_at(shown, 0.1), lambda: compare_acquisitions(shown, "bvsb")):
        with pytest.raises(NotThereError, match="without a model") as caught:
            preview()
        assert caught.value.missing is None
    with pytest.raises(NotThereError, match="no model yet"):
        PICTURES["merged_cells"].make(shown)
    with pytest.raises(InputError, match="no region"):
        region_facts(shown, (-1, 3))


def test_a_model_that_is_gone_is_named(finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run("adaptive-superpixel"), copy)
    shutil.rmtree(copy / "cache")
    inspection = _inspect(copy, tmp_path)
    record = inspection.record(2)
    (copy / "models" / "round_01.safetensors").unlink()
    with pytest.raises(NotThereError, match=r"round_01\.safetensors is gone") as caught:
        inspection.table(1, _image_of(record))
    assert caught.value.missing is None
    with pytest.raises(NotThereError, match="not hold it") as caught:
        inspection.curves(2, _image_of(record))
    assert caught.value.missing is None


def test_previews_meet_the_round_at_its_own_settings(finished_run, tmp_path):
    inspection = _inspect(finished_run("adaptive-superpixel"), tmp_path)
    record = inspection.record(2)
    shown = RoundImage(inspection, record, _image_of(record))
    merged = merge_at(shown, inspection.config.acquisition.epsilon)
    assert np.array_equal(merged.cells, PICTURES["merged_cells"].make(shown))
    apart, together = merge_at(shown, 0), merge_at(shown, 0.9)
    assert (apart.n_after, apart.largest) == (apart.n_before, 1)
    assert (together.n_after, together.largest) == (1, together.n_before)

    cut = cut_into(shown, inspection.config.regions.n_per_image)
    assert np.array_equal(cut.region_map, inspection.maps(shown.image))
    assert 0.5 < cut.accuracy <= 1


@pytest.mark.parametrize("method", METHODS)
def test_acquisition_functions_are_compared(finished_run, tmp_path, method):
    inspection = _inspect(finished_run(method), tmp_path)
    record = inspection.record(2)
    shown = RoundImage(inspection, record, _image_of(record))
    own = compare_acquisitions(shown, inspection.config.method.acquisition)
    assert own.correlation == pytest.approx(1)
    assert own.overlap == 1
    heatmap = PICTURES["heatmap"].make(shown)
    assert np.allclose(own.heatmap, heatmap, equal_nan=True)
    asked = np.zeros(heatmap.shape, bool)
    for answer in record.answers:
        if answer.query.region.image == shown.image:
            asked |= answer.query.region.mask.to_array(asked.shape)
    assert np.array_equal(own.batches > 0, asked)
    for name in acquisitions_for(inspection.config.method.query):
        found = compare_acquisitions(shown, name)
        assert -1 <= found.correlation <= 1
        assert 0 <= found.overlap <= 1


def test_new_answers_and_rounds_are_taken_up(tmp_path, data_path):
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(tmp_path / "live", project_config(data_path)) as session:
        inspection = _inspect(tmp_path / "live", tmp_path)
        assert inspection.rounds == (1,)
        assert not inspection.refresh()
        session.prepare()
        query = session.query()
        session.submit(oracle.answer(query))
        assert inspection.refresh()
        assert [a.query for a in inspection.record(1).answers] == [query]
        answer_round(session, oracle)
        session.train()
        assert inspection.refresh()
        assert inspection.rounds == (1, 2)
        assert len(inspection.record(1).answers) == len(session.answers())
        assert inspection.record(2).answers == ()
        inspection.close()


def test_classes_that_were_taken_back_are_still_named(tmp_path, data_path):
    """A round was answered and trained with a class that an undo has taken back since."""
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(tmp_path / "live", project_config(data_path)) as session:
        made_with = session.config.classes
        lamp = ClassInfo(id=len(made_with), name="lamp", color="#ffff00")
        session.edit_classes([*made_with, lamp])
        session.prepare()
        answer = oracle.answer(session.query())
        session.submit(replace(answer, class_ids=(lamp.id,)))
        answer_round(session, oracle)
        session.train()
        session.prepare()  # its scores
        inspection = _inspect(tmp_path / "live", tmp_path)
        assert inspection.config.classes == (*made_with, lamp)
        while session.undo():
            pass
        assert inspection.refresh()
        assert inspection.config.classes == made_with
        assert inspection.classes == (*made_with, lamp)
        image = answer.query.region.image
        shown = RoundImage(inspection, inspection.record(1), image)
        mask = answer.query.region.mask
        inside = mask.to_array(inspection.data.shape(image))
        for key in ("queried", "targets"):
            assert (PICTURES[key].make(shown)[inside] == lamp.id).all()
        compare_acquisitions(RoundImage(inspection, inspection.record(2), image), "bvsb")
        inspection.close()


def test_truth_is_that_of_the_classes_of_the_round(tmp_path, data_path):
    """What is answered with the class that another was merged into is right."""
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(tmp_path / "live", project_config(data_path)) as session:
        car, van = 2, 3
        merged = [
            c.model_copy(update={"merged_into": car}) if c.id == van else c
            for c in session.config.classes
        ]
        session.edit_classes(merged)
        answer_round(session, oracle)
        session.train()
        inspection = _inspect(tmp_path / "live", tmp_path)
        record = inspection.record(1)
        for image in inspection.data.train:
            truth = PICTURES["truth"].make(RoundImage(inspection, record, image))
            stored = inspection.data.labels(image)
            assert np.array_equal(truth, np.where(stored == van, car, stored))
        inspection.close()


def test_classes_of_a_region_are_stripes():
    region_map = np.repeat(np.array([[-1, 0, 1, 2]], np.int32), 12, axis=1).repeat(12, axis=0)
    candidates = np.array([[0, 1, 0], [1, 0, 1], [0, 0, 0]], bool)
    painted = striped(region_map, candidates, 2)
    assert [np.unique(painted[region_map == r]).tolist() for r in (-1, 0, 1, 2)] == [
        [IGNORE], [1], [0, 2], [IGNORE]
    ]  # fmt: skip
    assert (painted[0, 24:28] == painted[1, 23:27])[1:].all()  # they run diagonally


@pytest.mark.parametrize("kind", ["missing", "rubbish", "other", "short", "zeros"])
def test_a_stored_table_that_does_not_add_up_is_none(finished_run, tmp_path, kind):
    inspection = _inspect(finished_run("adaptive-superpixel"), tmp_path)
    image = inspection.data.train[0]
    table = inspection.table(1, image)
    path = tmp_path / "table.safetensors"
    region_tables.write_table(path, table)
    assert np.array_equal(region_tables.read_table(path).mean_probs, table.mean_probs)
    match kind:
        case "missing":
            path.unlink()
        case "rubbish":
            path.write_bytes(b"\xff" * 100)
        case "other":
            region_tables.write_curves(path, inspection.curves(2, _image_of(inspection.record(2))))
        case "short":
            path.write_bytes(path.read_bytes()[:-8])
        case "zeros":
            path.write_bytes(path.read_bytes()[:-64] + bytes(64))
    assert region_tables.read_table(path) is None
    assert region_tables.read_curves(path) is None or kind == "other"


def test_a_prediction_of_a_damaged_cache_is_made_again(finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run("multi-class"), copy)
    inspection = _inspect(copy, tmp_path)
    image = inspection.data.train[0]
    path = inspection.project.prediction_file(1, image)
    stored = cache_files.read_class_map(path)
    path.write_bytes(b"no picture")
    with pytest.raises(NotThereError) as caught:
        inspection.prediction(1, image)
    assert caught.value.missing == Missing("scores", 1)
    _restore(inspection, caught.value.missing)
    assert np.array_equal(inspection.prediction(1, image), stored)


def test_looking_loads_no_torch():
    code = (
        "import sys\n"
        "from napari_al.session.inspection import overlays, previews, region_facts\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
