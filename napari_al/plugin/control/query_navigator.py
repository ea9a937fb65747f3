"""Which query is on screen: the next one, one that was picked, one whose answer was undone.

Shows queries through ``QuestionController`` and starts what the next one waits for through
``TrainingController``. It knows no widgets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.methods.queries import Answer
from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.control.question_state import QuestionState
from napari_al.plugin.layers.picture_behind import block_beside
from napari_al.session.log.history import ClassEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.methods.queries import Query
    from napari_al.plugin.control.answer_submission import AnswerSubmission
    from napari_al.plugin.control.deferred_updates import DeferredUpdates
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.control.keys import UserKeys
    from napari_al.plugin.control.question_controller import QuestionController
    from napari_al.plugin.control.training_controller import Pause, TrainingController
    from napari_al.plugin.layers.displayed_image import ImageDisplay
    from napari_al.session.session import Session

BUSY: tuple[Pause, ...] = ("proposing", "reviewing", "accepting")
"""Pauses in which nothing may be asked."""
WAITING_IN_IMAGE: tuple[Pause, ...] = ("complete", "scoring", "stopped")
"""Pauses while questions come from one image alone."""


class QueryNavigator:
    """Chooses the query on screen of one session; undo and redo go back to earlier ones.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    display : ImageDisplay
    submission : AnswerSubmission
    questions : QuestionController
    training : TrainingController
    updates : DeferredUpdates
        Has the image that all queries come from, if there is one.
    keys : UserKeys

    Attributes
    ----------
    pause : Pause
        Why there is no query on screen.
    """

    def __init__(
        self,
        session: Session,
        events: WorkbenchEvents,
        display: ImageDisplay,
        submission: AnswerSubmission,
        questions: QuestionController,
        training: TrainingController,
        updates: DeferredUpdates,
        keys: UserKeys,
    ) -> None:
        self._session, self._events, self._display = session, events, display
        self._submission, self._questions = submission, questions
        self._training, self._updates, self._keys = training, updates, keys
        self.pause: Pause = ""
        self._undone: list[Query] = []  # asked about before any other, the next one first

    def ask(self) -> None:
        """Show the next query; start what it waits for."""
        try:
            query = self._next_query()
        except (InputError, OSError) as error:
            self._events.report(error)
            self._show_pause("failed")
            return
        self._show(None if query is None else QuestionState(query))

    def _next_query(self) -> Query | None:
        """Return the next query; None: what it waits for has been started, if that was possible."""
        for _ in range(2):  # training begins another round
            query = self._next_undone() or (
                self._session.query_in(self._updates.only_in)
                if self._updates.only_in
                else self._session.query()
            )
            if query is not None:
                return query
            if self._updates.only_in and self._session.query() is not None:
                self.pause = self._pause_in(self._updates.only_in)
                return None
            self.pause = self._training.prepare_query()
            if self.pause:
                return None
        self.pause = "failed"
        return None

    def _pause_in(self, image: str) -> Pause:
        """Return why nothing is asked in one image while there is something to ask in others."""
        if self._session.is_scored(image):
            return "complete"
        return "scoring" if self._session.is_busy else "stopped"

    def _next_undone(self) -> Query | None:
        """Return the query whose answer was undone last, unless it has been answered since."""
        while self._undone and self._session.has_scores and not self._session.budget_is_spent:
            undone = self._undone[0]
            query = self._session.query_about(undone.region)
            if query is not None:
                return replace(query, source=undone.source)
            del self._undone[0]
        return None

    def _show(self, question: QuestionState | None) -> None:
        if question is not None:
            self.pause = ""
        self._questions.show(question)

    def _show_pause(self, pause: Pause) -> None:
        self.pause = pause
        self._show(None)

    def on_advanced(self, pause: Pause = "") -> None:
        """Ask, or show why not, unless a query is on screen."""
        if self._questions.query is None:
            if pause:
                self._show_pause(pause)
            else:
                self.ask()

    def on_review_started(self) -> None:
        """Show no query while corrections are reviewed."""
        self._show_pause("reviewing")

    def go_to(self, query: Query) -> None:
        """Show a query out of turn; if it has an answer, the next answer replaces it."""
        given = next((a for a in reversed(self._session.answers()) if a.query == query), None)
        if given is None:
            picked = replace(query, source="picked")
            self._show(QuestionState(picked, out_of_turn=True))
        else:
            self._show_again(given, replaced=given)

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Ask about the region at a pixel of the image on screen, while the prediction is shown.

        If it has an answer, the next one replaces that. In another block of the image's picture:
        ask in that from now on.
        """
        session, image, query = self._session, self._display.image, self._questions.query
        other = block_beside(session.data, image, pixel_rc) if image else None
        if other is not None:
            self.stay_in(other)
            return
        is_drawn = session.config.method.query == "precise"
        is_shown = self._display.layers.wants("prediction")
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
            self._events.report(error)
            return
        if picked is not None:
            self._show(QuestionState(picked, out_of_turn=True, stays=True))
        elif session.budget_is_spent:
            self._events.told.emit("This round's clicks are spent: train first.")

    def on_answered(self) -> None:
        """Ask the next query; a region picked in the image stays selected, to be changed."""
        state = self._questions.state
        if state is None or not state.stays or self._session.budget_is_spent:
            self.ask()
            return
        region = state.query.region
        given = self._session.answer_at(region.image, region.mask.central_pixel())
        if given is not None:
            self._show_again(given, replaced=given, stays=True)

    def go_back(self) -> None:
        """Show the query whose turn it is instead of one that was picked; or ask in any image."""
        state = self._questions.state
        if state is not None and (state.out_of_turn or state.replaced is not None):
            self.ask()
        elif self._updates.only_in and (state is not None or self.pause in WAITING_IN_IMAGE):
            self.stay_in("")

    def stay_in(self, image: str) -> None:
        """Ask in one image from now on; "": in any."""
        if self.pause in BUSY:
            return
        self._updates.only_in = image
        if image and image != self._display.image:
            self._display.show_image(image)
        self.ask()

    def accept_image(self) -> None:
        """Answer the open regions of the image on screen as predicted; one undo takes all back."""
        image = self._display.image
        if not image or self.pause in BUSY:
            return
        seconds = 0.0 if self._questions.state is None else self._questions.state.seconds
        self._display.set_wanted("prediction", True)
        self._show_pause("accepting")
        self._submission.accept_image(image, seconds)

    def on_accepted(self, answers: tuple[Answer, ...]) -> None:
        """Go on after an image was accepted."""
        if answers:
            n, undo = count(len(answers), "region"), self._keys.hint("undo")
            words = f"{n} answered as predicted, for one click; {undo} takes all back."
            self._events.told.emit(words)
        self.ask()

    def _show_again(self, answer: Answer, replaced: Answer | None, *, stays: bool = False) -> None:
        """Show the query of an answer with what was chosen or drawn for it, to be changed."""
        several = answer.query.query_type == "multi-class"
        chosen = frozenset(answer.class_ids if several else ())
        drawing = self._questions.drawings.get(answer.id)
        self._show(
            QuestionState(
                answer.query, replaced=replaced, chosen=chosen, drawing=drawing, stays=stays
            )
        )
        if answer.pieces and drawing is None:
            self._events.told.emit(
                "Its polygons are not kept once the project has been closed: draw it again."
            )

    def undo(self) -> None:
        """Undo the last answer and show its query again.

        In a drawing that is the last polygon, in a region that was cut the last part.
        """
        if self.pause == "accepting" or self._questions.undo():
            return
        before = self._session.answers()
        try:
            undone = self._session.undo()
        except (InputError, OSError) as error:
            self._events.report(error)
            return
        queries = [r.query for r in undone if isinstance(r, Answer)]
        self._undone[:0] = [query for query in queries if query.source != "accepted"]
        match undone:
            case (Answer() as answer,):
                earlier = _restored(before, self._session.answers())
                self._show_again(earlier or answer, replaced=earlier)
            case (ClassEdit(),):
                self._events.told.emit("The classes are as they were before.")
            case ():
                self._events.told.emit("There is nothing to undo.")
            case _:
                self._events.told.emit(f"{len(undone)} labels were taken back.")
                self.ask()

    def redo(self) -> None:
        """Redo what was undone last."""
        if self.pause == "accepting":
            return
        try:
            redone = self._session.redo()
        except (InputError, OSError) as error:
            self._events.report(error)
            return
        if not redone:
            self._events.told.emit("There is nothing to redo.")
        self.ask()


def _restored(before: Sequence[Answer], after: Sequence[Answer]) -> Answer | None:
    """Return the answer that is in force again, if the one undone had replaced it."""
    if len(before) != len(after):
        return None
    pairs = zip(before, after, strict=True)
    return next((new for old, new in pairs if old.id != new.id), None)
