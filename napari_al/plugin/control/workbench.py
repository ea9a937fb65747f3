"""What happens in one viewer while a session is open in it: ask, show, take the answer, go on.

A `Workbench` lives as long as its viewer, not as long as a dock widget: closing or hiding the
widget loses nothing. It knows no widgets; they call its methods and listen to its events. It says
which question comes next; its parts do the rest: `Answering` the question on screen, `HandingIn`
the answers, `Stage` the pictures, `Trainer` the rounds, `Figures` the counting, `Upkeep` what may
wait.
"""

from __future__ import annotations

import gc
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.plugin.control.answer_submission import HandingIn
from napari_al.plugin.control.deferred_updates import Upkeep
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.question_controller import Answering
from napari_al.plugin.control.question_state import Question
from napari_al.plugin.control.session_connections import link_viewer, link_workbench
from napari_al.plugin.control.statistics_controller import Figures
from napari_al.plugin.control.training_controller import Trainer
from napari_al.plugin.layers.displayed_image import Stage
from napari_al.plugin.preferences import load
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.main_thread import MainThread
from napari_al.session.log.records import Answer, ClassEdit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.control.training_controller import Pause
    from napari_al.plugin.layers.camera import Placement
    from napari_al.session.log.records import Query
    from napari_al.session.rounds.job_process import JobResult
    from napari_al.session.session import Session


