"""One open session in a viewer: which query comes next, undo, redo, rounds and classes.

Its parts are made with it and dropped with it. Calls go down to them; what changed goes up as
``WorkbenchEvents``.
"""

from __future__ import annotations

import gc
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.methods.queries import Answer
from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.control.answer_submission import AnswerSubmission
from napari_al.plugin.control.deferred_updates import DeferredUpdates
from napari_al.plugin.control.key_bindings import KeyBindings
from napari_al.plugin.control.question_controller import QuestionController
from napari_al.plugin.control.question_state import QuestionState
from napari_al.plugin.control.session_connections import connect_session
from napari_al.plugin.control.statistics_controller import StatisticsController
from napari_al.plugin.control.training_controller import TrainingController
from napari_al.plugin.layers.displayed_image import ImageDisplay
from napari_al.plugin.recent_projects import remember, write_thumbnail
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.session.log.history import ClassEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Query
    from napari_al.plugin.control.training_controller import Pause
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.layers.camera import Placement
    from napari_al.plugin.layers.layer_kinds import LayerKind
    from napari_al.plugin.layers.plane_slider import Plane
    from napari_al.session.rounds.job_function import JobResult
    from napari_al.session.session import Session


BUSY: tuple[Pause, ...] = ("proposing", "reviewing", "accepting")
"""Pauses in which nothing may be asked."""


