"""A package of the BioImage Model Zoo: valid by the specification's library, and it runs."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import CLASSES
from typer.testing import CliRunner

from napari_al import open_model
from napari_al.cli import app
from napari_al.errors import InputError
from napari_al.tools.bioimageio_package import (
    Publication,
    _identifiers,
    training_summary,
    write_package,
)

if TYPE_CHECKING:
    from pathlib import Path

spec = pytest.importorskip("bioimageio.spec")
pytest.importorskip("onnxscript")
pytestmark = [  # the library leaves files open for a while
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def package(exported: Path) -> Path:
    return exported / "model.bioimageio.zip"


@pytest.fixture(scope="module")
def description(package: Path) -> Any:
    with spec.ValidationContext(disable_cache=True):
        return spec.load_model_description(package, format_version="latest")


def test_it_is_valid_and_says_what_it_is(project: Path, description: Any) -> None:
    assert description.validation_summary.status in ("passed", "valid-format")
    assert str(description.license) == "CC-BY-4.0"
    assert [author.name for author in description.authors] == ["A. N. Notator"]
    ours = description.config.model_dump()["napari_al"]
    assert ours["classes"] == list(CLASSES)
    assert ours["training"] == training_summary(open_model(project))
    assert int(ours["training"]["clicks"]) > 0


def test_what_is_inside_gives_the_test_output(package: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    with zipfile.ZipFile(package) as file:
        file.extractall(tmp_path)
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    class_ids, probs = session.run(None, {"image": np.load(tmp_path / "image.npy")})
    np.testing.assert_array_equal(class_ids, np.load(tmp_path / "class_ids.npy"))
    np.testing.assert_allclose(probs, np.load(tmp_path / "probabilities.npy"), atol=1e-5)
    height, width = class_ids.shape[1:]
    assert iio.imread(tmp_path / "cover.png").shape == (height, 2 * width, 3)


def test_what_is_missing_is_one_line(project: Path, tmp_path: Path) -> None:
    command = ["export-model", str(project), "--out", str(tmp_path / "m"), "--bioimageio"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "--licence CC-BY-4.0" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_licence_is_refused(project: Path, exported: Path, tmp_path: Path) -> None:
    publication = Publication("no-such-licence", ["A"])
    with pytest.raises(InputError, match="is not valid"):
        write_package(tmp_path / "p.zip", exported / "model.onnx", open_model(project), publication)
    assert not (tmp_path / "p.zip").exists()


def test_names_of_classes_become_identifiers() -> None:
    assert _identifiers(["Sky", "2 cars", "été", "sky"]) == ["sky", "class1", "t", "sky_3"]
