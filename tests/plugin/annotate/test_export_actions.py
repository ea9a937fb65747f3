"""Exports from the export panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt

from napari_al.formats.images import read_ids
from napari_al.session.log.log import LogWriteError
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from conftest import Desk


TRAINING = {"steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1}


def test_the_model_can_be_exported(open_session: Callable[..., Desk], tmp_path: Path) -> None:
    desk = open_session()
    panel = desk.dock.annotate.export
    panel.format.setCurrentIndex(panel.format.findData("model"))
    assert panel.folder.text() == str(tmp_path / "project-model")
    panel._begin()
    desk.until(lambda: panel._result.text() not in ("", "Writing…"), seconds=240)
    assert "no model yet" in panel._result.text()
    desk.dock.bench.answering.choose(0)
    desk.until_asked()
    desk.dock.bench.opened.train()
    desk.until(lambda: desk.session.model_round == 1, seconds=240)
    panel._begin()
    desk.until(lambda: "The model of round_01 is in" in panel._result.text(), seconds=240)
    panel._begin()
    assert "already: it would be replaced" in panel._result.text()
    panel.show_result("")
    assert open_model(tmp_path / "project-model").classes == desk.session.config.classes


def test_finished_masks_from_the_statement_to_a_layer(
    open_session: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = open_session(training={"segmenter": "compact", **TRAINING}, budget=3)
    panel = desk.dock.annotate.export
    for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3):
        desk.key(key)
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy, seconds=240)
    desk.until_asked()
    desk.dock.annotate.tabs.setCurrentIndex(4)
    assert panel.source.currentData() == "finished"
    folder = tmp_path / "project-png-finished"
    assert panel.folder.text() == str(folder)
    panel.uncertainty.setChecked(True)
    desk.press("Export")
    desk.until(lambda: panel._state == "asking")
    stated = panel._result.text()
    assert "of the pixels are answered, and the model of round 1 (mIoU" in stated
    assert "predicts the others" in stated
    assert " px (" in stated
    assert not folder.exists()
    desk.press("Write the files")
    desk.until(lambda: panel._state == "idle")
    assert panel._result.text() == f"5 images written to {folder}."
    assert len(list((folder / "uncertainty").iterdir())) == 5
    desk.press("Open as Labels layer")
    name = f"{desk.query.region.image} labels"
    desk.until(lambda: name in desk.viewer.layers)
    layer = desk.viewer.layers[name]
    written = read_ids(folder / "labels" / f"{desk.query.region.image}.png")
    np.testing.assert_array_equal(layer.data, written)
    assert "napari_al" not in layer.metadata  # the user's own
    n_answers = len(desk.session.answers())
    desk.key(Qt.Key.Key_1)
    assert len(desk.session.answers()) == n_answers + 1

    desk.press("Export")  # nothing is overwritten unasked
    desk.until(lambda: panel._state == "asking")
    assert "already: it would be replaced" in panel._result.text()
    assert panel.write.text() == "Replace the files"
    panel.format.setCurrentIndex(panel.format.findData("coco"))
    assert panel._state == "idle"
    assert panel.folder.text() == str(tmp_path / "project-coco-finished")


def test_answers_that_are_not_on_disk_are_not_left_out_in_silence(
    open_session: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_session()
    log = desk.session._log.log

    def fail(*_: object) -> None:
        raise LogWriteError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(log), "append", fail)
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
        desk.dock.annotate.tabs.setCurrentIndex(4)
        desk.press("Export")
        assert "1 answer could not be written" in desk.dock.annotate.export._result.text()
