"""Data folders with initial labels made from class names, by tiny models, up to ``simulate``."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from scenes import CLASSES, SHAPE, project_config, write_data, write_initial
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.images import write_png
from napari_al.formats.linking import link_file
from napari_al.formats.parts.axis_steps import axis_steps
from napari_al.learning.devices import resolve_device
from napari_al.learning.inference import class_map_of, predict_probs
from napari_al.learning.networks import hub
from napari_al.session.project.config import TrainingSettings
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools import pseudo_label as pseudo_label_module
from napari_al.tools.pseudo_label import as_rgb8, pseudo_label
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("pseudo") / "data", n_train=3)


def arguments(hub: Path, data: Path, out: Path, **changes: object) -> dict[str, Any]:
    return {
        "data": str(data),
        "out": str(out),
        "classes": [c.model_dump() for c in default_classes(CLASSES)],
        "detector": str(hub / "dino"),
        "mask_maker": str(hub / "sam"),
        "device": "cpu",
        **changes,
    }


def make(args: dict[str, Any], seen: list[JobProgress] | None = None) -> dict[str, Any]:
    return pseudo_label(args, lambda p: seen.append(p) if seen is not None else None, lambda: False)


def run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a model of the same classes."""
    path = tmp_path_factory.mktemp("trained") / "p"
    training = TrainingSettings(segmenter="compact", steps=2, batch_size=2, crop_px=32, threads=1)
    with Session.create(path, project_config(data, "bvsb", training=training)) as session:
        session.prepare()
        for _ in range(3):
            session.submit(Oracle(session.data).answer(session.query()))
        session.train()
    return path


