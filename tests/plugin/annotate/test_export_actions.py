"""Exports from the export panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Desk


def test_the_model_can_be_exported(open_session: Callable[..., Desk], tmp_path: Path) -> None:
    desk = open_session()
    panel = desk.dock.annotate.export
    panel.format.setCurrentIndex(panel.format.findData("model"))
    assert panel.folder.text() == str(tmp_path / "project-model")
    panel._export()
    desk.until(lambda: panel._result.text() not in ("", "Writing…"), seconds=120)
    assert "no model yet" in panel._result.text()
    desk.dock.bench.answering.choose(0)
    desk.until_asked()
    desk.dock.bench.opened.train()
    desk.until(lambda: desk.session.model_round == 1, seconds=120)
    panel._export()
    desk.until(lambda: "The model of round_01 is in" in panel._result.text(), seconds=120)
    assert open_model(tmp_path / "project-model").classes == desk.session.config.classes
