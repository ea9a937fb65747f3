"""Predictions of any images: right, by parts, as a whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

from napari_al.errors import InputError
from napari_al.formats.images import read_ids
from napari_al.formats.parts import rasters
from napari_al.formats.parts.axis_steps import axis_steps
from napari_al.learning import inference
from napari_al.learning.inference import predict_probs
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.weights import save_segmenter
from napari_al.tools import predict
from napari_al.tools.predict import predict_images
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("zarr")
CPU = torch.device("cpu")
SHAPE = (150, 210)


def write_model(path: Path, n_channels: int = 3, seed: int = 0) -> Path:
    statistics = {"mean": [120.0] * n_channels, "std": [70.0] * n_channels}
    save_segmenter(path, build_segmenter("compact", n_channels, 4, seed=seed, **statistics), {})
    return path


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "m.safetensors")


def write_image(path: Path, shape: tuple[int, int] = SHAPE, n_channels: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(0).integers(0, 255, (shape[0] // 15, shape[1] // 15, n_channels))
    pixels = np.kron(coarse, np.ones((15, 15, 1))).astype(np.uint8)
    if path.suffix == ".tif":
        how = {"photometric": "minisblack", "tile": (32, 32), "compression": "zlib"}
        if n_channels > 1:
            how["planarconfig"] = "contig"
        tifffile.imwrite(path, pixels.squeeze(), **how)
    else:
        iio.imwrite(path, pixels)
    return path


def by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small images treated as large ones."""
    for module, name, value in (
        (rasters, "is_too_large", lambda _: True),
        (predict, "MAX_PIXELS", 1),
        (inference, "MAX_WHOLE_PX", 1),
        (inference, "STEP_PX", 64),
    ):
        monkeypatch.setattr(module, name, value)


def test_a_class_map_for_each_image(model_path: Path, tmp_path: Path) -> None:
    model, folder, out = open_model(model_path), tmp_path / "images", tmp_path / "out"
    for name in ("a.png", "deep/b.jpg", "deep/.hidden.png"):
        write_image(folder / name)
    size = {"imagej": True, "resolution": (2, 4), "metadata": {"unit": "um"}}
    tifffile.imwrite(folder / "c.tif", iio.imread(folder / "a.png"), **size)
    other = write_image(tmp_path / "other.png", (30, 45))
    assert predict_images(model, [folder, other], out, probabilities=True) == {}
    names = {"a.png", "deep/b.png", "c.png", "other.png"}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.png")} == names
    for image in (folder / "a.png", other):
        probs = predict_probs(model.segmenter, iio.imread(image), CPU).numpy()
        written = read_probs(out / f"{image.stem}.probabilities.zarr")
        np.testing.assert_allclose(written, probs, atol=1e-6)
        np.testing.assert_array_equal(read_ids(out / image.name), probs.argmax(0))
    zarr = pytest.importorskip("zarr")
    attributes = zarr.open_group(out / "c.probabilities.zarr", mode="r").attrs
    axes, datasets = (attributes["multiscales"][0][key] for key in ("axes", "datasets"))
    assert [axis.get("unit") for axis in axes] == [None, "micrometer", "micrometer"]
    assert datasets[0]["coordinateTransformations"][0]["scale"] == [1, 0.25, 0.5]
    channels = attributes["omero"]["channels"]
    assert [channel["label"] for channel in channels] == [c.name for c in model.classes]
    assert [f"#{channel['color'].lower()}" for channel in channels] == [
        c.color for c in model.classes
    ]
    assert len(json.loads((out / "classes.json").read_text())) == 4


def read_probs(path: Path) -> np.ndarray:
    with rasters.open_raster(path) as raster:
        whole = raster.read(*(slice(0, length) for length in raster.shape))
    return np.moveaxis(whole, 2, 0)


@pytest.mark.parametrize("n_channels", [1, 3, 6])
def test_a_large_image_by_parts_is_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_channels: int
) -> None:
    model = open_model(write_model(tmp_path / "m.safetensors", n_channels))
    image = write_image(tmp_path / "big.tif", n_channels=n_channels)
    by_parts(monkeypatch)
    seen = []
    predict_images(
        model,
        [image],
        tmp_path / "out",
        probabilities=True,
        on_progress=lambda *at: seen.append(at),
    )
    pixels = tifffile.imread(image).reshape(*SHAPE, n_channels)
    probs = predict_probs(model.segmenter, pixels, CPU).numpy()
    class_map = tifffile.imread(tmp_path / "out/big.tif")
    np.testing.assert_array_equal(class_map, probs.argmax(0))
    written = read_probs(tmp_path / "out/big.probabilities.zarr")
    np.testing.assert_allclose(written, probs, atol=1e-6)
    assert seen == [(i + 1, 12) for i in range(12)]


