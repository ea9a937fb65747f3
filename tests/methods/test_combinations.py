"""Columns of the method table combined anew, and data at the edges of what a method expects."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from pydantic import ValidationError
from scenes import SHAPE, write_data, write_initial

from napari_al.formats.dataset import DataFolder
from napari_al.methods.table import METHODS, Method
from napari_al.session.project.config import ProjectConfig, RegionSettings, TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

MERGED_SETS = {
    "merging": "adaptive",
    "query": "multi-class",
    "acquisition": "pixbal",
    "targets": "localise",
    "loss": "multi-class",
    "classifier": "cosine",
}
FITTING = {
    "merged superpixels, sets of classes": MERGED_SETS,
    "sets of classes, one stage": {**MERGED_SETS, "merging": "none", "targets": "partial"},
    "ABC on superpixels": {"query": "correction", "acquisition": "abc", "targets": "correct"},
    "automatic corrections on superpixels": {
        "regions": "slic",
        "query": "correction",
        "acquisition": "lcil",
        "targets": "correct",
        "correction": "automatic",
    },
    "sieved rectangles": {"regions": "grid", "acquisition": "pixbal", "targets": "sieve"},
    "precise at random": {
        "regions": "grid",
        "query": "precise",
        "acquisition": "random",
        "targets": "exact",
    },
}
REFUSED = [
    ({"acquisition": "abc"}, "start without labels"),
    ({"targets": "correct"}, "cannot be made from dominant"),
    ({"query": "multi-class", "targets": "partial"}, "trains on sets of classes"),
    ({"correction": "automatic"}, "changes labels that are there"),
    ({"query": "precise", "targets": "exact"}, "inside a rectangle"),
    ({"regions": "masks", "merging": "adaptive"}, "whole objects already"),
    ({"query": "correction", "targets": "correct", "merging": "adaptive"}, "whole objects already"),
]


def run(data_path: Path, out: Path, method: Method, n_rounds: int = 2) -> list[dict[str, str]]:
    config = ProjectConfig(
        data=str(data_path),
        classes=DataFolder.open(data_path).classes,
        method=method,
        budget=5,
        regions=RegionSettings(n_per_image=20, side_px=16),
        training=TrainingSettings(
            segmenter="filters", steps=2, batch_size=2, crop_px=32, threads=1
        ),
    )
    with Session.create(out, config) as session:
        oracle = Oracle(session.data)
        if session.round == 0:
            session.train()
        while session.round <= n_rounds:
            session.prepare()
            while (query := session.query()) is not None:
                session.submit(oracle.answer(query))
            session.train()
        return session.rounds()


@pytest.mark.parametrize("columns", FITTING.values(), ids=FITTING)
def test_fitting_columns_make_a_method(columns: dict[str, str], tmp_path: Path) -> None:
    data_path = write_initial(write_data(tmp_path / "data"))
    rows = run(data_path, tmp_path / "run", Method(name="mine", **columns))
    assert rows[-1]["round"] == "2"
    assert float(rows[-1]["data_miou"]) > 0


@pytest.mark.parametrize(("columns", "reason"), REFUSED)
def test_columns_that_do_not_fit_are_refused_with_the_reason(
    columns: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Method(name="mine", **columns)


def write_masks(path: Path) -> Path:
    """Add masks of cars and vans alone, none in the first image, and no initial labels."""
    (path / "train" / "masks").mkdir()
    for index, labels in enumerate(sorted((path / "train" / "labels").glob("*.png"))):
        truth = iio.imread(labels)
        objects = np.where((truth == 2) | (truth == 3), truth, 0)
        iio.imwrite(path / "train" / "masks" / labels.name, objects if index else 0 * objects)
    return path


WITH_MASKS = {
    "dominant": {"acquisition": "classbal"},
    "sieved": {"acquisition": "classbal-pixels", "targets": "sieve"},
    "sets of classes": {**MERGED_SETS, "merging": "none"},
    "at random": {"acquisition": "random"},
}


@pytest.mark.parametrize("columns", WITH_MASKS.values(), ids=WITH_MASKS)
def test_masks_are_regions_for_any_query(columns: dict[str, str], tmp_path: Path) -> None:
    data_path = write_masks(write_data(tmp_path / "data"))
    data = DataFolder.open(data_path)
    rows = run(data_path, tmp_path / "run", Method(name="mine", regions="masks", **columns))
    assert float(rows[-1]["data_miou"]) > 0
    with Session.open(tmp_path / "run") as session:
        for name in data.train:
            regions, objects = session.region_map(name), data.masks(name)
            assert regions.min() == 0, "what lies outside of objects is asked about, too"
            assert len(np.unique(regions)) == regions.max() + 1
            for number in np.unique(objects[objects > 0]):
                of_object = np.unique(regions[objects == number])
                assert len(of_object) == 1
                assert ((regions == of_object[0]) == (objects == number)).all()
            n_rest = len(np.unique(regions[objects == 0]))
            assert 5 < n_rest < 40, "superpixels"


def test_a_correction_is_about_objects_alone(tmp_path: Path) -> None:
    data_path = write_initial(write_data(tmp_path / "data"))
    shutil.rmtree(data_path / "train" / "masks")
    data = DataFolder.open(write_masks(data_path))
    run(data_path, tmp_path / "run", METHODS["a2lc"])
    with Session.open(tmp_path / "run") as session:
        for name in data.train:
            np.testing.assert_array_equal(session.region_map(name) < 0, data.masks(name) == 0)
        for answer in session.answers():
            region = answer.query.region
            objects = data.masks(region.image)
            assert (objects[region.mask.to_array(objects.shape)] > 0).all()


def write_odd_data(path: Path, truths: list[np.ndarray], n_classes: int) -> Path:
    """A data folder of flat pictures of given ground truth, which is its initial labels too."""
    rng = np.random.default_rng(3)
    for folder in ("images", "labels", "initial_labels", "masks"):
        (path / "train" / folder).mkdir(parents=True)
    for index, truth in enumerate(truths):
        image = (truth % 7 * 30 + rng.integers(0, 20, SHAPE)).astype(np.uint8)
        masks = np.where(np.indices(SHAPE)[1] < 40, 1, 2).astype(np.uint8)
        for folder, pixels in zip(
            ("images", "labels", "initial_labels", "masks"),
            (image, truth, truth, masks),
            strict=True,
        ):
            iio.imwrite(path / "train" / folder / f"{index}.png", pixels)
    names = [{"id": i, "name": f"class {i}"} for i in range(n_classes)]
    (path / "classes.json").write_text(json.dumps(names))
    return path


HALF_VOID = np.where(np.indices(SHAPE)[0] < 24, 255, np.indices(SHAPE)[1] // 33).astype(np.uint8)
ODD = {
    "no ignored pixel": ([np.full(SHAPE, 1, np.uint8), np.zeros(SHAPE, np.uint8)], 2),
    "half ignored": ([HALF_VOID, HALF_VOID], 2),
    "classes that never occur": ([HALF_VOID, np.full(SHAPE, 5, np.uint8)], 9),
    "one class": ([np.zeros(SHAPE, np.uint8)] * 2, 1),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_every_method_stands_odd_data(
    method: str, odd: tuple[list[np.ndarray], int], tmp_path: Path
) -> None:
    truths, n_classes = odd
    data_path = write_odd_data(tmp_path / "data", truths, n_classes)
    rows = run(data_path, tmp_path / "run", METHODS[method], n_rounds=2)
    assert rows[-1]["model_miou"] == "", "there is no validation split"
    if float(rows[-1]["data_coverage"]) > 0:
        assert 0 < float(rows[-1]["data_miou"]) <= 1
    else:  # one merged region, most of it void, or objects asked about where they are void
        assert method in ("adaptive-superpixel", "alc", "a2lc")
        assert rows[-1]["data_miou"] == "", "there is nothing to measure"
