"""The dock widget to inspect a project's rounds; opening it, and finding it in a viewer.

It shows what its `Inspector` does and calls it for what is clicked.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_al.plugin.inspect.controller import Inspector
from napari_al.plugin.inspect.overlays_panel import OverlaysPanel
from napari_al.plugin.inspect.preview_panel import PreviewPanel
from napari_al.plugin.inspect.region_panel import RegionPanel
from napari_al.plugin.inspect.round_bar import RoundBar
from napari_al.plugin.viewers import find_dock, find_workbench, open_window
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.dock_space import DockSpace
from napari_al.plugin.widgets.form_parts import scrolled
from napari_al.plugin.widgets.theme import style_sheet, theme_colors

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_al.plugin.inspect.open_project import OpenProject
    from napari_al.session.inspection.inspection import Inspection, RoundRecord

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
        self.overlays, self.region, self.previews = OverlaysPanel(), RegionPanel(), PreviewPanel()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setExpanding(True)
        for name, page, tip in (
            ("Pictures", self.overlays, "what the round did to this image"),
            ("Region", self.region, "the region that was clicked"),
            ("Try out", self.previews, "what other choices would have given"),
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
        DockSpace(self, MIN_HEIGHT_PX)
        self.on_theme()
        self.connections, self._project_connections = ConnectionList(), ConnectionList()
        self._connect()
        self.destroyed.connect(
            partial(_close, self.connections, self._project_connections, self.inspector)
        )

    def _connect(self) -> None:
        events, bar, viewer = self.inspector.events, self.bar, self.viewer
        self.connections.connect_all(
            (events.opened, self.on_opened),
            (events.closed, self.on_closed),
            (events.image_changed, bar.show_image),
            (events.overlay_shown, self.overlays.show_reason),
            (events.region_described, self.region.show_facts),
            (events.region_clicked, self.on_region_clicked),
            (events.told, bar.show_message),
            (bar.folder_chosen, self.open),
            (viewer.events.theme, self.on_theme),
            (viewer.layers.events.inserted, self.on_layer_inserted),
        )

    def _connect_project(self, project: OpenProject) -> None:
        events, panel, previews = self.inspector.events, self.previews, project.previews
        self._project_connections.connect_all(
            (events.classes_changed, lambda: self._show_classes(project.inspection)),
            (events.round_changed, lambda record: self._show_round(project, record)),
            (events.overlays_changed, lambda: self.overlays.show_switches(project.shown_keys)),
            (previews.merged, panel.show_merging),
            (previews.cut, panel.show_cutting),
            (previews.compared, panel.show_comparison),
            (project.requests.progressed, self.bar.show_progress),
            (self.bar.round_chosen, project.go_to_round),
            (self.bar.image_chosen, project.show_image),
            (self.bar.stop_wanted, project.requests.cancel_rebuild),
            (self.overlays.toggled, project.set_shown),
            (self.region.pixel_chosen, project.pick),
            (panel.merging_wanted, previews.merge),
            (panel.cutting_wanted, previews.cut_into),
            (panel.acquisition_wanted, previews.compare),
            (panel.ended, previews.end),
        )

    def open(self, path: Path) -> None:
        """Show the project in a folder; in another window if this one is used to annotate."""
        self.bar.show_message("")
        inspect(self.viewer, path)

    # ---- slots

    def on_opened(self, project: OpenProject) -> None:
        """Show a project."""
        from napari_al.session.inspection.overlays import available

        inspection = project.inspection
        self.bar.show_message("")
        self.bar.show_project(inspection)
        self.overlays.set_overlays(available(inspection))
        self.previews.set_project(inspection.config)
        self._show_classes(inspection)
        self._connect_project(project)
        self.tabs.setCurrentIndex(0)
        self.tabs.setVisible(True)

    def _show_classes(self, inspection: Inspection) -> None:
        self.overlays.set_classes(inspection.config.classes)
        self.region.set_classes(inspection.classes)

    def _show_round(self, project: OpenProject, record: RoundRecord) -> None:
        self.bar.show_record(record, project.inspection.rounds)
        self.overlays.show_record(record)

    def on_closed(self) -> None:
        """Show that no project is open."""
        self._project_connections.close()
        self.bar.show_project(None)
        self.tabs.setVisible(False)

    def on_region_clicked(self) -> None:
        """Show the tab of the region that was clicked."""
        self.tabs.setCurrentIndex(REGION_TAB)

    def on_layer_inserted(self, *_: object) -> None:
        """Close the project when somebody begins to annotate in this window."""
        bench = find_workbench(self.viewer)
        if self.inspector.project is not None and bench is not None and bench.opened is not None:
            self.inspector.close()
            self.bar.show_message("This window is annotated in; open the project here again.")

    def on_theme(self, *_: object) -> None:
        """Use the colours of napari's theme."""
        colors = theme_colors(self.viewer.theme)
        self.setStyleSheet(style_sheet(colors))
        self.region.set_colors(colors)


def find_inspect_dock(viewer: napari.Viewer) -> InspectDock | None:
    """Return a viewer's inspect dock if it is open."""
    return find_dock(viewer, INSPECT_NAME)  # type: ignore[no-any-return]


def inspect(viewer: napari.Viewer, path: Path) -> InspectDock:
    """Show the rounds of a project; in a new window where this one is used to annotate."""
    bench = find_workbench(viewer)
    if bench is not None and bench.opened is not None:
        viewer = open_window()
    found = find_inspect_dock(viewer)
    if found is None:
        found = InspectDock(viewer)
        viewer.window.add_dock_widget(found, name=INSPECT_NAME, area="right")
    found.inspector.open(path)
    return found


def _close(
    connections: ConnectionList,
    project_connections: ConnectionList,
    inspector: Inspector,
    *_: object,
) -> None:
    connections.close()
    project_connections.close()
    with suppress(RuntimeError):  # at the program's end Qt has deleted the timers before
        inspector.end()