def test_what_is_interrupted_is_not_there_and_goes_on(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = open_model(model_path), tmp_path / "out"
    images = [write_image(tmp_path / "images" / f"{name}.tif") for name in "ab"]
    by_parts(monkeypatch)

    def stop(done: int, total: int) -> None:
        if done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_images(model, images, out, probabilities=True, on_progress=stop)
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {
        "a.tif", "a.probabilities.zarr", "classes.json", "prediction.json"
    }  # fmt: skip
    first, seen = (out / "a.tif").stat().st_mtime_ns, []
    predict_images(model, images, out, probabilities=True, on_progress=lambda *at: seen.append(at))
    assert (out / "a.tif").stat().st_mtime_ns == first
    assert seen == [(i, 24) for i in range(12, 25)], "what was there, then each part"
    np.testing.assert_array_equal(tifffile.imread(out / "a.tif"), tifffile.imread(out / "b.tif"))
    assert not list(out.rglob("*.part"))


def test_a_damaged_image_is_named_or_left_out(model_path: Path, tmp_path: Path) -> None:
    good, bad = write_image(tmp_path / "in/a.png"), tmp_path / "in/b.png"
    whole = good.read_bytes()
    bad.write_bytes(whole[:200] + bytes(len(whole) - 212) + whole[-12:])
    model = open_model(model_path)
    with pytest.raises(InputError, match=r"b\.png"):
        predict_images(model, [tmp_path / "in"], tmp_path / "out")
    left_out = predict_images(model, [tmp_path / "in"], tmp_path / "out", skip_broken=True)
    assert list(left_out) == [bad]
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["a.png"]


# ---- what cannot be used


def grey(tmp_path: Path) -> list[Path]:
    return [write_image(tmp_path / "in/grey.tif", n_channels=1)]


def nowhere(tmp_path: Path) -> list[Path]:
    return [tmp_path / "nowhere"]


def no_images(tmp_path: Path) -> list[Path]:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("")
    return [tmp_path / "in"]


def no_picture(tmp_path: Path) -> list[Path]:
    (tmp_path / "notes.txt").write_text("some notes")
    return [tmp_path / "notes.txt"]


def same_name(tmp_path: Path) -> list[Path]:
    return [write_image(tmp_path / "in/a.png"), write_image(tmp_path / "in/a.tif")]


def among_the_images(tmp_path: Path) -> list[Path]:
    return [write_image(tmp_path / "out/a.png")]


def folder_around(tmp_path: Path) -> list[Path]:
    write_image(tmp_path / "a.png")
    return [tmp_path]


def data_folder(tmp_path: Path) -> list[Path]:
    write_image(tmp_path / "in/train/images/a.png")
    (tmp_path / "in/classes.json").write_text("[]")
    return [tmp_path / "in"]


def folder_of_others(tmp_path: Path) -> list[Path]:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("")
    return [write_image(tmp_path / "in/a.png")]


def out_is_a_file(tmp_path: Path) -> list[Path]:
    (tmp_path / "out").write_text("")
    return [write_image(tmp_path / "in/a.png")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (grey, "has 1 channel"),
        (nowhere, "does not exist"),
        (no_images, "has no images"),
        (no_picture, "not a picture"),
        (same_name, "would both be written"),
        (among_the_images, "name another folder"),
        (folder_around, "among the images"),
        (data_folder, "is a data folder"),
        (folder_of_others, "not empty"),
        (out_is_a_file, "is a file"),
    ],
)
def test_refused_with_a_reason(
    model_path: Path, tmp_path: Path, make: Callable[[Path], list[Path]], message: str
) -> None:
    images = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        predict_images(open_model(model_path), images, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_another_models_folder_is_not_mixed(model_path: Path, tmp_path: Path) -> None:
    image, out = write_image(tmp_path / "in/a.png"), tmp_path / "out"
    predict_images(open_model(model_path), [image], out)
    other = open_model(write_model(tmp_path / "other.safetensors", seed=1))
    with pytest.raises(InputError, match="was made with model"):
        predict_images(other, [image], out)
    with pytest.raises(InputError, match="probabilities: False, not True"):
        predict_images(open_model(model_path), [image], out, probabilities=True)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_a_stack_in_a_stack_out(model_path: Path, tmp_path: Path, suffix: str) -> None:
    model, out = open_model(model_path), tmp_path / "out"
    planes = np.random.default_rng(0).integers(0, 255, (2, 3, 50, 70, 3), np.uint8)
    path = tmp_path / f"stack{suffix}"
    if suffix == ".tif":
        sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2, "TimeIncrement": 9}
        how = {"photometric": "rgb", "metadata": {"axes": "TZYXS", **sizes}}
        tifffile.imwrite(path, planes, ome=True, **how)
    else:
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", data=planes.transpose(0, 4, 1, 2, 3), chunks=(1, 1, 1, 32, 32))
        units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
        axes = [{"name": n, **({"unit": units[n]} if n in units else {})} for n in "tczyx"]
        scale = [{"type": "scale", "scale": [9, 1, 2, 0.5, 0.5]}]
        datasets = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    seen = []
    predict_images(model, [path], out, probabilities=True, on_progress=lambda *at: seen.append(at))
    assert seen[-1] == (6, 6)
    expected = np.stack(
        [[predict_probs(model.segmenter, plane, CPU).numpy() for plane in time] for time in planes]
    )
    with tifffile.TiffFile(out / "stack.tif") as file:
        assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(file.asarray(), expected.argmax(2))
    probabilities = out / "stack.probabilities.zarr"
    steps = {"t": (9, "second"), "z": (2, "micrometer"), "y": (0.5, "micrometer")}
    for written in (out / "stack.tif", probabilities):
        assert axis_steps(written) == {**steps, "x": steps["y"]}
    with rasters.open_raster(probabilities) as raster:
        assert raster.planes == (("t", 2), ("z", 3))
        found = raster.read(slice(0, 50), slice(0, 70), (1, 2))
    np.testing.assert_allclose(np.moveaxis(found, 2, 0), expected[1, 2], atol=1e-6)
