"""A real viewer with the dock in it, driven by real events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton
from scenes import QUICK_TRAINING

from napari_al.formats.dataset import DataFolder
from napari_al.plugin import viewers
from napari_al.plugin.app import open_dock
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_al.methods.queries import Query
    from napari_al.plugin.dock import ActiveLearning

SMALL = {
    "budget": 6,
    "regions": {"n_per_image": 12, "side_px": 24},
    "training": QUICK_TRAINING,
}


@dataclass
class Desk:
    """What a person has in front of them, and what they can do with it."""

    viewer: Any
    dock: ActiveLearning
    qtbot: Any

    @property
    def canvas(self) -> QWidget:
        return self.viewer.window._qt_viewer.canvas.native

    @property
    def query(self) -> Query:
        query = self.dock.bench.query
        assert query is not None
        return query

    @property
    def session(self) -> Session:
        session = self.dock.bench.session
        assert session is not None
        return session

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier | None = None) -> None:
        """Press a key over the picture."""
        QTest.keyClick(self.canvas, key, modifier or Qt.KeyboardModifier.NoModifier)

    def press(self, words: str, within: QWidget | None = None) -> None:
        """Click a button by its name."""
        for button in (within or self.dock).findChildren(QPushButton):
            if button.accessibleName() == words and button.isVisibleTo(self.dock):
                assert button.isEnabled(), f"{words} cannot be clicked"
                QTest.mouseClick(button, Qt.MouseButton.LeftButton)
                return
        raise AssertionError(f"there is no button {words!r}")

    def until(self, holds: Callable[[], object], seconds: float = 240) -> None:
        """Wait, handling events, until something holds."""
        self.qtbot.waitUntil(lambda: bool(holds()), timeout=int(1000 * seconds))

    def until_asked(self) -> None:
        """Wait until a query is on screen and counted."""
        self.until(lambda: self.dock.bench.query is not None)
        opened = self.dock.bench.opened
        self.until(lambda: opened.display.image and not opened.display._arrive_soon.isActive())
        self.until(lambda: not opened.updates._later.isActive())
        self.until(lambda: self.dock.bench.stage.image == self.query.region.image)
        self.until(lambda: self.dock.bench.stage.layers.get("query") is not None)


@pytest.fixture
def desk(make_napari_viewer: Any, qtbot: Any) -> Iterator[Desk]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    desk = Desk(viewer, open_dock(viewer), qtbot)
    keys = desk.dock.bench.keys
    yield desk
    keys.reset_all()  # they are kept for all viewers
    viewers.close_all()
    QApplication.processEvents()


@pytest.fixture
def open_session(desk: Desk, data_path: Path, tmp_path: Path) -> Callable[..., Desk]:
    """Open a small project of a method; its first query is on screen."""

    def open_(method: str = "classbal", data: Path | None = None, **settings: Any) -> Desk:
        folder = DataFolder.open(data or data_path)
        config = make_config(folder, SMALL | settings, method)
        session = Session.create(tmp_path / "project", config, dispatch=desk.dock.bench.dispatch)
        if not config.method.starts_from_labels:
            session.prepare()
        desk.dock.bench.open(session)
        desk.until_asked()
        return desk

    return open_
