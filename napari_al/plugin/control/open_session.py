"""One open session in a viewer: its controllers, rounds and classes.

Its parts are made with it and dropped with it. Calls go down to them; what changed goes up as
``WorkbenchEvents``.
"""

from __future__ import annotations

import gc
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.plugin.control.answer_submission import AnswerSubmission
from napari_al.plugin.control.deferred_updates import DeferredUpdates
from napari_al.plugin.control.key_bindings import KeyBindings
from napari_al.plugin.control.query_navigator import BUSY, QueryNavigator
from napari_al.plugin.control.question_controller import QuestionController
from napari_al.plugin.control.session_connections import connect_session
from napari_al.plugin.control.statistics_controller import StatisticsController
from napari_al.plugin.control.training_controller import TrainingController
from napari_al.plugin.layers.channels_file import write_channels
from napari_al.plugin.layers.displayed_image import ImageDisplay
from napari_al.plugin.recent_projects import remember, write_thumbnail
from napari_al.plugin.widgets.connection_list import ConnectionList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.layers.channel_view import ChannelChoice
    from napari_al.plugin.layers.layer_kinds import LayerKind
    from napari_al.plugin.layers.placement import Placements
    from napari_al.plugin.layers.plane_slider import Plane
    from napari_al.session.rounds.job_function import JobResult
    from napari_al.session.session import Session


class OpenSession:
    """A session and everything that a viewer needs to annotate in it.

    Parameters
    ----------
    bench : Workbench
        Of the viewer.
    session : Session
        Closed with this.
    placements : Placements, optional
        Where its images lie in the world.
    planes : sequence of Plane
        Of layers that its images are from; these are hidden until `close`.
    channels : ChannelChoice, optional
        The channels that are shown.
    """

    def __init__(
        self,
        bench: Workbench,
        session: Session,
        placements: Placements | None = None,
        planes: Sequence[Plane] = (),
        channels: ChannelChoice | None = None,
    ) -> None:
        events, preferences, dispatch = bench.events, bench.preferences, bench.dispatch
        self.session = session
        session.cluster = preferences.cluster
        self.events, self.keys = events, bench.keys
        self.preferences = preferences
        self.display = ImageDisplay(
            bench.layers, session, preferences, dispatch, placements, planes, channels
        )
        self.submission = AnswerSubmission(session, events, dispatch)
        self.questions = QuestionController(
            session, events, self.display, self.submission, self.keys
        )
        self.training = TrainingController(session, events, self.display, preferences, dispatch)
        self.statistics = StatisticsController(session, events, dispatch)
        self._has_shown_model = session.model_round is not None
        self.updates = DeferredUpdates(session, events, self.display, self.statistics)
        self.queries = QueryNavigator(
            session, events, self.display, self.submission, self.questions, self.training,
            self.updates, self.keys,
        )  # fmt: skip
        self.connections = ConnectionList()
        connect_session(self.connections, self, bench.viewer)
        self.bindings = KeyBindings(self, bench.viewer)
        self.training.encode_ahead()

    def close(self) -> None:
        """Close the session and remove its layers."""
        with suppress(InputError):  # closing the session warns of it
            self.submission.rescue_unsaved()
        self._remember()
        for part in (self.connections, self.bindings, self.questions, self.submission,
                     self.training, self.statistics, self.updates, self.display):  # fmt: skip
            part.close()
        try:
            self.session.close()
        except InputError as error:  # the dock has asked before, if there is one
            warnings.warn(str(error), stacklevel=3)

    def _remember(self) -> None:
        """Update the list of recent projects: answers so far, and the image on screen."""
        remember(self.session)
        picture = self.display.picture_of(self.display.image) if self.display.image else None
        if picture is not None:
            write_thumbnail(self.session, picture)

    # ---- rounds and classes

    def train(self) -> None:
        """Start training now; the query on screen stays."""
        if self.queries.pause == "accepting":
            return
        self.queries.on_advanced(self.training.train())

    def set_train_when_spent(self, on: bool) -> None:
        """Start training when a round's budget is spent, or wait for `train`."""
        self.preferences.train_when_spent = on
        if on:
            self.queries.on_advanced()

    def set_channels(self, choice: ChannelChoice) -> None:
        """Show these channels from now on; the project keeps the choice."""
        self.display.set_channels(choice)
        self.events.attempt(lambda: write_channels(self.session.project.path, choice))

    def edit_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Replace the classes; the log keeps the edit, undo takes it back."""
        self.events.attempt(lambda: self.session.edit_classes(classes))

    # ---- slots

    def on_classes_changed(self) -> None:
        """Show the classes in force; the query on screen stays."""
        classes = self.session.config.classes
        self.statistics.reset()
        self.display.layers.set_classes(classes)
        self.display.invalidate_all()
        self.questions.set_classes(classes)
        self.events.classes_changed.emit()
        query = self.questions.query
        if query is not None and query.query_type == "correction":
            self.queries.ask()  # its label may have another name, or count as another
        self.updates.schedule()

    def on_scores_changed(self) -> None:
        """Ask if that waited for scores; a query on screen stays."""
        if self.queries.pause == "scoring":
            self.queries.ask()

    def on_round_changed(self, _: int) -> None:
        """Update statistics: another round has another budget."""
        if self.queries.pause == "training":
            self.queries.ask()
        self.events.job_changed.emit()
        self.updates.schedule()
        remember(self.session)
        gc.freeze()  # the answers of the last round stay, too

    def on_job_finished(self, result: JobResult) -> None:
        """Ask if that waited for a job."""
        self.training.on_job_finished(result)
        if not self._has_shown_model and "score_s" in result.value:
            self._show_first_model()
        if self.queries.pause not in BUSY:
            self.queries.on_advanced("" if result.status == "done" else result.status)
        if result.status == "done":
            self.training.train_live()

    def _show_first_model(self) -> None:
        """Show once what the first model predicts."""
        if self.session.model_round is not None:
            self._has_shown_model = True
            self.display.set_wanted("prediction", True)
            self.events.told.emit(
                f"This is what the first model predicts; {self.keys.hint('prediction')} hides it. "
                "Click a region that is wrong and press the key of its class."
            )

    def on_layer_removed(self, layer: Layer, kind: LayerKind | None) -> None:
        """Make a layer that the user removed again where it is needed."""
        self.questions.on_layer_removed(layer)
        self.display.on_layer_removed(kind)
