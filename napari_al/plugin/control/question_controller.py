"""The question on screen: shown, and answered with keys, clicks and polygons.

`Answering` knows what can be said to one question and when it has an answer. Which question comes
next is for the `Workbench` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_al.errors import InputError
from napari_al.formats.classes import live_classes
from napari_al.plugin.control.keys import class_keys
from napari_al.plugin.control.polygon_drawing import Sketch
from napari_al.plugin.control.question_state import ONE_CLICK
from napari_al.plugin.layers.highlight import Marks
from napari_al.session.log.records import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Layer

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.control.answer_submission import HandingIn
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.control.polygon_drawing import Drawing
    from napari_al.plugin.control.question_state import Question
    from napari_al.plugin.layers.displayed_image import Stage
    from napari_al.session.log.records import Outcome, Query
    from napari_al.session.session import Session


class Answering:
    """Puts one question at a time on the stage and takes what is said to it.

    Parameters
    ----------
    events : WorkbenchEvents
    stage : Stage
    handing_in : HandingIn
        Takes the answers.
    go_on : callable
        Shows the next question; called when this one has its answer.
    preferred_keys : str
        Of classes, see ``keys.class_keys``.

    Attributes
    ----------
    drawings : dict of str to Drawing
        What was drawn for answers given since the session was opened, by the answer's id.
    """

    def __init__(
        self,
        events: WorkbenchEvents,
        stage: Stage,
        handing_in: HandingIn,
        go_on: Callable[[], None],
        preferred_keys: str,
    ) -> None:
        self._events, self._stage, self._handing_in = events, stage, handing_in
        self._go_on, self._preferred_keys = go_on, preferred_keys
        self._session: Session | None = None
        self._classes: Sequence[ClassInfo] = ()
        self._class_ids: frozenset[int] = frozenset()  # those that can be chosen
        self._begun = ""  # the first of a class's two keys
        self.class_keys: tuple[str, ...] = ()
        self.question: Question | None = None
        self.drawings: dict[str, Drawing] = {}

    def open(self, session: Session | None) -> None:
        """Take answers for another session from now on; None: for nobody's."""
        self._leave()
        self._session, self.drawings = session, {}
        self.set_classes(() if session is None else session.config.classes)

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Let these be chosen; a merged class keeps its key, so that no other key moves."""
        self._classes = classes
        self._class_ids = frozenset(info.id for info in live_classes(classes))
        self.class_keys = class_keys(len(classes), self._preferred_keys)
        if self.question is not None:
            self.question.chosen &= self._class_ids
            if self.question.sketch is not None:
                self.question.sketch.set_classes(classes)

    # ---- showing

    @property
    def query(self) -> Query | None:
        """What is asked."""
        return None if self.question is None else self.question.query

    @property
    def chosen(self) -> frozenset[int]:
        """The classes chosen so far."""
        return frozenset() if self.question is None else self.question.chosen

    def show(self, question: Question | None) -> None:
        """Put a question on screen; None: there is none."""
        self._leave()
        self._set_begun("")
        self.question = question
        if question is None:
            self._stage.show_region(None)
        else:
            query = question.query
            is_correction = query.query_type == "correction"
            marks = Marks(pixel_rc=query.pixel_rc, box=True) if is_correction else None
            self._stage.show_region(query.region, marks)
            self._activate()
            if self._stage.image == query.region.image:
                question.see()
        self._events.asked.emit(self.query)
        self._events.chosen.emit(self.chosen)

    def _activate(self) -> None:
        """Make the layer active whose keys answer the question."""
        question, layers = self.question, self._stage.layers
        if question is None or self._stage.may_end:
            return
        if question.query.query_type != "precise":
            layers.activate("query")
            return
        if question.sketch is None:
            question.sketch = Sketch(
                layers.drawing(), layers.camera, question.query, self._classes, question.drawing
            )
            self._events.rest_changed.emit(question.sketch.rest)
        layers.activate("drawing")

    def _leave(self) -> None:
        """Let go of the question."""
        if self.question is not None and self.question.sketch is not None:
            self.question.sketch.leave()
        self.question = None

    # ---- answers

    def press(self, key: str) -> None:
        """Take a key of a class, or the first of its two."""
        keys = self._begun + key
        self._set_begun("")
        if keys in self.class_keys:
            self.choose(self.class_keys.index(keys))
        elif self.question is not None and any(k.startswith(keys) for k in self.class_keys):
            self._set_begun(keys)

    def _set_begun(self, keys: str) -> None:
        if keys != self._begun:
            self._begun = keys
            self._events.begun.emit(keys)

    def choose(self, class_id: int) -> None:
        """Take a class for the question: its answer, or one of several."""
        if self.question is None or class_id not in self._class_ids:
            return
        answer = self.question.choose(class_id)
        if answer is None:
            self._events.chosen.emit(self.chosen)
        else:
            self._take(answer)

    def accept(self) -> None:
        """Say that the label is right, or that choosing or drawing is done."""
        if self.question is None:
            return
        try:
            answer = self.question.accept(self._class_ids)
        except InputError as error:
            self._events.told.emit(str(error))
        else:
            if self.question.sketch is not None:
                self.drawings[answer.id] = self.question.sketch.drawing
            self._take(answer)

    def give_up(self, outcome: Outcome) -> None:
        """Answer without a class: ``skipped``, ``unsure`` or ``ignored``."""
        if self.question is not None:
            self._take(self.question.answer((), outcome=outcome))

    def _take(self, answer: Answer) -> None:
        """Hand the answer in and go on; of a region that was cut, with those to its other parts."""
        question = self.question
        if question is None:
            return
        part = question.next_part(answer)
        if part is not None:
            self.show(part)
            return
        if question.replaced is not None:
            taken = self._handing_in.amend(question.replaced, answer)
        else:
            taken = self._handing_in.submit(*question.given, answer)
        if taken:
            self._go_on()

    def answer_many(self, queries: Sequence[Query], class_id: int) -> None:
        """Give several coming queries the same class; one undo takes all back."""
        if not queries:
            return
        spent_s = 0.0 if self.question is None else self.question.seconds
        seconds = round(spent_s / len(queries), 3)
        answers = [Answer(query, (class_id,), ONE_CLICK, seconds=seconds) for query in queries]
        if self._handing_in.submit(*answers):
            self._go_on()

    # ---- before there is an answer

    def undo(self) -> bool:
        """Take back the last polygon, or the last step with parts; return whether there was one."""
        question = self.question
        if question is None:
            return False
        if question.sketch is not None and question.sketch.undo():
            self._events.rest_changed.emit(question.sketch.rest)
            return True
        if question.before is not None:
            self._show_part(question.before)
            return True
        return False

    def fill_rest(self) -> None:
        """Say that what is not drawn is of the chosen class."""
        sketch = None if self.question is None else self.question.sketch
        if sketch is None:
            return
        if sketch.class_id is None:
            self._events.told.emit("Choose a class first.")
            return
        sketch.fill_rest()
        self._events.rest_changed.emit(sketch.rest)

    def split(self) -> None:
        """Cut the region in two and ask about both parts; their answers go in together."""
        if self.question is None:
            return
        image = self._stage.picture_of(self.question.query.region.image)
        try:
            part = self.question.cut(image)
        except InputError as error:
            self._events.told.emit(str(error))
            return
        self._show_part(part)

    def _show_part(self, part: Question) -> None:
        """Show a question about a region that is being cut, and how many parts it has now."""
        self.show(part)
        n_parts = part.n_parts
        words = f"Cut: {n_parts} parts to answer." if n_parts > 1 else "In one piece again."
        self._events.told.emit(words)

    def join(self, position: tuple[int, int]) -> None:
        """Join the region at a pixel to the one asked about, or take it out again."""
        if self.question is None or self._session is None:
            return
        try:
            region_map = self._session.region_map(self.question.query.region.image)
            joined = self.question.joined(region_map, position)
        except InputError as error:
            self._events.told.emit(str(error))
        else:
            self.show(joined)

    # ---- slots

    def on_arrived(self) -> None:
        """Count the seconds from when the region can be seen."""
        if self.question is not None:
            self.question.see()
            self._activate()

    def on_layer_removed(self, layer: Layer) -> None:
        """Draw in a new layer if it was the one that is drawn in."""
        question = self.question
        if question is not None and question.sketch is not None and question.sketch.is_on(layer):
            question.sketch = None
            QTimer.singleShot(0, self._activate)

    def on_pressed(self, event: Any) -> None:
        """Join the region under the cursor on Shift+click."""
        if "Shift" in event.modifiers and self._stage.image:
            self.join(self._stage.layers.camera.placement.pixel_at(event.position))
