from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest
from scenes import QUICK_TRAINING, write_run
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.session.project.config import TrainingSettings

if TYPE_CHECKING:
    from pathlib import Path

WHO = ("--licence", "CC-BY-4.0", "--author", "A. N. Notator")


@pytest.fixture(scope="session")
def project(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project with the network that is exported soonest; not to be written to."""
    training = TrainingSettings.model_validate({**QUICK_TRAINING, "segmenter": "compact"})
    folder = tmp_path_factory.mktemp("project")
    return write_run(folder / "run", data_path, "classbal", training=training)


@pytest.fixture(scope="session")
def exported(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of ``project`` in all formats; not to be written to."""
    for package in ("bioimageio.spec", "onnxscript"):
        pytest.importorskip(package)
    out = tmp_path_factory.mktemp("exported") / "model"
    command = ["export-model", str(project), "--out", str(out), "--bioimageio"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # bioimageio.spec leaves files open
        done = CliRunner().invoke(app, [*command, *WHO], catch_exceptions=False)
        gc.collect()
    assert done.exit_code == 0, done.output
    return out