class OpenSession:
    """A session and everything that a viewer needs to annotate in it.

    Parameters
    ----------
    bench : Workbench
        Of the viewer.
    session : Session
        Closed with this.
    placement : Placement, optional
        Where its images lie in the world.
    planes : sequence of Plane
        Of layers that its images are from; these are hidden until `close`.

    Attributes
    ----------
    pause : Pause
        Why there is no query on screen.
    """

    def __init__(
        self,
        bench: Workbench,
        session: Session,
        placement: Placement | None = None,
        planes: Sequence[Plane] = (),
    ) -> None:
        events, preferences, dispatch = bench.events, bench.preferences, bench.dispatch
        self.session = session
        session.cluster = preferences.cluster
        self.events, self.keys = events, bench.keys
        self.preferences = preferences
        self.pause: Pause = ""
        self._undone: list[Query] = []  # to be asked about before any other, the next one first
        self.display = ImageDisplay(bench.layers, session, preferences, dispatch, placement, planes)
        self.submission = AnswerSubmission(session, events, dispatch)
        self.questions = QuestionController(
            session, events, self.display, self.submission, self.keys
        )
        self.training = TrainingController(session, events, self.display, preferences, dispatch)
        self.statistics = StatisticsController(session, events, dispatch)
        self._has_shown_model = session.model_round is not None
        self.updates = DeferredUpdates(session, events, self.display, self.statistics)
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

    # ---- queries

    def ask(self) -> None:
        """Show the next query; start what it waits for."""
        try:
            query = self._next_query()
        except (InputError, OSError) as error:
            self.events.report(error)
            self._show_pause("failed")
            return
        self._show(None if query is None else QuestionState(query))

    def _next_query(self) -> Query | None:
        """Return the next query; None: what it waits for has been started, if that was possible."""
        for _ in range(2):  # training begins another round
            query = self._next_undone() or (
                self.session.query_in(self.updates.only_in)
                if self.updates.only_in
                else self.session.query()
            )
            if query is not None:
                return query
            if self.updates.only_in and self.session.query() is not None:
                self.pause = "complete"
                return None
            self.pause = self.training.prepare_query()
            if self.pause:
                return None
        self.pause = "failed"
        return None

    def _next_undone(self) -> Query | None:
        """Return the query whose answer was undone last, unless it has been answered since."""
        while self._undone and self.session.has_scores and not self.session.budget_is_spent:
            undone = self._undone[0]
            query = self.session.query_about(undone.region)
            if query is not None:
                return replace(query, source=undone.source)
            del self._undone[0]
        return None

    def _show(self, question: QuestionState | None) -> None:
        if question is not None:
            self.pause = ""
        self.questions.show(question)

    def _show_pause(self, pause: Pause) -> None:
        self.pause = pause
        self._show(None)

    def on_advanced(self, pause: Pause = "") -> None:
        """Ask, or show why not, unless a query is on screen."""
        if self.questions.query is None:
            if pause:
                self._show_pause(pause)
            else:
                self.ask()

    def on_review_started(self) -> None:
        """Show no query while corrections are reviewed."""
        self._show_pause("reviewing")

    def go_to(self, query: Query) -> None:
        """Show a query out of turn; if it has an answer, the next answer replaces it."""
        given = next((a for a in reversed(self.session.answers()) if a.query == query), None)
        if given is None:
            picked = replace(query, source="picked")
            self._show(QuestionState(picked, out_of_turn=True))
        else:
            self._show_again(given, replaced=given)

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Ask about the region at a pixel of the image on screen, while the prediction is shown.

        If it has an answer, the next one replaces that.
        """
        session, image, query = self.session, self.display.image, self.questions.query
        is_drawn = session.config.method.query == "precise"
        is_shown = self.display.layers.wants("prediction")
        if not image or is_drawn or not is_shown or self.pause in BUSY:
            return
        if query is not None and query.region.mask.holds(pixel_rc) and query.region.image == image:
            return
        given = session.answer_at(image, pixel_rc)
        if given is not None:
            self._show_again(given, replaced=given, stays=True)
            return
        try:
            picked = session.query_at(image, pixel_rc)
        except (InputError, OSError) as error:
            self.events.report(error)
            return
        if picked is not None:
            self._show(QuestionState(picked, out_of_turn=True, stays=True))
        elif session.budget_is_spent:
            self.events.told.emit("This round's clicks are spent: train first.")

    def on_answered(self) -> None:
        """Ask the next query; a region picked in the image stays selected, to be changed."""
        state = self.questions.state
        if state is None or not state.stays or self.session.budget_is_spent:
            self.ask()
            return
        region = state.query.region
        given = self.session.answer_at(region.image, region.mask.central_pixel())
        if given is not None:
            self._show_again(given, replaced=given, stays=True)

    def go_back(self) -> None:
        """Show the query whose turn it is instead of one that was picked; or ask in any image."""
        state = self.questions.state
        if state is not None and (state.out_of_turn or state.replaced is not None):
            self.ask()
        elif self.updates.only_in and (state is not None or self.pause == "complete"):
            self.stay_in("")

    def stay_in(self, image: str) -> None:
        """Ask in one image from now on; "": in any."""
        if self.pause in BUSY:
            return
        self.updates.only_in = image
        if image and image != self.display.image:
            self.display.show_image(image)
        self.ask()

    def accept_image(self) -> None:
        """Answer the open regions of the image on screen as predicted; one undo takes all back."""
        image = self.display.image
        if not image or self.pause in BUSY:
            return
        seconds = 0.0 if self.questions.state is None else self.questions.state.seconds
        self.display.set_wanted("prediction", True)
        self._show_pause("accepting")
        self.submission.accept_image(image, seconds)

    def on_accepted(self, answers: tuple[Answer, ...]) -> None:
        """Go on after an image was accepted."""
        if answers:
            n, undo = count(len(answers), "region"), self.keys.hint("undo")
            words = f"{n} answered as predicted, for one click; {undo} takes all back."
            self.events.told.emit(words)
        self.ask()

    def _show_again(self, answer: Answer, replaced: Answer | None, *, stays: bool = False) -> None:
        """Show the query of an answer with what was chosen or drawn for it, to be changed."""
        several = answer.query.query_type == "multi-class"
        chosen = frozenset(answer.class_ids if several else ())
        drawing = self.questions.drawings.get(answer.id)
        self._show(
            QuestionState(
                answer.query, replaced=replaced, chosen=chosen, drawing=drawing, stays=stays
            )
        )
        if answer.pieces and drawing is None:
            self.events.told.emit(
                "Its polygons are not kept once the project has been closed: draw it again."
            )

    # ---- undo and redo

    def undo(self) -> None:
        """Undo the last answer and show its query again.

        In a drawing that is the last polygon, in a region that was cut the last part.
        """
        if self.pause == "accepting" or self.questions.undo():
            return
        before = self.session.answers()
        try:
            undone = self.session.undo()
        except (InputError, OSError) as error:
            self.events.report(error)
            return
        queries = [r.query for r in undone if isinstance(r, Answer)]
        self._undone[:0] = [query for query in queries if query.source != "accepted"]
        match undone:
            case (Answer() as answer,):
                earlier = _restored(before, self.session.answers())
                self._show_again(earlier or answer, replaced=earlier)
            case (ClassEdit(),):
                self.events.told.emit("The classes are as they were before.")
            case ():
                self.events.told.emit("There is nothing to undo.")
            case _:
                self.events.told.emit(f"{len(undone)} labels were taken back.")
                self.ask()

    def redo(self) -> None:
        """Redo what was undone last."""
        if self.pause == "accepting":
            return
        try:
            redone = self.session.redo()
        except (InputError, OSError) as error:
            self.events.report(error)
            return
        if not redone:
            self.events.told.emit("There is nothing to redo.")
        self.ask()

    # ---- rounds and classes

    def train(self) -> None:
        """Start training now; the query on screen stays."""
        if self.pause == "accepting":
            return
        self.on_advanced(self.training.train())

    def set_train_when_spent(self, on: bool) -> None:
        """Start training when a round's budget is spent, or wait for `train`."""
        self.preferences.train_when_spent = on
        if on:
            self.on_advanced()

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
            self.ask()  # its label may have another name, or count as another
        self.updates.schedule()

    def on_scores_changed(self) -> None:
        """Ask if that waited for scores; a query on screen stays."""
        if self.pause == "scoring":
            self.ask()

    def on_round_changed(self, _: int) -> None:
        """Update statistics: another round has another budget."""
        if self.pause == "training":
            self.ask()
        self.events.job_changed.emit()
        self.updates.schedule()
        remember(self.session)
        gc.freeze()  # the answers of the last round stay, too

    def on_job_finished(self, result: JobResult) -> None:
        """Ask if that waited for a job."""
        self.training.on_job_finished(result)
        if not self._has_shown_model and "score_s" in result.value:
            self._show_first_model()
        if self.pause not in BUSY:
            self.on_advanced("" if result.status == "done" else result.status)
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


def _restored(before: Sequence[Answer], after: Sequence[Answer]) -> Answer | None:
    """Return the answer that is in force again, if the one undone had replaced it."""
    if len(before) != len(after):
        return None
    pairs = zip(before, after, strict=True)
    return next((new for old, new in pairs if old.id != new.id), None)
