from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from grounded_sam_models import write_detector, write_sam, write_sam2
from scenes import write_data


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
def hub_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``dino``, ``sam`` and ``sam2`` with tiny models; not to be written to."""
    folder = tmp_path_factory.mktemp("hub")
    write_detector(folder / "dino")
    write_sam(folder / "sam")
    write_sam2(folder / "sam2")
    return folder
