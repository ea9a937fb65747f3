"""The question on screen: showing it, and answering it with keys, clicks and polygons.

`QuestionController` knows what can be answered to one question and when its answer is complete.
``QueryNavigator`` decides which question comes next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_al.errors import InputError
from napari_al.formats.classes import live_classes
from napari_al.methods.queries import ONE_CLICK, Answer
from napari_al.plugin.control.polygon_drawing import PolygonEditor
from napari_al.plugin.layers.highlight import Marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Outcome, Query
    from napari_al.plugin.control.answer_submission import AnswerSubmission
    from napari_al.plugin.control.events import WorkbenchEvents
    from napari_al.plugin.control.keys import UserKeys
    from napari_al.plugin.control.polygon_drawing import Drawing
    from napari_al.plugin.control.question_state import QuestionState
    from napari_al.plugin.layers.displayed_image import ImageDisplay
    from napari_al.session.session import Session


class QuestionController:
    """Shows one question at a time and submits its answer.

    Parameters
    ----------
    session : Session
    events : WorkbenchEvents
    display : ImageDisplay
    submission : AnswerSubmission
    keys : UserKeys
        Those of classes are given out by it.

    Attributes
    ----------
    state : QuestionState or None
        Of the question on screen.
    selected : tuple of Query
        Several upcoming queries that the next answer is for, instead of the one on screen.
    drawings : dict of str to Drawing
        What was drawn for answers given since the session was opened, by the answer's id.
    """

    answered = Signal()
    """The answer is submitted: the next question may be shown."""

    def __init__(
        self,
        session: Session,
        events: WorkbenchEvents,
        display: ImageDisplay,
        submission: AnswerSubmission,
        keys: UserKeys,
    ) -> None:
        self._session, self._events = session, events
        self._display, self._submission = display, submission
        self._keys = keys
        self._key_prefix = ""  # the first key of a class with two
        self.state: QuestionState | None = None
        self.selected: tuple[Query, ...] = ()
        self.drawings: dict[str, Drawing] = {}
        self.set_classes(session.config.classes)

    def close(self) -> None:
        """Show no question."""
        self._leave()

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Offer these classes; a merged class keeps its key, so that no other key changes."""
        self._classes = classes
        self._class_ids = frozenset(info.id for info in live_classes(classes))
        self.class_keys = self._keys.class_keys(len(classes))
        if self.state is not None:
            self.state.chosen &= self._class_ids
            if self.state.editor is not None:
                self.state.editor.set_classes(classes)

    # ---- showing

    @property
    def query(self) -> Query | None:
        """The query on screen."""
        return None if self.state is None else self.state.query

    @property
    def chosen(self) -> frozenset[int]:
        """Ids of the classes chosen so far."""
        return frozenset() if self.state is None else self.state.chosen

    def show(self, state: QuestionState | None) -> None:
        """Show a question; None: there is none."""
        self._leave()
        self._set_key_prefix("")
        self.state = state
        if state is None:
            self._display.show_region(None)
        else:
            query = state.query
            is_correction = query.query_type == "correction"
            marks = Marks(pixel_rc=query.pixel_rc, box=True) if is_correction else None
            self._display.show_region(query.region, marks, move=not state.stays)
            self._activate_layer()
            if self._display.image == query.region.image:
                state.start_clock()
        self._events.query_changed.emit(self.query)
        self._events.choice_changed.emit(self.chosen)

    def _activate_layer(self) -> None:
        """Make the layer active whose keys answer the question."""
        state, layers = self.state, self._display.layers
        if state is None or self._display.is_closing:
            return
        if state.query.query_type != "precise":
            layers.activate("query")
            return
        if state.editor is None:
            state.editor = PolygonEditor(
                layers.drawing(), layers.camera, state.query, self._classes, state.drawing
            )
            self._events.rest_changed.emit(state.editor.rest)
        layers.activate("drawing")

    def _leave(self) -> None:
        if self.state is not None and self.state.editor is not None:
            self.state.editor.close()
        self.state = None

    # ---- answers

    def press_class_key(self, key: str) -> None:
        """Take a key of a class, or the first of its two."""
        keys = self._key_prefix + key
        self._set_key_prefix("")
        if keys in self.class_keys:
            self.choose(self.class_keys.index(keys))
        elif self.state is not None and any(k.startswith(keys) for k in self.class_keys):
            self._set_key_prefix(keys)

    def _set_key_prefix(self, keys: str) -> None:
        if keys != self._key_prefix:
            self._key_prefix = keys
            self._events.key_prefix_changed.emit(keys)

    def choose(self, class_id: int) -> None:
        """Take a class: as the answer, or as one of several."""
        if self.state is None or class_id not in self._class_ids:
            return
        if self.selected:
            self.answer_many(self.selected, (class_id,))
            return
        answer = self.state.choose(class_id)
        if answer is None:
            self._events.choice_changed.emit(self.chosen)
        else:
            self._submit(answer)

    def accept(self) -> None:
        """Answer that the label is right, or with what was chosen or drawn."""
        if self.state is None:
            return
        try:
            answer = self.state.accept(self._class_ids)
        except InputError as error:
            self._events.report(error)
        else:
            if self.state.editor is not None:
                self.drawings[answer.id] = self.state.editor.drawing
                hidden = self.state.editor.hidden()
                if hidden:
                    self._events.told.emit(
                        f"Not stored, as other polygons cover it: a polygon of {', '.join(hidden)}."
                    )
            self._submit(answer)

    def answer_without_class(self, outcome: Outcome) -> None:
        """Answer ``skipped``, ``unsure`` or ``ignored``."""
        if self.state is not None and self.selected:
            self.answer_many(self.selected, (), outcome)
        elif self.state is not None:
            self._submit(self.state.answer((), outcome=outcome))

    def _submit(self, answer: Answer) -> None:
        """Submit an answer; those to the parts of a cut region are submitted together."""
        state = self.state
        if state is None:
            return
        part = state.next_part(answer)
        if part is not None:
            self.show(part)
            return
        if state.replaced is not None:
            submitted = self._submission.amend(state.replaced, answer)
        else:
            submitted = self._submission.submit(*state.given, answer)
        if submitted:
            self.answered.emit()

    def answer_many(
        self, queries: Sequence[Query], class_ids: tuple[int, ...], outcome: Outcome = "labelled"
    ) -> None:
        """Give several upcoming queries the same answer; one undo takes all back."""
        if not queries:
            return
        spent_s = 0.0 if self.state is None else self.state.seconds
        seconds = round(spent_s / len(queries), 3)
        answers = [
            Answer(
                replace(query, source="picked"),
                class_ids,
                ONE_CLICK,
                outcome=outcome,
                seconds=seconds,
            )
            for query in queries
        ]
        if self._submission.submit(*answers):
            self.answered.emit()

    # ---- before the answer is complete

    def undo(self) -> bool:
        """Undo the last polygon, or the last step with parts; return whether there was one."""
        state = self.state
        if state is None:
            return False
        if state.editor is not None and state.editor.undo():
            self._events.rest_changed.emit(state.editor.rest)
            return True
        if state.before is not None:
            self._show_part(state.before)
            return True
        return False

    def fill_rest(self) -> None:
        """Give the pixels outside all polygons the chosen class."""
        editor = None if self.state is None else self.state.editor
        if editor is None:
            return
        if editor.class_id is None:
            self._events.told.emit("Choose a class first.")
            return
        editor.fill_rest()
        self._events.rest_changed.emit(editor.rest)

    def split(self) -> None:
        """Cut the region in two and ask about both parts."""
        if self.state is None:
            return
        image = self._display.picture_of(self.state.query.region.image)
        try:
            part = self.state.cut(image)
        except InputError as error:
            self._events.report(error)
            return
        self._show_part(part)

    def _show_part(self, part: QuestionState) -> None:
        self.show(part)
        n_parts = part.n_parts
        words = f"Cut: {n_parts} parts to answer." if n_parts > 1 else "In one piece again."
        self._events.told.emit(words)

    def join(self, pixel_rc: tuple[int, int]) -> None:
        """Join the region at a pixel to the one asked about, or remove it again."""
        if self.state is None:
            return
        try:
            region_map = self._session.region_map(self.state.query.region.image)
            joined = self.state.joined(region_map, pixel_rc)
        except InputError as error:
            self._events.report(error)
        else:
            self.show(joined)

    # ---- slots

    def on_arrived(self) -> None:
        """Count the seconds from when the region can be seen."""
        if self.state is not None:
            self.state.start_clock()
            self._activate_layer()

    def on_layer_removed(self, layer: Layer) -> None:
        """Draw in a new layer if the drawing was in the removed one."""
        state = self.state
        if state is not None and state.editor is not None and state.editor.is_on(layer):
            state.editor = None
            QTimer.singleShot(0, self._activate_layer)

    def on_pressed(self, event: Any) -> None:
        """Join the region under the cursor on Shift+click."""
        if "Shift" in event.modifiers and self._display.image:
            self.join(self._display.layers.camera.placement.pixel_at(event.position))
