"""What happens in one viewer while a session is open in it: ask, show, take the answer, go on.

A `Workbench` lives as long as its viewer, not as long as a dock widget: closing or hiding the
widget loses nothing. It knows no widgets; they call its methods and listen to its events. What is
on screen is its `Stage`, rounds and training its `Trainer`, counting its `Figures`.
"""

from __future__ import annotations

import gc
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.formats.classes import live_classes
from napari_al.plugin.dispatch import MainThread
from napari_al.plugin.events import WorkbenchEvents, timer
from napari_al.plugin.figures import Figures
from napari_al.plugin.highlight import Marks
from napari_al.plugin.keys import class_keys
from napari_al.plugin.links import Links, link_viewer, link_workbench
from napari_al.plugin.preferences import load
from napari_al.plugin.preview import Preview
from napari_al.plugin.reshape import join, split
from napari_al.plugin.sketch import Sketch
from napari_al.plugin.stage import Stage
from napari_al.plugin.trainer import Trainer
from napari_al.session.log import LogWriteError
from napari_al.session.records import Answer, AutomaticCorrection, ClassEdit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.viewer import Viewer

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.camera import Placement
    from napari_al.plugin.trainer import Pause
    from napari_al.session.jobs import JobResult
    from napari_al.session.records import Outcome, Query, Record
    from napari_al.session.session import Session

