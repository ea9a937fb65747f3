from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grounded_sam_models import write_detector, write_sam, write_sam2
from scenes import write_data, write_initial, write_run

if TYPE_CHECKING:
    from collections.abc import Callable


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the programs that they start, away from the user's napari settings."""
    folder = tempfile.TemporaryDirectory(prefix="napari-al-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["NAPARI_CONFIG"] = str(Path(folder.name) / "settings.yaml")


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data folder; not to be written to."""
    return write_data(tmp_path_factory.mktemp("scenes") / "data")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The project of two rounds of a method, made once for all tests; not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    data_path = write_initial(write_data(folder / "data"))
    return cache(lambda method: write_run(folder / method, data_path, method))


@pytest.fixture(scope="session")
def hub_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``dino``, ``sam`` and ``sam2`` with tiny models; not to be written to."""
    folder = tmp_path_factory.mktemp("hub")
    write_detector(folder / "dino")
    write_sam(folder / "sam")
    write_sam2(folder / "sam2")
    return folder
