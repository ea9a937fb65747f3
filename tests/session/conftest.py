from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scenes import project_config, write_data

from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own_data_path(tmp_path: Path) -> Path:
    """A data folder of this test's own: it may be spoilt."""
    return write_data(tmp_path / "data")


@pytest.fixture
def session(own_data_path: Path, tmp_path: Path) -> Iterator[Session]:
    """A new session on a data folder of its own; the first query can be asked."""
    with Session.create(tmp_path / "p", project_config(own_data_path)) as session:
        session.prepare()
        yield session
