"""What one viewer is used for: its layers, its preferences, and the session open in it, if any.

A `Workbench` lives as long as its viewer, not as long as a dock widget: closing the widget loses
nothing. It knows no widgets; these call it and listen to its events.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.keys import UserKeys
from napari_al.plugin.control.open_session import OpenSession
from napari_al.plugin.layers.channels_file import read_channels
from napari_al.plugin.layers.layer_set import LayerSet
from napari_al.plugin.preferences import load, save_keys
from napari_al.plugin.recent_projects import remember
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.main_thread import MainThread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from napari_al.methods.queries import Query
    from napari_al.plugin.control.question_controller import QuestionController
    from napari_al.plugin.control.training_controller import Pause
    from napari_al.plugin.layers.displayed_image import ImageDisplay
    from napari_al.plugin.layers.placement import Placements
    from napari_al.plugin.layers.plane_slider import Plane
    from napari_al.session.session import Session


class Workbench:
    """Opens and closes sessions in one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    keys : UserKeys, optional
        Those of the viewers that are open already; else those of the preferences.

    Attributes
    ----------
    preferences : Preferences
        In force in this viewer; panels change them.
    keys : UserKeys
        In force in all viewers.
    opened : OpenSession or None
    """

    def __init__(self, viewer: Viewer, keys: UserKeys | None = None) -> None:
        self.viewer = viewer
        self.events = WorkbenchEvents()
        self.dispatch = MainThread()
        self.preferences = load()
        self.keys = keys or UserKeys(self.preferences.keys, self.preferences.class_keys)
        self.layers = LayerSet(viewer)
        self.layers.set_dim(self.preferences.dim / 100)
        self.opened: OpenSession | None = None
        self._connections = ConnectionList()
        self._connections.connect_all(
            (viewer.layers.events.removed, self._on_layer_removed),
            (self.keys.changed, self._on_keys_changed),
        )

    def open(
        self,
        session: Session,
        placements: Placements | None = None,
        planes: Sequence[Plane] = (),
    ) -> None:
        """Show a session instead of the layers its images are from; an earlier one is closed."""
        self.close()
        gc.freeze()  # a collection among napari's objects would stop everything for 0.2 s
        channels, problem = None, self.keys.problem
        try:
            channels = read_channels(session.project.path, session.data.n_channels)
        except InputError as error:
            problem = "\n".join(filter(None, (problem, str(error))))
        self.opened = OpenSession(self, session, placements, planes, channels)
        remember(session)
        self.events.opened.emit(self.opened)
        if problem:
            self.events.told.emit(problem)
        if session.rescued:
            self.events.told.emit(
                f"Unsaved last time, back now: {count(session.rescued, 'answer')}."
            )
        self.opened.queries.ask()

    def close(self) -> None:
        """Close the session and remove its layers; may be called again."""
        if self.opened is not None:
            self._close_session()
            self.events.closed.emit()

    def _close_session(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            opened.close()
            gc.unfreeze()

    def end(self) -> None:
        """Close for good, with the viewer and its docks: `closed` is not emitted."""
        self.dispatch.close()
        self._connections.close()
        self.layers.forget_all()  # the viewer removes them
        if self.opened is not None:
            self.opened.questions.state = None  # its layer is gone
        self._close_session()

    def _on_layer_removed(self, event: Any) -> None:
        kind = self.layers.forget(event.value)
        if self.opened is not None:
            self.opened.on_layer_removed(event.value, kind)

    def _on_keys_changed(self) -> None:
        if not save_keys(self.keys.to_text(), self.keys.preferred):
            self.events.told.emit("This napari keeps no preferences: the keys hold until it ends.")

    # ---- names that scripts use

    @property
    def session(self) -> Session | None:
        """The open session."""
        return None if self.opened is None else self.opened.session

    @property
    def query(self) -> Query | None:
        """The query on screen; None: `pause` says why."""
        return None if self.opened is None else self.opened.questions.query

    @property
    def pause(self) -> Pause:
        """Why no query is on screen."""
        return "" if self.opened is None else self.opened.queries.pause

    @property
    def stage(self) -> ImageDisplay:
        """The image on screen of the open session."""
        return self._require_open().display

    @property
    def answering(self) -> QuestionController:
        """The question of the open session."""
        return self._require_open().questions

    def _require_open(self) -> OpenSession:
        if self.opened is None:
            raise RuntimeError("no session is open in this viewer")
        return self.opened
