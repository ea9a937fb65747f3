from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scenes import write_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data folder; not to be written to."""
    return write_data(tmp_path_factory.mktemp("scenes") / "data")
