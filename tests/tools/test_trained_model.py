"""Trained models as files: found by any path, exported, and the same in ONNX."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from scenes import CLASSES

from napari_al import export_model, open_model, predict_images
from napari_al.errors import InputError
from napari_al.learning.inference import predict_probs
from napari_al.learning.segmenter import build_segmenter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_al import Model

CPU = torch.device("cpu")


def weights_of(model: Model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.segmenter.parameters()])


def test_a_model_by_any_path(project: Path, exported: Path) -> None:
    model = open_model(project)
    assert [c.name for c in model.classes] == list(CLASSES)
    for path in (model.file, exported, exported / "model.safetensors"):
        again = open_model(path)
        assert again.classes == model.classes
        torch.testing.assert_close(weights_of(again), weights_of(model))


def test_a_file_alone_has_classes_without_names(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "alone.safetensors"
    file.write_bytes(open_model(project).file.read_bytes())
    assert [c.name for c in open_model(file).classes] == [f"class {i}" for i in range(4)]


def test_the_second_stages_model_comes_first(finished_run: Callable[[str], Path]) -> None:
    assert open_model(finished_run("multi-class")).file.name == "round_02_stage_2.safetensors"


def test_an_exported_model_predicts_as_the_project_does(
    project: Path, exported: Path, data_path: Path, tmp_path: Path
) -> None:
    for model, out in ((project, tmp_path / "a"), (exported, tmp_path / "b")):
        predict_images(open_model(model), [data_path / "val/images"], out)
    files = sorted((tmp_path / "a").glob("*.png"))
    assert len(files) == 2
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("size", [(48, 64), (64, 64), (50, 77), (201, 133), (1, 3)])
def test_onnx_gives_what_torch_gives(project: Path, exported: Path, size: tuple[int, int]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported / "model.onnx")
    images = np.random.default_rng(0).integers(0, 255, (2, *size, 3), np.uint8)
    batch = images.transpose(0, 3, 1, 2).astype(np.float32)
    class_ids, probabilities = session.run(None, {"image": batch})
    model = open_model(project)
    for image, ids, probs in zip(images, class_ids, probabilities, strict=True):
        expected = predict_probs(model.segmenter, image, CPU).numpy()
        np.testing.assert_allclose(probs, expected, atol=1e-5)
        np.testing.assert_array_equal(ids, probs.argmax(0))
    names = session.get_modelmeta().custom_metadata_map["classes"]
    assert json.loads(names) == list(CLASSES)


def test_the_script_in_the_exported_readme_runs(
    project: Path, exported: Path, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    (script,) = re.findall(
        r"\n\n((?:    import .*\n)(?:    .*\n)*)", (exported / "README.md").read_text()
    )
    pixels = iio.imread(data_path / "val/images/scene_0.png")
    monkeypatch.chdir(exported)
    names = {"pixels": pixels}
    exec(re.sub("^    ", "", script, flags=re.MULTILINE), names)
    expected = predict_probs(open_model(project).segmenter, pixels, CPU).argmax(0)
    np.testing.assert_array_equal(names["class_ids"][0], expected)


def test_config_says_what_the_model_takes(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text())
    segmenter = open_model(exported).segmenter
    assert [c["name"] for c in config["classes"]] == list(CLASSES)
    assert (config["n_channels"], config["stride"]) == (3, segmenter.stride)
    np.testing.assert_allclose(config["mean"], segmenter.mean.flatten())
    np.testing.assert_allclose(config["std"], segmenter.std.flatten())


def test_an_export_replaces_an_export_and_nothing_else(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    export_model(open_model(project), out)
    export_model(open_model(project), out)
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {
        "README.md", "config.json", "model.safetensors"
    }  # fmt: skip
    (out / "thesis.tex").write_text("precious")
    export_model(open_model(project), out)
    assert (out / "thesis.tex").read_text() == "precious"


def test_without_the_packages_onnx_says_what_to_install(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"napari-al\[onnx\]"):
        export_model(open_model(project), tmp_path / "model", onnx=True)
    assert not list(tmp_path.iterdir())


def nothing(path: Path) -> Path:
    return path


def damaged_config(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text("[")
    return path


def damaged_weights(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text('{"format": "napari-al model"}')
    (path / "model.safetensors").write_bytes(b"nonsense")
    return path


def without_model(path: Path) -> Path:
    (path / "models").mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def pickle_file(path: Path) -> Path:
    torch.save({}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "is no model"),
        (damaged_config, "is damaged"),
        (damaged_weights, "not a model of this version"),
        (without_model, "has no model yet"),
        (pickle_file, "is no model"),
    ],
)
def test_what_is_no_model_is_named(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_model(make(tmp_path / "m"))


def test_a_frozen_ensemble_of_cosine_classifiers_and_other_channels_in_onnx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    from napari_al.learning.networks import efficientnet_lite
    from napari_al.learning.onnx_export import write_onnx

    # an export takes a minute with all blocks; this has every stride, and a shortcut
    first, second, *others = efficientnet_lite._STAGES
    few = [row._replace(repeats=1) for row in others if row.stride == 2]
    monkeypatch.setattr(efficientnet_lite, "_STAGES", (first, second, *few))
    model = build_segmenter(
        "efficientnet-lite0", 5, 3, seed=1, classifier="cosine", frozen=True, n_members=2,
        mean=[9.0] * 5, std=[2.0] * 5,
    ).eval()  # fmt: skip
    write_onnx(tmp_path / "m.onnx", model, ["a", "b", "c"])
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    for size in ((33, 80), (64, 64), (1, 3)):
        image = np.random.default_rng(0).normal(9, 2, (*size, 5)).astype(np.float32)
        image[-1, -1] = np.nan
        _, probs = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
        np.testing.assert_allclose(probs[0], predict_probs(model, image, CPU), atol=1e-5)
