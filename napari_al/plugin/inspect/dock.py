"""The dock widget in which a researcher steps through the rounds of a project.

It shows what its `Inspector` does and hands clicks to it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_al.plugin.inspect.controller import Inspector
from napari_al.plugin.inspect.overlays_panel import PicturesPanel
from napari_al.plugin.inspect.preview_panel import TryPanel
from napari_al.plugin.inspect.region_panel import RegionPanel
from napari_al.plugin.inspect.round_bar import RoundBar
from napari_al.plugin.viewers import find_dock, find_workbench, open_window
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.dock_space import Room
from napari_al.plugin.widgets.form_parts import scrolled
from napari_al.plugin.widgets.theme import style_sheet, tones_of

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_al.session.inspection.inspection import RoundRecord

INSPECT_NAME = "Active learning: inspect"
MIN_WIDTH_PX, MIN_HEIGHT_PX = 340, 480
REGION_TAB = 1


class InspectDock(QWidget):
    """napari's "Active learning: inspect" widget.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)  # a proxy for plugins
        self.inspector = Inspector(self.viewer)
        self.bar = RoundBar()
        self.pictures, self.region, self.tries = PicturesPanel(), RegionPanel(), TryPanel()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setExpanding(True)
        for name, page, tip in (
            ("Pictures", self.pictures, "what the round did to this image"),
            ("Region", self.region, "the region that was clicked"),
            ("Try out", self.tries, "what other choices would have given"),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(scrolled(page), name), tip)
        self.tabs.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(self.bar)
        column.addWidget(self.tabs, 1)
        column.addStretch()
        self.setMinimumWidth(MIN_WIDTH_PX)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        Room(self, MIN_HEIGHT_PX)
        self.on_theme()
        self.links = ConnectionList()
        self._connect()
        self.destroyed.connect(partial(_end, self.links, self.inspector))

    def _connect(self) -> None:
        inspector, events, tries = self.inspector, self.inspector.events, self.inspector.tries
        self.links.connect_all(
            (events.opened, self.on_opened),
            (events.closed, self.on_closed),
            (events.classes_changed, self.on_classes_changed),
            (events.moved, self.on_moved),
            (events.image_changed, self.bar.show_image),
            (events.wanted_changed, self.on_wanted_changed),
            (events.drawn, self.pictures.show_reason),
            (events.described, self.region.show_facts),
            (events.picked, self.on_picked),
            (tries.merged, self.tries.show_merging),
            (tries.cut, self.tries.show_cutting),
            (tries.compared, self.tries.show_comparison),
            (inspector.maker.progressed, self.bar.show_progress),
            (events.told, self.bar.show_message),
            (self.bar.folder_chosen, self.open),
            (self.bar.round_chosen, inspector.move_to),
            (self.bar.image_chosen, inspector.show_image),
            (self.bar.stop_wanted, inspector.maker.give_up),
            (self.pictures.wanted, inspector.set_wanted),
            (self.region.pixel_chosen, inspector.pick),
            (self.tries.merging_wanted, tries.merge),
            (self.tries.cutting_wanted, tries.cut_into),
            (self.tries.acquisition_wanted, tries.ask_by),
            (self.tries.ended, tries.end),
            (self.viewer.events.theme, self.on_theme),
            (self.viewer.layers.events.inserted, self.on_layer_inserted),
        )

    def open(self, path: Path) -> None:
        """Look at the project in a folder; elsewhere, if this window is annotated in."""
        self.bar.show_message("")
        inspect(self.viewer, path)

    # ---- slots

    def on_opened(self) -> None:
        """Fit everything to a project."""
        inspection = self.inspector.inspection
        if inspection is None:
            return
        from napari_al.session.inspection.overlays import available

        self.bar.show_message("")
        self.bar.show_project(inspection)
        self.pictures.set_pictures(available(inspection))
        self.tries.set_project(inspection.config)
        self.on_classes_changed()
        self.tabs.setCurrentIndex(0)
        self.tabs.setVisible(True)

    def on_classes_changed(self) -> None:
        """Name classes as they are called now."""
        inspection = self.inspector.inspection
        if inspection is not None:
            self.pictures.set_classes(inspection.config.classes)
            self.region.set_classes(inspection.classes)

    def on_closed(self) -> None:
        """Show that no project is open."""
        self.bar.show_project(None)
        self.tabs.setVisible(False)

    def on_moved(self, record: RoundRecord) -> None:
        """Show another round."""
        if self.inspector.inspection is not None:
            self.bar.show_record(record, self.inspector.inspection.rounds)
            self.pictures.show_record(record)

    def on_wanted_changed(self) -> None:
        """Follow which pictures are shown."""
        self.pictures.show_wanted(self.inspector.wanted)

    def on_picked(self) -> None:
        """Turn to the region: it was clicked."""
        self.tabs.setCurrentIndex(REGION_TAB)

    def on_layer_inserted(self, *_: object) -> None:
        """Make room where somebody begins to annotate in this window."""
        bench = find_workbench(self.viewer)
        is_open = self.inspector.inspection is not None
        if is_open and bench is not None and bench.session is not None:
            self.inspector.close()
            self.bar.show_message("This window is annotated in; open the project here again.")

    def on_theme(self, *_: object) -> None:
        """Take on the colours of napari's theme."""
        tones = tones_of(self.viewer.theme)
        self.setStyleSheet(style_sheet(tones))
        self.region.set_tones(tones)


def find_inspect_dock(viewer: napari.Viewer) -> InspectDock | None:
    """Return a viewer's inspect dock if it is open."""
    return find_dock(viewer, INSPECT_NAME)  # type: ignore[no-any-return]


def inspect(viewer: napari.Viewer, path: Path) -> InspectDock:
    """Show the rounds of a project; in a new window where this one is used to annotate."""
    bench = find_workbench(viewer)
    if bench is not None and bench.session is not None:
        viewer = open_window()
    found = find_inspect_dock(viewer)
    if found is None:
        found = InspectDock(viewer)
        viewer.window.add_dock_widget(found, name=INSPECT_NAME, area="right")
    found.inspector.open(path)
    return found


def _end(links: ConnectionList, inspector: Inspector, *_: object) -> None:
    links.close()
    with suppress(RuntimeError):  # the program ends, and Qt has deleted the timers before
        inspector.end()