class Workbench:
    """One viewer's session.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.events = WorkbenchEvents()
        self.dispatch = MainThread()
        self.preferences = load()
        self.session: Session | None = None
        self.pause: Pause = ""
        self.stage = Stage(viewer, self.dispatch)
        self.handing_in = HandingIn(self.events)
        self.answering = Answering(
            self.events, self.stage, self.handing_in, self.ask, self.preferences.class_keys
        )
        self.trainer = Trainer(self.events, self.stage, self.dispatch, self._go_on, self._wait)
        self.figures = Figures(self.events, self.dispatch)
        self.upkeep = Upkeep(self.events, self.stage, self.figures)
        self._links, self._viewer_links = ConnectionList(), ConnectionList()
        self._apply_preferences()
        link_viewer(self._viewer_links, self)

    def _apply_preferences(self) -> None:
        preferences = self.preferences
        self.stage.context = float(preferences.context)
        self.stage.keep_zoom = preferences.keep_zoom
        self.stage.layers.set_dim(preferences.dim / 100)
        self.trainer.when_spent = preferences.train_when_spent
        self.trainer.review = preferences.review_corrections

    # ---- open, close

    def open(
        self,
        session: Session,
        placement: Placement | None = None,
        sources: Iterable[Layer] = (),
    ) -> None:
        """Show a session, instead of the layers its images are from; an earlier one is closed."""
        self.close()
        gc.freeze()  # or looking for garbage among napari's objects stops all for 0.2 s at times
        self.session = session
        self.stage.open(session, placement, sources)
        self._hand_on(session)
        link_workbench(self._links, self)
        self.events.opened.emit()
        if session.rescued:
            self.events.told.emit(f"{session.rescued} answers, unsaved last time, are back.")
        self.ask()

    def _hand_on(self, session: Session | None) -> None:
        for part in (self.answering, self.handing_in, self.trainer, self.figures, self.upkeep):
            part.open(session)

    def close(self) -> None:
        """Close the session and take its layers away; may be called again."""
        session = self.session
        if session is None:
            return
        with suppress(InputError):  # closing says so
            self.handing_in.keep_unsaved()
        self.session, self.pause = None, ""
        self._links.close()
        self._hand_on(None)
        self.stage.close()
        try:
            session.close()
        except InputError as error:  # the dock has asked, if it is there (`ActiveLearning.leave`)
            warnings.warn(str(error), stacklevel=2)
        gc.unfreeze()
        self.events.closed.emit()

    def end(self) -> None:
        """Close for good, with the viewer."""
        self.dispatch.close()
        self._viewer_links.close()
        self.stage.layers.forget_all()
        self.answering.question = None  # its layer is gone
        self.close()
        self.trainer.close()
        self.figures.close()

    # ---- asking

    @property
    def query(self) -> Query | None:
        """The query on screen; None: ``pause`` says why there is none."""
        return self.answering.query

    def ask(self) -> None:
        """Show the next query; start what it waits for."""
        session = self.session
        if session is None:
            return
        try:
            query = self._find(session)
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            self._wait("failed")
            return
        self._show(None if query is None else Question(query))

    def _find(self, session: Session) -> Query | None:
        """Return the next query; None: what it waits for has been started, if it could be."""
        for _ in range(2):  # with the training another round begins
            query = session.query()
            if query is not None:
                return query
            self.pause = self.trainer.get_going()
            if self.pause:
                return None
        self.pause = "failed"
        return None

    def _show(self, question: Question | None) -> None:
        if self.session is None:
            return
        if question is not None:
            self.pause = ""
        self.answering.show(question)

    def _wait(self, pause: Pause) -> None:
        """Show no query, and why."""
        self.pause = pause
        self._show(None)

    def _go_on(self, pause: Pause = "") -> None:
        """Ask, or show why not, if nothing is asked; a query on screen stays."""
        if self.query is None:
            if pause:
                self._wait(pause)
            else:
                self.ask()

    def go_to(self, query: Query) -> None:
        """Show a query out of turn; if it has an answer, the next answer takes its place."""
        if self.session is not None:
            given = next((a for a in reversed(self.session.answers()) if a.query == query), None)
            if given is None:
                self._show(Question(query))
            else:
                self._show_again(given, replaced=given)

    def _show_again(self, answer: Answer, replaced: Answer | None) -> None:
        """Show the query of an answer with what was chosen or drawn for it, to be changed."""
        several = answer.query.query_type == "multi-class"
        chosen = frozenset(answer.class_ids if several else ())
        drawing = self.answering.drawings.get(answer.id)
        self._show(Question(answer.query, replaced=replaced, chosen=chosen, drawing=drawing))
        if answer.pieces and drawing is None:
            self.events.told.emit(
                "Its polygons are not kept once the project has been closed: draw it again."
            )

    # ---- taking back

    def undo(self) -> None:
        """Take the last answer back and show its query again.

        In a drawing that is the last polygon, in a region that was cut the last part.
        """
        session = self.session
        if session is None or self.answering.undo():
            return
        before = session.answers()
        try:
            taken = session.undo()
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            return
        match taken:
            case (Answer() as undone,):
                earlier = _put_back(before, session.answers())
                self._show_again(earlier or undone, replaced=earlier)
            case (ClassEdit(),):
                self.events.told.emit("The classes are as they were before.")
            case ():
                self.events.told.emit("There is nothing to undo.")
            case _:
                self.events.told.emit(f"{len(taken)} labels were taken back.")
                self.ask()

    def redo(self) -> None:
        """Put back what was undone last."""
        session = self.session
        if session is None:
            return
        try:
            put_back = session.redo()
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            return
        if not put_back:
            self.events.told.emit("There is nothing to redo.")
        self.ask()

    # ---- rounds and classes

    def train(self) -> None:
        """Start training now; the query on screen stays."""
        self._go_on(self.trainer.train())

    def set_train_when_spent(self, on: bool) -> None:
        """Start training by itself when a round's budget is spent, or wait to be told."""
        self.trainer.when_spent = on
        if on:
            self._go_on()

    def edit_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Have these classes from now on; the log keeps the edit, undo takes it back."""
        session = self.session
        if session is not None:
            self.events.attempt(lambda: session.edit_classes(classes))

    # ---- slots

    def on_classes_changed(self) -> None:
        """Show the classes that are in force; the query on screen stays."""
        session = self.session
        if session is None:
            return
        classes = session.config.classes
        self.figures.open(session)  # what was counted may count for another class
        self.stage.layers.set_classes(classes)
        self.stage.outdate_all()
        self.answering.set_classes(classes)
        self.events.classes_changed.emit()
        if self.query is not None and self.query.query_type == "correction":
            self.ask()  # its label may have another name, or count as another
        self.upkeep.soon()

    def on_scores_changed(self) -> None:
        """Ask, if that waited for scores; a query on screen stays."""
        if self.pause == "scoring":
            self.ask()

    def on_round_changed(self, _: int) -> None:
        """Count anew: another round's budget."""
        if self.pause == "training":
            self.ask()
        self.events.job_changed.emit()
        self.upkeep.soon()
        gc.freeze()  # another round's answers

    def on_job_finished(self, result: JobResult) -> None:
        """Go on with what waited for a job."""
        self.trainer.on_job_finished(result)
        if self.pause not in ("proposing", "reviewing"):
            self._go_on("" if result.status == "done" else result.status)

    def on_layer_removed(self, layer: Any) -> None:
        """Make a removed layer again where it is needed."""
        self.answering.on_layer_removed(layer)
        self.stage.on_layer_removed(layer)


def _put_back(before: Sequence[Answer], after: Sequence[Answer]) -> Answer | None:
    """Return the answer that is back in its place, if the one undone had taken that."""
    if len(before) != len(after):
        return None
    pairs = zip(before, after, strict=True)
    return next((new for old, new in pairs if old.id != new.id), None)
