"""*Help > Copy diagnostics* puts what ``napari-al doctor`` says on the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication

from napari_al.plugin.diagnostics import TITLE
from napari_al.tools import doctor

if TYPE_CHECKING:
    import pytest


def test_the_report_is_on_the_clipboard(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"disk": doctor.CHECKS["disk"]})
    (action,) = [a for a in desk.viewer.window.help_menu.actions() if a.text() == TITLE]
    action.trigger()
    desk.qtbot.waitUntil(
        lambda: "temporary folder" in QApplication.clipboard().text(), timeout=10_000
    )


def test_the_entry_goes_with_the_dock(desk: Any) -> None:
    desk.dock.diagnostics.close()
    assert TITLE not in [a.text() for a in desk.viewer.window.help_menu.actions()]
