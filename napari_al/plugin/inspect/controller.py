"""Opening and closing projects in one viewer's inspect dock.

`Inspector` lives as long as the dock and knows no widgets; these listen to its events. It makes an
``OpenProject`` for each project that is opened, and drops it with the project.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from psygnal import Signal, SignalGroup

from napari_al.plugin.inspect.open_project import OpenProject
from napari_al.plugin.inspect.overlay_layers import InspectLayers
from napari_al.plugin.layers.layer_kinds import load_layers, load_units
from napari_al.plugin.viewers import is_annotating
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import MainThread
from napari_al.session.inspection.inspection import Inspection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_al.errors import InputError
    from napari_al.session.inspection.inspection import RoundRecord


class InspectorEvents(SignalGroup):
    """What views listen to; emitted on the window's thread."""

    opened = Signal(object)
    """An ``OpenProject``."""
    closed = Signal()
    classes_changed = Signal()
    """The project's classes were edited, or such an edit was undone."""
    round_changed = Signal(object)
    """A ``RoundRecord``: another round is on screen, or the open one has new answers."""
    image_changed = Signal(str)
    overlays_changed = Signal()
    """An overlay was switched on or off (also in napari's layer list)."""
    overlay_shown = Signal(str, str)
    """Key of an overlay, and "" when it is on screen, or why it cannot be."""
    region_described = Signal(object)
    """``RegionFacts`` of the region that was clicked; None: none."""
    region_clicked = Signal()
    told = Signal(str)
    """A message for the user."""

    def report(self, error: InputError | OSError) -> None:
        """Show an error to the user."""
        self.told.emit(str(error))


class Inspector:
    """Shows the rounds of one project at a time in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    project : OpenProject or None
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.events = InspectorEvents()
        self.dispatch = MainThread()
        self.layers = InspectLayers(viewer)
        self.project: OpenProject | None = None
        self._background = Background(self.dispatch)

    def open(self, path: Path) -> None:
        """Show the project in a folder."""

        def then(adopt_units: Callable[[], None]) -> None:
            adopt_units()
            self._open(path)

        if self.project is None:
            self._background.request("open", _load_ahead, then, self.events.report)
        else:
            self._open(path)

    def _open(self, path: Path) -> None:
        def work() -> tuple[Inspection, RoundRecord]:
            inspection = Inspection(path)
            try:
                return inspection, inspection.record(inspection.rounds[-2:][0])
            except BaseException:
                inspection.close()
                raise

        self._background.request(
            "open", work, self._on_opened, self.events.report, lambda opened: opened[0].close()
        )

    def _on_opened(self, opened: tuple[Inspection, RoundRecord]) -> None:
        self.close()
        gc.freeze()  # a collection among napari's objects would stop everything for 0.2 s
        self.project = OpenProject(self, *opened)
        self.events.opened.emit(self.project)
        self.project.start()

    def close(self) -> None:
        """Close the project and remove its layers; may be called again."""
        project, self.project = self.project, None
        if project is None:
            return
        self._background.drop_all()
        gc.freeze()  # napari collects garbage whenever a layer is removed
        project.close()
        if not is_annotating():
            gc.unfreeze()
        self.events.closed.emit()

    def end(self) -> None:
        """Close for good, with its widget."""
        self.dispatch.close()
        self.close()
        self._background.close()

    @property
    def inspection(self) -> Inspection | None:
        """The open project's rounds."""
        return None if self.project is None else self.project.inspection

    @property
    def record(self) -> RoundRecord | None:
        """The round on screen."""
        return None if self.project is None else self.project.record


def _load_ahead() -> Callable[[], None]:
    """Import what the first image on screen would have to wait for."""
    load_layers()
    return load_units()
