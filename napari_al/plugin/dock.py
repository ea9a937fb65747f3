"""The annotation dock: the start page, and the pages of an open session.

It shows what the viewer's ``Workbench`` does; the workbench outlives it.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from qtpy.QtWidgets import QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_al.core import opencv_packages
from napari_al.formats.classes import live_classes
from napari_al.plugin.annotate.export_actions import Exporter
from napari_al.plugin.annotate.help_overlay import HelpOverlay
from napari_al.plugin.annotate.pages import AnnotationPages
from napari_al.plugin.annotate.presenter import AnnotationPresenter
from napari_al.plugin.diagnostics import Diagnostics
from napari_al.plugin.dock_area import DockArea
from napari_al.plugin.start.pseudo_label_controller import PseudoLabelController
from napari_al.plugin.start.session_opener import SessionOpener
from napari_al.plugin.start.start_page import StartPage
from napari_al.plugin.viewers import workbench_of
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.theme import style_sheet, theme_colors

if TYPE_CHECKING:
    from pathlib import Path

    import napari
    from qtpy.QtGui import QShowEvent

    from napari_al.plugin.control.open_session import OpenSession

MIN_WIDTH_PX = 340


class ActiveLearning(QWidget):
    """napari's "Active learning" widget.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.bench = workbench_of(napari_viewer)
        dispatch = self.bench.dispatch
        self.start, self.pages = StartPage(), AnnotationPages()
        self.annotate, self.review = self.pages.annotate, self.pages.review
        self.editor = self.pages.editor
        for page in (self.start, self.annotate.view, self.annotate.model):
            page.set_preferences(self.bench.preferences)
        self.opening = SessionOpener(self.bench, self.start)
        self.pseudo_labels = PseudoLabelController(self.start, self.opening, dispatch)
        self.exporter = Exporter(self.annotate, dispatch)
        self.diagnostics = Diagnostics(napari_viewer, dispatch)
        self.presenter: AnnotationPresenter | None = None
        self._session_connections = ConnectionList()
        self._help: HelpOverlay | None = None
        self.docking = DockArea(self, self.bench)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start)
        self._stack.addWidget(self.pages)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        self.setMinimumWidth(MIN_WIDTH_PX)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.on_theme()
        self.on_keys_changed()
        self.connections = ConnectionList()
        self._connect()
        self.start.show_message(opencv_packages.conflict() or "")
        self.destroyed.connect(
            partial(
                _close,
                (
                    self.connections,
                    self._session_connections,
                    self.opening,
                    self.pseudo_labels,
                    self.exporter,
                    self.diagnostics,
                ),
            )
        )
        self.opening.show_recent()
        if self.bench.opened is not None:
            self.on_opened(self.bench.opened).show_current()

    def _connect(self) -> None:
        events, start, opening = self.bench.events, self.start, self.opening
        self.connections.connect_all(
            (events.opened, self.on_opened),
            (events.closed, self.on_closed),
            (events.told, self.annotate.show_message),
            (events.told, self.editor.show_message),
            (self.bench.keys.changed, self.on_keys_changed),
            (events.help_requested, self.toggle_help),
            (events.fold_requested, self.docking.toggle_panels),
            (opening.preview.regions_changed, start.regions.show_count),
            (opening.preview.failed, start.show_message),
            (opening.locked, self.inspect_project),
            (start.folder_wanted, opening.look),
            (start.recent.forgotten, opening.forget),
            (start.data_located, opening.relocate),
            (start.sources.viewer_wanted, opening.use_viewer_images),
            (start.sources.sample_wanted, opening.use_sample),
            (start.class_list.labels_wanted, opening.read_labels),
            (start.preview_wanted, opening.show_preview),
            (start.start_wanted, opening.begin),
            (start.existing_labels.found, opening.read_existing),
            (start.pseudo_labels.make_wanted, self.pseudo_labels.make),
            (start.pseudo_labels.stop_wanted, self.pseudo_labels.stop),
            (self.annotate.help_wanted, self.toggle_help),
            (self.annotate.leave_wanted, self.leave),
            (self.annotate.model.inspect_wanted, self.inspect),
            (self.viewer.events.theme, self.on_theme),
        )

    # ---- slots

    def on_opened(self, opened: OpenSession) -> AnnotationPresenter:
        """Show the pages of an open session."""
        self.opening.preview.stop()
        self.presenter = AnnotationPresenter(
            opened, self.pages, self.exporter, self._session_connections
        )
        self._stack.setCurrentWidget(self.pages)
        return self.presenter

    def on_closed(self) -> None:
        """Show the start page."""
        self._session_connections.close()
        self.exporter.on_project_closed()
        self.presenter = None
        self._stack.setCurrentWidget(self.start)
        self.opening.show_preview()
        self.opening.show_recent()

    def on_theme(self, *_: object) -> None:
        """Use the colours of napari's theme."""
        colors = theme_colors(self.viewer.theme)
        self.setStyleSheet(style_sheet(colors))
        self.annotate.model.set_colors(colors)

    def on_keys_changed(self) -> None:
        """Show the keys in force."""
        self.pages.show_keys(self.bench.keys)

    def toggle_help(self) -> None:
        """Show all keys over the window, or hide them."""
        if self._help is not None:
            help_, self._help = self._help, None
            was_visible = help_.isVisible()
            help_.hide()
            help_.deleteLater()
            if was_visible:
                return
        opened, keys = self.bench.opened, []
        if opened is not None:
            classes = live_classes(opened.session.config.classes)
            keys = [(opened.questions.class_keys[c.id], c.name) for c in classes]
        colors = theme_colors(self.viewer.theme)
        self._help = HelpOverlay(self.docking.main_window(), keys, self.bench.keys, colors)

    def inspect(self) -> None:
        """Show the rounds of the open project in a window of its own."""
        if self.bench.session is not None:
            self.inspect_project(self.bench.session.project.path)

    def inspect_project(self, path: Path) -> None:
        """Show the rounds of a project in the inspect dock."""
        from napari_al.plugin.inspect.dock import inspect

        inspect(self.viewer, path)

    def leave(self) -> None:
        """Close the project, unless the user wants to keep unsaved answers."""
        if self.docking.may_close():
            self.bench.close()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find the window that this is docked in now."""
        super().showEvent(event)
        self.docking.find_window()


class _Closable(Protocol):
    def close(self) -> None: ...


def _close(parts: tuple[_Closable, ...], *_: object) -> None:
    for part in parts:
        with suppress(RuntimeError):  # at the program's end Qt has deleted the timers before
            part.close()
    gc.unfreeze()  # the dock is garbage now (see Workbench.open)