def test_labels_are_what_a_trained_model_predicts(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(data / "train" / "images", photos)
    code, said, _ = run("pseudo-label", photos, "--out", out, "--model", trained)
    assert (code, said.startswith("3 images, 3 of them labelled now")) == (0, True)
    made, model = DataFolder.open(out), open_model(trained)
    assert tuple(c.name for c in made.classes) == CLASSES
    assert made.has_initial_labels
    assert made.without("masks") == made.train, "their connected parts are the objects"
    for name in made.train:
        probs = predict_probs(model.segmenter, made.image(name), resolve_device("cpu"))
        np.testing.assert_array_equal(made.initial_labels(name), class_map_of(probs))

    swapped = [c.model_dump() for c in default_classes(CLASSES[::-1])]
    args = {"data": str(photos), "model": str(trained), "classes": swapped}
    make({**args, "out": str(tmp_path / "swapped")})
    name, again = made.train[0], DataFolder.open(tmp_path / "swapped")
    last = len(CLASSES) - 1
    np.testing.assert_array_equal(again.initial_labels(name), last - made.initial_labels(name))

    other = [c.model_dump() for c in default_classes(["moon", "sun"])]
    with pytest.raises(InputError, match=f"predicts {CLASSES[0]!r}, and the classes are moon, sun"):
        make({**args, "classes": other, "out": str(tmp_path / "other")})
    grey = tmp_path / "grey"
    write_png(grey / "a.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(InputError, match="was trained on images of 3 channels; these have 1"):
        make({**args, "data": str(grey), "classes": [], "out": str(tmp_path / "of grey")})


def test_the_network_is_used_only_if_that_is_asked_for(
    hub_folders: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetched(name: str) -> Path:
        asked.append(name)
        return hub_folders / name.partition("/")[2]

    monkeypatch.setattr(hub, "fetch", fetched)
    args = arguments(hub_folders, data, tmp_path / "out", detector="of/dino", mask_maker="of/sam")
    with pytest.raises(InputError, match="is not on this machine: fetch it with"):
        make(args)
    assert asked == []
    assert make({**args, "fetch": True})["n_made"] == 3
    assert asked == ["of/dino", "of/sam"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_pseudo_labelled_folder_goes_straight_into_simulate(
    hub_folders: Path, data: Path, tmp_path: Path
) -> None:
    out, before = tmp_path / "labelled", files_of(data)
    models = ("--detector", hub_folders / "dino", "--sam", hub_folders / "sam2")
    status, stdout, stderr = run("pseudo-label", data, "--out", out, *models)
    assert status == 0, stderr
    assert stdout.startswith("3 images, 3 of them labelled now")
    assert files_of(data) == before, "nothing is written into the data folder"
    folder = DataFolder.open(out)
    assert (folder.has_labels, folder.has_val) == (True, True)
    assert (folder.has_initial_labels, folder.has_masks) == (True, True)
    for name in folder.train:
        labels, objects = folder.initial_labels(name), folder.masks(name)
        assert ((objects == 0) == (labels == 255)).all()
        for number in np.unique(objects[objects > 0]):
            assert len(set(labels[objects == number].tolist())) == 1
    settings = ("training.steps=2", "training.batch_size=2", "training.crop_px=32")
    status, _, stderr = run(
        *("simulate", out, "--method", "a2lc", "--rounds", 2, "--budget", 3),
        *("--out", tmp_path / "run", *(part for s in settings for part in ("--set", s))),
    )
    assert status == 0, stderr
    with (tmp_path / "run" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["0", "1", "2"]
    assert int(rows[2]["clicks"]) == 6
    assert all(row["data_miou"] for row in rows)


def test_images_are_linked_and_what_was_there_is_not_taken_over(
    hub_folders: Path, tmp_path: Path
) -> None:
    data = write_initial(write_data(tmp_path / "data", n_train=2))
    (data / "train" / "polygons").mkdir()
    (data / "train" / "polygons" / "scene_0.json").write_text("{}")
    out = tmp_path / "out"
    make(arguments(hub_folders, data, out))
    assert (out / "train/images/scene_0.png").is_symlink()
    assert (out / "val/labels/scene_1.png").is_symlink()
    assert (out / "train/polygons/scene_0.json").is_symlink()
    for kind in ("initial_labels", "masks"):
        made = out / "train" / kind / "scene_0.png"
        assert not made.is_symlink()
        assert made.read_bytes() != (data / "train" / kind / "scene_0.png").read_bytes()


def test_a_link_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    source = tmp_path / "a.png"
    source.write_bytes(b"pixels")
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "0").write_bytes(b"chunk")
    link_file(source, tmp_path / "linked" / "a.png")
    link_file(tmp_path / "a.zarr", tmp_path / "linked" / "a.zarr")
    monkeypatch.setattr("os.symlink", refuse)
    link_file(source, tmp_path / "hard" / "a.png")
    monkeypatch.setattr("os.link", refuse)
    link_file(source, tmp_path / "copied" / "a.png")
    link_file(tmp_path / "a.zarr", tmp_path / "copied" / "a.zarr")
    for folder in ("linked", "copied"):
        assert (tmp_path / folder / "a.zarr" / "0").read_bytes() == b"chunk"
    link_file(tmp_path / "gone.png", tmp_path / "copied" / "a.png")
    for folder in ("linked", "hard", "copied"):
        assert (tmp_path / folder / "a.png").read_bytes() == b"pixels"


def test_a_flat_folder_of_images_with_names_for_classes(hub_folders: Path, tmp_path: Path) -> None:
    images = shutil.copytree(
        write_data(tmp_path / "data", n_train=2, labels=False) / "train" / "images",
        tmp_path / "images",
    )
    out = tmp_path / "out"
    status, _, stderr = run(
        *("pseudo-label", images, "--out", out, "--classes", "sky, car,ground"),
        *("--background", "ground", "--words", "car=van. car", "--box-threshold", 0.95),
        *("--detector", hub_folders / "dino", "--sam", hub_folders / "sam"),
    )
    assert status == 0, stderr
    folder = DataFolder.open(out)
    assert [c.name for c in folder.classes] == ["sky", "car", "ground"]
    for name in folder.train:
        labels, objects = folder.initial_labels(name), folder.masks(name)
        assert ((objects == 0) == (labels == 2)).all(), "the background is not looked for"


@pytest.mark.parametrize("how", ["stopped", "crash"])
def test_what_was_stopped_goes_on_and_ends_the_same(
    hub_folders: Path, data: Path, tmp_path: Path, how: str
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    make(arguments(hub_folders, data, whole))
    args, seen = arguments(hub_folders, data, broken), []

    def progress(p: JobProgress) -> None:
        seen.append(p)
        if how == "crash" and p.done == 2:
            raise OSError("the disk is full")

    with pytest.raises((Stopped, OSError)):
        pseudo_label(args, progress, lambda: how == "stopped" and len(seen) == 3)
    assert 0 < len(list((broken / "train/initial_labels").iterdir())) < 3
    assert not DataFolder.open(broken).has_initial_labels
    (broken / "train/masks/scene_2.png").write_bytes(b"half")
    if how == "crash":
        (broken / "train/initial_labels/scene_1.png").unlink()
    seen.clear()
    n_left = 3 - len(list((broken / "train/initial_labels").iterdir()))
    assert make(args, seen)["n_made"] == n_left
    assert [(p.stage, p.done, p.total) for p in seen][-1] == ("pseudo-labels", 3, 3)
    ours, theirs = files_of(broken), files_of(whole)
    assert ours == theirs
    assert make(args)["n_made"] == 0


def parts_folder(path: Path) -> Path:
    """A picture that is cut, of which a block has no data, and a stack; with truth of the stack."""
    for kind in ("images/city", "labels"):
        (path / "train" / kind).mkdir(parents=True)
    classes = [c.model_dump() for c in default_classes(CLASSES)]
    (path / "classes.json").write_text(json.dumps(classes))
    rng = np.random.default_rng(3)
    picture = rng.integers(1, 250, (150, 200, 3), dtype=np.uint8)
    picture[64:, 128:] = 0
    nodata = {"extratags": [(42113, "s", 0, "0", True)]}
    tifffile.imwrite(path / "train/images/city/slide.tif", picture, photometric="rgb", **nodata)
    stack = rng.integers(0, 250, (2, *SHAPE, 3), dtype=np.uint8)
    how = {"ome": True, "metadata": {"axes": "ZYXS", "PhysicalSizeZ": 2}, "photometric": "rgb"}
    tifffile.imwrite(path / "train/images/stack.tif", stack, **how)
    truth = (stack[..., 0] % 4).astype(np.uint8)
    tifffile.imwrite(path / "train/labels/stack.tif", truth, metadata={"axes": "ZYX"})
    return path


@pytest.mark.parametrize("by_model", [True, False])
def test_large_pictures_and_stacks_are_labelled_part_by_part(
    hub_folders: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_model: bool,
) -> None:
    rules = ImageRules(block_px=64)
    monkeypatch.setattr(pseudo_label_module, "_RULES", rules)
    data, out = parts_folder(tmp_path / "data"), tmp_path / "out"
    args = arguments(hub_folders, data, out)
    if by_model:
        args["model"] = str(trained)
    seen: list[JobProgress] = []
    with pytest.raises(Stopped):
        pseudo_label(args, seen.append, lambda: len(seen) > 6)
    n_done = len(seen) - 1  # the first is of loading
    assert len(list((out / ".parts").rglob("initial_labels/**/*.png"))) == n_done > 3
    done = make(args)
    assert (done["n_images"], done["n_made"]) == (11, 11 - n_done)
    assert make(args)["n_made"] == 0
    made = DataFolder.open(out, rules=rules)
    source = DataFolder.open(data, rules=rules)
    assert made.train == source.train
    assert not (out / ".parts").exists()
    names = {path.relative_to(out / "train").as_posix() for path in (out / "train").rglob("*.*")}
    assert names == {
        f"{kind}/{name}.tif"
        for kind in ("images", "initial_labels", *(() if by_model else ("masks",)))
        for name in ("city/slide", "stack")
    } | {"labels/stack.tif"}
    assert axis_steps(out / "train/initial_labels/stack.tif")["z"].size == 2
    numbers: dict[str, set[int]] = {}
    for name in made.train:
        labels, objects, valid = made.initial_labels(name), made.masks(name), made.valid(name)
        assert labels is not None
        np.testing.assert_array_equal(made.image(name), source.image(name)) if (
            valid is None or valid.any()
        ) else None
        if by_model:
            segmenter = open_model(trained).segmenter
            probs = predict_probs(segmenter, source.in_place(name), resolve_device("cpu"))
            expected = class_map_of(probs)
            expected = expected if valid is None else np.where(valid, expected, 255)
            np.testing.assert_array_equal(labels, expected)
            continue
        assert objects is not None
        assert ((objects == 0) == (labels == 255)).all()
        found = set(np.unique(objects[objects > 0]).tolist())
        picture = made.part(name).picture
        assert not found & numbers.get(picture, set()), "ids go on from part to part"
        numbers[picture] = numbers.get(picture, set()) | found
    assert by_model or all(numbers.values())


def two_channels(folder: Path) -> None:
    for path in (folder / "train" / "images").iterdir():
        path.unlink()
    tifffile.imwrite(
        folder / "train/images/scene_0.tif",
        np.zeros((2, *SHAPE), np.uint8),
        photometric="minisblack",
        metadata={"axes": "CYX"},
    )
    shutil.rmtree(folder / "val")
    shutil.rmtree(folder / "train/labels")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"background": "sea"}, "no class 'sea'; the classes are ground, sky, car, van"),
        ({"words": {"tree": "bush"}}, "no class 'tree'"),
        ({"words": dict.fromkeys(CLASSES, ".")}, "no class to look for"),
        ({"box_threshold": 1.5}, "box_threshold: Input should be less than 1, got 1.5"),
        ({"detector": "no/such"}, "no/such is not on this machine"),
        ({"mask_maker": "nowhere"}, "nowhere: expected a folder"),
        ({"data": "/nowhere"}, "does not exist"),
        ({"classes": [{"id": 0, "name": "a", "color": "#000000"}]}, "class id"),
        (
            {"classes": [c.model_dump() for c in default_classes("abcd")]},
            "leave --classes out, or give the same ones",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    hub_folders: Path, data: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make({**arguments(hub_folders, data, tmp_path / "out"), **changes})
    assert not (tmp_path / "out").exists()


def test_images_of_odd_channels_are_refused(hub_folders: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    two_channels(data)
    with pytest.raises(InputError, match="2 channels; Grounded-SAM takes grey or RGB"):
        make(arguments(hub_folders, data, tmp_path / "out"))


def test_the_folder_of_other_settings_or_people_is_left_alone(
    hub_folders: Path, data: Path, tmp_path: Path
) -> None:
    args = arguments(hub_folders, data, tmp_path / "out")
    make(args)
    before = files_of(tmp_path / "out")
    for changes, message in (
        ({"box_threshold": 0.3}, "made with box_threshold: 0.2, not 0.3"),
        ({"out": str(data / "inside")}, "lies in the data folder"),
        ({"out": str(data)}, "lies in the data folder"),
        ({"out": str(hub_folders)}, "not empty"),
    ):
        with pytest.raises(InputError, match=message):
            make({**args, **changes})
    assert files_of(tmp_path / "out") == before
    (tmp_path / "out" / "pseudo-labels.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="damaged"):
        make(args)


@pytest.mark.parametrize(
    "options",
    [("--words", "car"), ("--classes", "missing.json"), ("--classes", "a,a")],
)
def test_options_that_cannot_be_used(data: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    status, _, stderr = run("pseudo-label", data, "--out", tmp_path / "out", *options)
    assert (status, stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_images_of_any_depth_become_what_detectors_know() -> None:
    grey = np.linspace(100, 40_000, 1200).reshape(30, 40, 1)
    for image in (grey.astype(np.uint16), grey.astype(np.float32) * 1e-6):
        rgb = as_rgb8(image)
        assert (rgb.shape, rgb.dtype) == ((30, 40, 3), np.uint8)
        assert (rgb.min(), rgb.max()) == (0, 255)
        assert (rgb[..., 0] == rgb[..., 2]).all()
    assert (as_rgb8(np.full((3, 3, 1), 7.0, np.float32)) == 0).all()
    colour = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert as_rgb8(colour) is colour
