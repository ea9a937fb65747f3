"""A session on blocks of a large picture and planes of a stack, and what comes out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.formats.exchange.dataset_card import CARD
from napari_al.formats.exchange.label_readers import LabelledImage
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.images import read_ids
from napari_al.formats.parts import stitched
from napari_al.formats.parts.axis_steps import Step, axis_steps
from napari_al.learning.inference import class_map_of, predict_probs
from napari_al.methods.table import METHODS
from napari_al.session.project.config import ProjectConfig, RegionSettings, TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.export_labels import export_session
from napari_al.tools.given_answers import give_answers
from napari_al.tools.predict import predict_images
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (150, 200)
RULES = ImageRules(block_px=64)
SIZES = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}


def scene(shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 2, (shape[0] // 25, shape[1] // 25)), np.ones((25, 25)))
    colours = np.array([[60, 120, 60], [200, 60, 80]])
    pixels = colours[truth.astype(int)] + rng.normal(0, 9, (*shape, 3))
    return pixels.clip(0, 255).astype(np.uint8), truth.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "data"
    for kind in ("images", "labels"):
        (path / "train" / kind).mkdir(parents=True)
    (path / "classes.json").write_text(
        json.dumps([{"id": i, "name": n} for i, n in enumerate("ab")])
    )
    pixels, truth = scene(SHAPE, 0)
    tifffile.imwrite(path / "train/images/slide.tif", pixels, photometric="rgb", tile=(32, 32))
    iio.imwrite(path / "train/labels/slide.png", truth)
    planes = [scene((50, 75), seed) for seed in (1, 2)]
    how = {"photometric": "rgb", "metadata": {"axes": "ZYXS", **SIZES}, "ome": True}
    tifffile.imwrite(path / "train/images/stack.tif", np.stack([p for p, _ in planes]), **how)
    truths = np.stack([t for _, t in planes])
    tifffile.imwrite(path / "train/labels/stack.tif", truths, metadata={"axes": "ZYX"})
    return path


def config_of(folder: Path) -> ProjectConfig:
    data = DataFolder.open(folder, rules=RULES)
    return ProjectConfig(
        data=str(folder),
        classes=data.classes,
        images=data.rules,
        method=METHODS["classbal"],
        budget=12,
        regions=RegionSettings(n_per_image=9),
        training=TrainingSettings(segmenter="filters", steps=20, members=2, threads=1),
    )


@pytest.fixture(scope="module")
def session(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Two rounds; the second asks by a model."""
    path = tmp_path_factory.mktemp("large") / "project"
    with Session.create(path, config_of(folder)) as session:
        oracle = Oracle(session.data)
        for _ in range(2):
            session.prepare()
            while (query := session.query()) is not None:
                session.submit(oracle.answer(query))
            session.train()
        session.prepare()
        yield session


def test_each_part_is_asked_about_and_predicted_as_in_its_picture(session: Session) -> None:
    assert len(session.data.train) == 11
    assert {a.query.region.image.partition("@")[0] for a in session.answers()} >= {"slide"}
    path = session.project.newest_model_file()
    model = open_model(path).segmenter
    pixels = tifffile.imread(session.data.path / "train/images/slide.tif")
    whole = class_map_of(predict_probs(model, pixels, torch.device("cpu")))
    for name in session.data.train:
        part = session.data.part(name)
        assert part is not None
        if part.picture == "slide":
            # encodings are kept in half precision
            agrees = session.prediction(name) == whole[part.rows, part.cols]
            assert agrees.mean() > 0.995


def stitched_answers(session: Session) -> dict[str, np.ndarray]:
    maps = {"slide": np.full(SHAPE, IGNORE, np.uint8), "stack": np.zeros((2, 50, 75), np.uint8)}
    for name in session.data.train:
        part = session.data.part(name)
        assert part is not None
        maps[part.picture][(*part.plane, part.rows, part.cols)] = session.answers_map(name)
    return maps


@pytest.mark.parametrize("format", ["png", "geotiff", "ngff"])
def test_an_export_is_one_file_a_picture(session: Session, tmp_path: Path, format: str) -> None:
    assert export_session(session, format, "answers", tmp_path / "out") == 2
    expected = stitched_answers(session)
    assert (expected["slide"] != IGNORE).any()
    if format == "ngff":
        zarr = pytest.importorskip("zarr")
        for name, ids in expected.items():
            group = zarr.open_group(tmp_path / f"out/{name}.zarr/labels/classes", mode="r")
            np.testing.assert_array_equal(group["0"][:] - 1, ids)  # 0 - 1 = 255
        stack = tmp_path / "out/stack.zarr/labels/classes"
    else:
        stack = tmp_path / "out/labels/stack.tif"
        suffix = "png" if format == "png" else "tif"
        slide = iio.imread(tmp_path / f"out/labels/slide.{suffix}")
        np.testing.assert_array_equal(slide, expected["slide"])
        with tifffile.TiffFile(stack) as file:
            assert file.series[0].axes == "ZYX"
            np.testing.assert_array_equal(file.asarray(), expected["stack"])
    if format != "ngff":
        um = Step(0.5, "micrometer")
        assert axis_steps(stack) == {"z": Step(2, "micrometer"), "y": um, "x": um}


def test_other_formats_have_a_picture_a_plane(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export_session(session, "coco", "answers", tmp_path / "out") == 2
    listed = json.loads((tmp_path / "out/annotations.json").read_text())["images"]
    assert [image["file_name"] for image in listed] == ["slide.tif", "stack@z0.tif", "stack@z1.tif"]
    monkeypatch.setattr(stitched, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match=r"200 x 150 pixels is not written in this format"):
        export_session(session, "coco", "answers", tmp_path / "large")
    export_session(session, "png", "finished", tmp_path / "tiff", uncertainty=True)
    for folder in ("labels", "uncertainty"):
        assert tifffile.imread(tmp_path / "tiff" / folder / "slide.tif").shape == SHAPE
    card = json.loads((tmp_path / "tiff" / CARD).read_text())
    named = {files["includes"] for files in card["distribution"]}
    assert named == {"labels/*.tif", "colors/*.tif"}


def test_a_folder_that_is_gone_can_be_exported(session: Session, tmp_path: Path) -> None:
    data = session.data
    moved = data.path.with_name("away")
    data.path.rename(moved)
    try:
        with Session.open(session.project.path, read_only=True) as gone:
            export_session(gone, "png", "answers", tmp_path / "out")
    finally:
        moved.rename(data.path)
    slide = iio.imread(tmp_path / "out/labels/slide.png")
    np.testing.assert_array_equal(slide, stitched_answers(session)["slide"])


def test_labels_of_the_picture_are_answers_about_its_blocks(folder: Path, tmp_path: Path) -> None:
    _, truth = scene(SHAPE, 0)
    with Session.create(tmp_path / "p", config_of(folder)) as session:
        given = give_answers(session, [LabelledImage("slide", truth)])
        assert given.n_images == 9
        right = [session.answers_map(n) for n in session.data.train if n.startswith("slide")]
        assert sum((ids != IGNORE).sum() for ids in right) == truth.size


def test_predict_gives_stacks_and_pictures(session: Session, tmp_path: Path) -> None:
    model = open_model(session.project.path)
    predict_images(model, [session.data.path / "train/images"], tmp_path / "out")
    slide = read_ids(tmp_path / "out/slide.png")
    truth = iio.imread(session.data.path / "train/labels/slide.png")
    assert (slide == truth).mean() > 0.9
    assert tifffile.imread(tmp_path / "out/stack.tif").shape == (2, 50, 75)