SLOW_DISK_S = 0.3
"""Longer than this to write an answer is worth a word."""
SAVE_EVERY_MS = 5000
"""Between attempts to write answers that could not be written."""
LATER_MS = 30
"""After the next query has been painted."""
IDLE_MS = 1500
"""Without an answer; then there is time for what is only pretty."""
SETTLE_MS = 400
"""A job brings scores in image by image; pictures are made anew this often at most."""
AHEAD_MS = 40
"""After scores that may have changed what comes next."""
RESHAPED = ("dominant", "multi-class")
"""Queries whose regions can be cut in two and joined."""
ONE_CLICK = Clicks(class_clicks=1)
N_AHEAD = 6
"""Queries whose pictures are made in advance."""


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
        self.class_keys: tuple[str, ...] = ()
        self.session: Session | None = None
        self.query: Query | None = None
        self.pause: Pause = ""
        self.stage = Stage(viewer, self.events, self.dispatch)
        self.trainer = Trainer(self.events, self.stage, self.dispatch, self.ask, self._wait)
        self.figures = Figures(self.events, self.dispatch)
        self.preview = Preview(self.stage.layers, self.dispatch)
        self._links, self._viewer_links = Links(), Links()
        self._chosen: frozenset[int] = frozenset()
        self._begun = ""  # the first of a class's two keys
        self._revisited: Answer | None = None  # its place is taken by the next answer
        self._sketch: Sketch | None = None
        self._parts: list[Query] = []  # of a region that was cut in two: those still to ask
        self._given: list[Answer] = []  # and the answers to the others
        self._shown_at = 0.0
        self._told_slow = False
        self._later = timer(LATER_MS, self._catch_up)
        self._idle = timer(IDLE_MS, self.stage.layers.refresh_thumbnails)
        self._scored = timer(SETTLE_MS, self._on_scores_settled)
        self._ahead = timer(AHEAD_MS, self._load_ahead)
        self._saving = timer(SAVE_EVERY_MS, self._on_saving, again=True)
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

    def open(self, session: Session, placement: Placement | None = None) -> None:
        """Show a session; an earlier one is closed."""
        self.close()
        self.preview.stop()
        gc.freeze()  # or looking for garbage among napari's objects stops all for 0.2 s at times
        self.session, self._told_slow = session, False
        self._name_keys()
        self.stage.open(session, placement)
        self.trainer.open(session)
        self.figures.open(session)
        link_workbench(self._links, self)
        self.events.opened.emit()
        for problem in session.problems[:1]:
            self.events.told.emit(problem)
        if session.rescued:
            self.events.told.emit(f"{session.rescued} answers, unsaved last time, are back.")
        self.on_unsaved_changed(session.n_unsaved)
        self.ask()

    def close(self) -> None:
        """Close the session and take its layers away; may be called again."""
        session = self.session
        if session is None:
            return
        with suppress(InputError):  # closing says so
            self.keep_unsaved()
        self.session = None
        for waiting in (self._later, self._idle, self._scored, self._ahead, self._saving):
            waiting.stop()
        self._links.close()
        self._leave_sketch()
        self.trainer.open(None)
        self.figures.open(None)
        self.stage.close()
        self.query, self.pause = None, ""
        try:
            session.close()
        except InputError as error:  # the dock has asked, if it is there (`ActiveLearning.leave`)
            warnings.warn(str(error), stacklevel=2)
        gc.unfreeze()
        self.events.closed.emit()

    def keep_unsaved(self) -> None:
        """Put answers that are in memory only where they are safe, and say where.

        Raises
        ------
        InputError
            There is no such place.
        """
        n_unsaved = 0 if self.session is None else self.session.n_unsaved
        kept_in = None if self.session is None else self.session.rescue()
        if kept_in is not None:
            warnings.warn(
                f"{n_unsaved} answers could not be written to the project. They are in {kept_in} "
                "and go into the project when it is opened next.",
                stacklevel=2,
            )

    def end(self) -> None:
        """Close for good, with the viewer."""
        self.dispatch.close()
        self.preview.close()
        self._viewer_links.close()
        self.stage.layers.forget_all()
        self._sketch = None
        self.close()
        self.trainer.close()
        self.figures.close()

    # ---- classes

    def _name_keys(self) -> None:
        """Give each class its keys; those of a merged class stay free, so that no other moves."""
        n_classes = 0 if self.session is None else len(self.session.config.classes)
        self.class_keys = class_keys(n_classes, self.preferences.class_keys)

    def edit_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Have these classes from now on; the log keeps the edit, undo takes it back."""
        session = self.session
        if session is not None:
            self.events.attempt(lambda: session.edit_classes(classes))

    def on_classes_changed(self) -> None:
        """Show the classes that are in force; the query on screen stays."""
        session = self.session
        if session is None:
            return
        classes = session.config.classes
        self._name_keys()
        self.figures.open(session)  # what was counted may count for another class
        self.stage.layers.set_classes(classes)
        self.stage.outdate_all()
        if self._sketch is not None:
            self._sketch.set_classes(classes)
        self.events.classes_changed.emit()
        self._set_chosen(frozenset(filter(self._is_class, self._chosen)))
        if self.query is not None and self.query.query_type == "correction":
            self.ask()  # its label may have another name, or count as another
        self._later.start()

    # ---- answers

    def press(self, key: str) -> None:
        """Take a key of a class, or the first of its two."""
        keys = self._begun + key
        self._set_begun("")
        if keys in self.class_keys:
            self.choose(self.class_keys.index(keys))
        elif self.query is not None and any(known.startswith(keys) for known in self.class_keys):
            self._set_begun(keys)

    def _set_begun(self, keys: str) -> None:
        if keys != self._begun:
            self._begun = keys
            self.events.begun.emit(keys)

    def choose(self, class_id: int) -> None:
        """Take a class for the query on screen: its answer, or one of several."""
        if self.query is None or not self._is_class(class_id):
            return
        if self.query.query_type in ("dominant", "correction"):
            self._submit((class_id,), ONE_CLICK)
            return
        if self._sketch is not None:
            self._sketch.choose(class_id)
            self._set_chosen(frozenset({class_id}))
        else:
            self._set_chosen(self._chosen ^ {class_id})

    def accept(self) -> None:
        """Say that the label is right, or that choosing or drawing is done."""
        if self.query is None:
            return
        match self.query.query_type:
            case "correction":
                label = self.query.pseudo_label
                if label is not None and self._is_class(label):
                    self._submit((label,), ONE_CLICK)
                else:
                    self.events.told.emit("It has no class yet: choose one.")
            case "multi-class":
                if self._chosen:
                    chosen = tuple(sorted(self._chosen))
                    self._submit(chosen, Clicks(class_clicks=len(chosen)))
                else:
                    self.events.told.emit("Choose the classes that are in it first.")
            case "precise":
                self._submit_sketch()
            case "dominant":
                self.events.told.emit("Choose the class that most of it belongs to.")

    def give_up(self, outcome: Outcome) -> None:
        """Answer without a class: ``skipped``, ``unsure`` or ``ignored``."""
        self._submit((), ONE_CLICK, outcome=outcome)

    def fill_rest(self) -> None:
        """Say that what is not drawn is of the chosen class."""
        if self._sketch is None:
            return
        if self._sketch.class_id is None:
            self.events.told.emit("Choose a class first.")
            return
        self._sketch.fill_rest()
        self.events.rest_changed.emit(self._sketch.rest)

    def answer_many(self, queries: Iterable[Query], class_id: int) -> None:
        """Give several coming queries the same class; one undo takes all back."""
        answers = [Answer(query, (class_id,), ONE_CLICK) for query in queries]
        if answers and self._hand_in(*answers):
            self.ask()

    def undo(self) -> None:
        """Take the last answer back (in a drawing: the last polygon) and show its query again."""
        session = self.session
        if session is None:
            return
        if self._sketch is not None and self._sketch.undo():
            self.events.rest_changed.emit(self._sketch.rest)
            return
        taken: list[Record] = []
        if not self.events.attempt(lambda: taken.extend(session.undo())):
            return
        if len(taken) == 1 and isinstance(taken[0], Answer):
            self.go_to(taken[0].query)
            return
        if taken and isinstance(taken[0], ClassEdit):
            self.events.told.emit("The classes are as they were before.")
            return
        words = f"{len(taken)} labels were taken back." if taken else "There is nothing to undo."
        self.events.told.emit(words)
        self.ask()

    def redo(self) -> None:
        """Put back what was undone last."""
        session = self.session
        if session is None:
            return
        put_back: list[object] = []
        if self.events.attempt(lambda: put_back.extend(session.redo())):
            if not put_back:
                self.events.told.emit("There is nothing to redo.")
            self.ask()

    # ---- mending regions

    def split(self) -> None:
        """Cut the region in two and ask about both parts; their answers go in together."""
        query = self.query
        if query is None:
            return
        image = self.stage.picture_of(query.region.image)
        if query.query_type not in RESHAPED or self._revisited is not None or image is None:
            self.events.told.emit("This region cannot be cut.")
            return
        try:
            first, second = split(query, image)
        except InputError as error:
            self.events.told.emit(str(error))
            return
        self._show(first, parts=[second, *self._parts], given=self._given)
        n_parts = 1 + len(self._parts) + len(self._given)
        self.events.told.emit(f"Cut in two: {n_parts} parts to answer.")

    def join(self, position: tuple[int, int]) -> None:
        """Join the region at a pixel to the one asked about, or take it out again."""
        query = self.query
        if query is None or self.session is None:
            return
        if query.query_type not in RESHAPED or self._parts or self._given:
            self.events.told.emit("Regions cannot be joined here.")
            return
        try:
            joined = join(query, self.session.region_map(query.region.image), position)
        except InputError as error:
            self.events.told.emit(str(error))
            return
        chosen, since = self._chosen, self._shown_at
        self._show(joined, self._revisited)
        self._shown_at = since
        self._set_chosen(chosen)

    # ---- asking

    def ask(self) -> None:
        """Show the next query; start what it waits for."""
        session = self.session
        if session is None:
            return
        found: list[Query | None] = []
        self.events.attempt(lambda: found.append(session.query()))
        if found and found[0] is None:
            self.pause = self.trainer.get_going()
            if self.pause == "":  # another round has begun
                found = [session.query()]
        query = found[0] if found else None
        if query is None and self.pause == "":
            self.pause = self.trainer.get_going() or "failed"
        self._show(query)

    def go_to(self, query: Query) -> None:
        """Show a query out of turn; if it has an answer, the next answer takes its place."""
        if self.session is not None:
            same = (a for a in self.session.answers() if a.query.region == query.region)
            self._show(query, next(same, None))

    def train(self) -> None:
        """Start training now; the query on screen stays."""
        pause = self.trainer.train()
        if self.query is None:
            if pause == "":
                self.ask()
            else:
                self._wait(pause)

    def set_train_when_spent(self, on: bool) -> None:
        """Start training by itself when a round's budget is spent, or wait to be told."""
        self.trainer.when_spent = on
        if on and self.query is None:
            self.ask()

    def _wait(self, pause: Pause) -> None:
        """Show no query, and why."""
        self.pause = pause
        self._show(None)

    def _show(
        self,
        query: Query | None,
        revisited: Answer | None = None,
        *,
        parts: Iterable[Query] = (),
        given: Iterable[Answer] = (),
    ) -> None:
        """Put a query on screen."""
        if self.session is None:
            return
        self._leave_sketch()
        self._set_begun("")
        self.query, self._revisited = query, revisited
        self._parts, self._given = list(parts), list(given)
        if query is None:
            self.stage.show_region(None)
        else:
            self.pause = ""
            is_correction = query.query_type == "correction"
            marks = Marks(pixel_rc=query.pixel_rc, box=True) if is_correction else None
            self.stage.show_region(query.region, marks)
            self._activate()
        self._shown_at = time.perf_counter()
        self.events.asked.emit(query)
        self._set_chosen(frozenset())
        self._later.start()
        self._idle.start()

    def _activate(self) -> None:
        """Make the layer active whose keys answer the query."""
        if self.query is None or self.session is None or self.stage.may_end:
            return
        if self.query.query_type == "precise":
            if self._sketch is None:
                layer, camera = self.stage.layers.drawing(), self.stage.layers.camera
                self._sketch = Sketch(layer, camera, self.query, self.session.config.classes)
                self.events.rest_changed.emit(None)
            self.stage.layers.activate("drawing")
        else:
            self.stage.layers.activate("query")

    def _set_chosen(self, class_ids: frozenset[int]) -> None:
        self._chosen = class_ids
        self.events.chosen.emit(class_ids)

    # ---- slots (links.py connects them)

    def on_changed(self, records: tuple[Record, ...]) -> None:
        """Have pictures and figures made again that answers, undo or redo have changed."""
        for record in records:
            if isinstance(record, Answer):
                self.stage.outdate(record.query.region.image)
            elif isinstance(record, AutomaticCorrection):
                self.stage.outdate(record.region.image)
        self._later.start()

    def on_scores_changed(self) -> None:
        """Take up new scores; the query on screen stays."""
        if self.query is None and self.pause == "scoring":
            self.ask()
        for waiting in (self._ahead, self._scored):
            if not waiting.isActive():
                waiting.start()

    def _on_scores_settled(self) -> None:
        self.stage.outdate_all()
        self.events.job_changed.emit()
        self._later.start()

    def on_round_changed(self, _: int) -> None:
        """Count anew: another round's budget."""
        if self.query is None and self.pause == "training":
            self.ask()
        self.events.job_changed.emit()
        self._later.start()
        gc.freeze()  # another round's answers

    def on_job_finished(self, result: JobResult) -> None:
        """Go on with what waited for a job."""
        self.trainer.on_job_finished(result)
        if self.query is not None or self.pause in ("proposing", "reviewing"):
            return
        if result.status == "done":
            self.ask()
        else:
            self._wait(result.status)

    def on_arrived(self) -> None:
        """Count the seconds from when the region can be seen."""
        self._shown_at = time.perf_counter()
        self._activate()

    def on_warned(self, words: str) -> None:
        """Pass on what should be known."""
        self.events.told.emit(words)

    def on_unsaved_changed(self, n_unsaved: int) -> None:
        """Keep trying to write answers that are in memory only, and say so once."""
        if n_unsaved and not self._saving.isActive():
            self._saving.start()
        elif not n_unsaved and self._saving.isActive():
            self._saving.stop()
            self.events.told.emit("All answers are on disk again.")

    def _on_saving(self) -> None:
        if self.session is not None:
            self.session.save()

    def on_layer_removed(self, layer: Any) -> None:
        """Make a removed layer again where it is needed."""
        if self._sketch is not None and self._sketch.is_on(layer):
            self._sketch = None
            QTimer.singleShot(0, self._activate)
        self.stage.on_layer_removed(layer)

    def on_pressed(self, event: Any) -> None:
        """Join the region under the cursor on Shift+click."""
        if "Shift" in event.modifiers and self.stage.image:
            self.join(self.stage.layers.camera.placement.pixel_at(event.position))

    def recount(self) -> None:
        """Tell the figures and what comes next again."""
        self._later.start()

    # ---- inside

    def _is_class(self, class_id: int) -> bool:
        if self.session is None:
            return False
        return any(c.id == class_id for c in live_classes(self.session.config.classes))

    def _submit(
        self, class_ids: tuple[int, ...], clicks: Clicks, outcome: Outcome = "labelled", **more: Any
    ) -> None:
        """Hand the answer in and go on."""
        session, before = self.session, self._revisited
        if self.query is None or session is None:
            return
        seconds = round(time.perf_counter() - self._shown_at, 3)
        answer = Answer(self.query, class_ids, clicks, outcome=outcome, seconds=seconds, **more)
        if self._parts:
            part, *parts = self._parts
            self._show(part, parts=parts, given=[*self._given, answer])
            return
        if before is not None:
            taken = self.events.attempt(lambda: session.amend(before.id, answer))
        else:
            taken = self._hand_in(*self._given, answer)
        if taken:
            self.ask()

    def _hand_in(self, *answers: Answer) -> bool:
        """Submit answers; where they cannot be written, keep them and go on."""
        session = self.session
        if session is None:
            return False
        started = time.perf_counter()
        try:
            session.submit(*answers)
            self._note_disk(time.perf_counter() - started)
        except LogWriteError as error:
            if session.n_unsaved == 0:
                self.events.told.emit(f"{error} Until then answers are kept in memory.")
            session.hold(*answers)
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            return False
        return True

    def _note_disk(self, seconds: float) -> None:
        """Say once a session that the disk keeps the annotator waiting."""
        if seconds > SLOW_DISK_S and not self._told_slow:
            self._told_slow = True
            self.events.told.emit(
                f"The project's disk is slow: an answer took {seconds:.1f} s to write. Nothing is "
                "lost; a project on a local disk is quicker."
            )

    def _submit_sketch(self) -> None:
        if self._sketch is None:
            return
        pieces, clicks = self._sketch.pieces()
        if not pieces:
            self.events.told.emit("Choose a class and draw, or fill the rest with it (R).")
            return
        class_ids = tuple(sorted({piece.class_id for piece in pieces}))
        self._submit(class_ids, clicks, pieces=pieces)

    def _leave_sketch(self) -> None:
        sketch, self._sketch = self._sketch, None
        if sketch is not None:
            sketch.leave()

    def _catch_up(self) -> None:
        """What may wait until the query has been painted: figures, and pictures to come."""
        session = self.session
        if session is None:
            return
        self.figures.count()
        self.events.came_up.emit(self._load_ahead())

    def _load_ahead(self) -> tuple[Query, ...]:
        """Have the images made that come next, so that a key need not wait for one."""
        session = self.session
        if session is None or not session.has_scores:
            return ()
        coming = tuple(session.upcoming(N_AHEAD))
        self.stage.request(dict.fromkeys(q.region.image for q in coming), overlays=True)
        return coming
