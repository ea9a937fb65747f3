from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from napari_al.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WHO = ("--licence", "CC-BY-4.0", "--author", "A. N. Notator")


@pytest.fixture(scope="session")
def exported(finished_run: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of ``finished_run("classbal")`` in all formats; not to be written to."""
    for package in ("bioimageio.spec", "onnxscript"):
        pytest.importorskip(package)
    out = tmp_path_factory.mktemp("exported") / "model"
    command = ["export-model", str(finished_run("classbal")), "--out", str(out), "--bioimageio"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # bioimageio.spec leaves files open
        done = CliRunner().invoke(app, [*command, *WHO], catch_exceptions=False)
        gc.collect()
    assert done.exit_code == 0, done.output
    return out
