"""What happens in one viewer while a session is open in it: ask, show, take the answer, go on.

A `Workbench` lives as long as its viewer, not as long as a dock widget: closing or hiding the
widget loses nothing. It knows no widgets; they call its methods and listen to its events.
"""

from __future__ import annotations

import atexit
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import Signal, SignalGroup
from qtpy.QtCore import QTimer

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.plugin.costs import tally
from napari_al.plugin.dispatch import MainThread
from napari_al.plugin.highlight import Marks
from napari_al.plugin.keys import class_keys
from napari_al.plugin.layers import LayerSet, Placement
from napari_al.plugin.ledger import Bookkeeper
from napari_al.plugin.links import Links, link_viewer, link_workbench
from napari_al.plugin.pictures import KINDS, Key, PictureKind, PictureStore
from napari_al.plugin.preferences import load
from napari_al.plugin.preview import Preview
from napari_al.plugin.reshape import join, split
from napari_al.plugin.sketch import Sketch
from napari_al.session.log import LogWriteError
from napari_al.session.records import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    import numpy as np
    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.plugin.ledger import Ledger
    from napari_al.session.jobs import JobProgress, JobResult
    from napari_al.session.records import AutomaticCorrection, Outcome, Query, Region
    from napari_al.session.session import Session

SAVE_EVERY_MS = 5000
"""Between attempts to write answers that could not be written."""
RESHAPED = ("dominant", "multi-class")
"""Queries whose regions can be cut in two and joined."""
ONE_CLICK = Clicks(class_clicks=1)
N_AHEAD = 6
"""Queries whose pictures are made in advance."""
REGION_KINDS: tuple[PictureKind, ...] = ("answers", "heatmap", "targets")
"""Pictures that an answer changes."""


class WorkbenchEvents(SignalGroup):
    """What views listen to; all on the window's thread."""

    opened = Signal()
    closed = Signal()
    asked = Signal(object)
    """The query now on screen, or None: ``Workbench.pause`` says why."""
    chosen = Signal(object)
    """The classes chosen so far for the query on screen (frozenset)."""
    rest_changed = Signal(object)
    """The class that the rest of a rectangle gets, or None."""
    counted = Signal(object)
    """A new ``Tally``."""
    balanced = Signal(object)
    """A new ``Ledger``, some time after the tally."""
    image_ready = Signal(str)
    """An image can be had from `Workbench.picture_of`."""
    came_up = Signal(tuple)
    """The queries that come next."""
    progressed = Signal(object)
    """A ``JobProgress``."""
    job_changed = Signal()
    """A job began or ended, or another model's scores are there."""
    proposed = Signal(tuple)
    """Corrections to look at; `Workbench.decide` takes the decision."""
    told = Signal(str)
    """A sentence for the person at the screen."""
    find_class = Signal()
    """The search field for classes is wanted."""
    help = Signal()
    """The page with all keys is wanted, or no longer."""
    view_changed = Signal()
    """A picture was shown or hidden, or the settings of the view changed."""


@dataclass
class ViewSettings:
    """How queries are shown and what starts by itself."""

    context: float = 5.0
    keep_zoom: bool = False
    train_when_spent: bool = True
    review_corrections: bool = True


class Workbench:
    """One viewer's session and all that is shown of it.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.events = WorkbenchEvents()
        self.dispatch = MainThread()
        self.preferences = load()
        self.view = ViewSettings(
            context=float(self.preferences.context),
            keep_zoom=self.preferences.keep_zoom,
            train_when_spent=self.preferences.train_when_spent,
            review_corrections=self.preferences.review_corrections,
        )
        self.class_keys: tuple[str | None, ...] = ()
        self.layers = LayerSet(viewer)
        self.preview = Preview(self.layers, self.dispatch)
        self.session: Session | None = None
        self.query: Query | None = None
        self.pause = ""
        self.may_end = False  # while the window is closing: nothing is shown any more
        self.last_result: JobResult | None = None
        self._pictures: PictureStore | None = None
        self._links, self._viewer_links = Links(), Links()
        link_viewer(self._viewer_links, self)
        self._stamps: dict[tuple[str, PictureKind], int] = {}
        self._generation = 0
        self._image = ""
        self._chosen: frozenset[int] = frozenset()
        self._revisited: Answer | None = None
        self._sketch: Sketch | None = None
        self._parts: list[Query] = []  # of a region that was cut in two: those still to ask
        self._given: list[Answer] = []  # and the answers to the others
        self._bookkeeper = Bookkeeper()
        self._balancing: Future[Ledger] | None = None
        self._shown_at = 0.0
        self._n_learnt = 0
        self._looked_at: Region | None = None
        self._proposing: Future[tuple[AutomaticCorrection, ...]] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench")
        self._later = _timer(30, self._catch_up)  # after the next query has been painted
        self._zoomed = _timer(60, self._on_zoom_settled)
        self._scored = _timer(400, self._on_scores_settled)
        self._saving = _timer(SAVE_EVERY_MS, self._on_saving)
        self._saving.setSingleShot(False)

    # ---- open, close

    def open(self, session: Session, placement: Placement | None = None) -> None:
        """Show a session; an earlier one is closed."""
        self.close()
        self.preview.stop()
        self.session = session
        self.layers.place(placement or Placement())
        self.layers.set_classes(session.config.classes)
        self.layers.set_dim(self.preferences.dim / 100)
        n_classes = len(session.config.classes)
        self.class_keys = class_keys(n_classes, self.preferences.class_keys)
        self.layers.set_wanted("borders", False)
        self._pictures = PictureStore(session, self.dispatch, self._on_picture)
        self._n_learnt = self._count_learnt()
        link_workbench(self._links, self)
        self.events.opened.emit()
        for problem in session.problems[:1]:
            self.events.told.emit(problem)
        self.ask()

    def close(self) -> None:
        """Close the session and take its layers away; may be called again."""
        session, self.session = self.session, None
        if session is None:
            return
        for timer in (self._later, self._zoomed, self._scored, self._saving):
            timer.stop()
        self._links.close()
        self._leave_sketch()
        if self._pictures is not None:
            self._pictures.close()
        self.layers.clear()
        self._pictures = self.query = self.last_result = None
        self._image, self._chosen, self._revisited = "", frozenset(), None
        self._stamps.clear()
        session.close()
        self.events.closed.emit()

    def end_all(self) -> None:
        """Close for good, with the viewer."""
        self.dispatch.close()
        self.preview.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._viewer_links.close()
        self.layers.forget_all()
        self._sketch = None
        self.close()

    # ---- answers

    def choose(self, class_id: int) -> None:
        """Take a class for the query on screen: its answer, or one of several."""
        if self.query is None or self.session is None:
            return
        if not 0 <= class_id < len(self.session.config.classes):
            return
        match self.query.query_type:
            case "dominant" | "correction":
                self._submit((class_id,), ONE_CLICK)
            case "multi-class":
                self._chosen ^= {class_id}
                self.events.chosen.emit(self._chosen)
            case "precise":
                if self._sketch is not None:
                    self._sketch.choose(class_id)
                self._chosen = frozenset({class_id})
                self.events.chosen.emit(self._chosen)

    def accept(self) -> None:
        """Say that the label is right, or that choosing or drawing is done."""
        if self.query is None:
            return
        match self.query.query_type:
            case "correction":
                if self.query.pseudo_label is not None and self._is_class(self.query.pseudo_label):
                    self._submit((self.query.pseudo_label,), ONE_CLICK)
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

    def end(self, outcome: Outcome) -> None:
        """Answer without a class: ``skipped``, ``unsure`` or ``ignored``."""
        if self.query is not None:
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

    def split(self) -> None:
        """Cut the region in two and ask about both parts; their answers go in together."""
        query = self.query
        if query is None:
            return
        image = self.picture_of(query.region.image)
        if query.query_type not in RESHAPED or self._revisited is not None or image is None:
            self.events.told.emit("This region cannot be cut.")
            return
        try:
            first, second = split(query, image)
        except InputError as error:
            self.events.told.emit(str(error))
            return
        parts, given = [second, *self._parts], self._given
        self._show(first, None)
        self._parts, self._given = parts, given
        self.events.told.emit(f"Cut in two: {len(given) + len(parts) + 1} parts to answer.")

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
        chosen, revisited, since = self._chosen, self._revisited, self._shown_at
        self._show(joined, revisited)
        self._chosen, self._shown_at = chosen, since
        self.events.chosen.emit(chosen)

    def answer_many(self, queries: Iterable[Query], class_id: int) -> None:
        """Give several coming queries the same class; one undo takes all back."""
        if self.session is None:
            return
        answers = [Answer(query, (class_id,), ONE_CLICK) for query in queries]
        if answers and self._hand_in(*answers):
            self.ask()

    def undo(self) -> None:
        """Take the last answer back (in a drawing: the last polygon) and show its query again."""
        if self._sketch is not None and self._sketch.undo():
            self.events.rest_changed.emit(self._sketch.rest)
            return
        if self.session is None:
            return
        taken: list[Answer | AutomaticCorrection] = []
        if not self._guarded(lambda session: taken.extend(session.undo())):
            return
        if not taken:
            self.events.told.emit("There is nothing to undo.")
        elif len(taken) == 1 and isinstance(taken[0], Answer):
            self.go_to(taken[0].query)
        else:
            self.events.told.emit(f"{len(taken)} labels were taken back.")
            self.ask()

    def redo(self) -> None:
        """Put back what was undone last."""
        put_back: list[object] = []
        if self._guarded(lambda session: put_back.extend(session.redo())):
            if not put_back:
                self.events.told.emit("There is nothing to redo.")
            self.ask()

    # ---- asking

    def ask(self) -> None:
        """Show the next query; start what it waits for."""
        if self.session is None:
            return
        query: list[Query | None] = []
        if not self._guarded(lambda session: query.append(session.query())):
            query.append(None)
        elif query[0] is None and self._get_going():
            query[0] = self.session.query()
        self._show(query[0], None)

    def go_to(self, query: Query) -> None:
        """Show a query out of turn; if it has an answer, the next answer takes its place."""
        if self.session is None:
            return
        same = (a for a in self.session.answers() if a.query.region == query.region)
        self._show(query, next(same, None))

    def _get_going(self) -> bool:
        """Find out why there is no query, and mend it; return whether to ask again."""
        session = self.session
        if session is None:
            return False
        if session.round < 1 or session.budget_is_spent:
            if session.is_training:
                self.pause = "training"
            elif session.round < 1 or self.view.train_when_spent:
                return self._train_or_propose()
            else:
                self.pause = "spent"
            return False
        if session.scores_are_complete:
            self.pause = "done"
            return False
        self.pause = "scoring"
        if not session.is_busy:
            self._guarded(lambda s: s.start_scoring())
            self.events.job_changed.emit()
        return False

    def _show(self, query: Query | None, revisited: Answer | None) -> None:
        """Put a query on screen."""
        if self.session is None:
            return
        self.query, self._revisited, self._chosen = query, revisited, frozenset()
        self._looked_at = None
        self._parts, self._given = [], []
        self._leave_sketch()
        if query is None:
            self.layers.highlight(None)
        else:
            self.pause = ""
            self._show_image(query.region.image)
            self._show_region()
            if query.query_type == "precise":
                self._sketch = Sketch(
                    self.layers.drawing(), self.viewer, query, self.session.config.classes
                )
            self.layers.activate("drawing" if query.query_type == "precise" else "query")
        self._shown_at = time.perf_counter()
        self.events.asked.emit(query)
        self.events.chosen.emit(self._chosen)
        if self._sketch is not None:
            self.events.rest_changed.emit(None)
        self._later.start()

    def _show_region(self) -> None:
        region, query, layers = self._region, self.query, self.layers
        if region is None or self._image != region.image:
            return
        layers.focus(region.mask, self.view.context, keep_zoom=self.view.keep_zoom)
        marks = None
        if query is not None and query.query_type == "correction":
            marks = Marks(pixel_rc=query.pixel_rc, box=True)
        layers.highlight(region.mask, marks)

    @property
    def _region(self) -> Region | None:
        """What is highlighted: the query's region, or one that is looked at."""
        return self.query.region if self.query is not None else self._looked_at

    # ---- pictures

    def show_image(self, image: str) -> None:
        """Show another image of the session."""
        self._show_image(image)

    def wanted(self, kind: PictureKind) -> bool:
        """Whether a kind of picture is to be seen."""
        return self.layers.wants(kind)

    def set_wanted(self, kind: PictureKind, wanted: bool) -> None:
        """Show or hide a kind of picture."""
        self.layers.set_wanted(kind, wanted)
        if wanted:
            self._show_picture(kind)
        self.events.view_changed.emit()

    def toggle(self, kind: PictureKind) -> None:
        """Show a kind of picture, or hide it."""
        self.set_wanted(kind, not self.wanted(kind))

    def focus(self) -> None:
        """Bring the region back into view."""
        if self.query is not None:
            self.layers.focus(self.query.region.mask, self.view.context)
            self.layers.activate("drawing" if self._sketch is not None else "query")

    def set_context(self, context: float) -> None:
        """Show more or less around a region."""
        self.view.context = context
        self.focus()

    def set_keep_zoom(self, keep: bool) -> None:
        """Keep the zoom from query to query, or let it fit each region."""
        self.view.keep_zoom = keep

    def set_dim(self, dim: float) -> None:
        """Darken what is not the region, 0 to 1."""
        self.layers.set_dim(dim)

    def set_train_when_spent(self, on: bool) -> None:
        """Start training by itself when a round's budget is spent, or wait to be told."""
        self.view.train_when_spent = on
        if on and self.query is None:
            self.ask()

    def whole_image(self) -> None:
        """Show the whole image."""
        if self._image:
            self.layers.whole_image()

    def picture_of(self, image: str) -> NDArray[np.uint8] | None:
        """Return an image as it is shown, if it has been made already."""
        if self._pictures is None:
            return None
        return self._pictures.get(self._key(image, "image"))

    def request_image(self, image: str) -> None:
        """Have an image made; `WorkbenchEvents.image_ready` says when it is there."""
        if self._pictures is not None:
            self._pictures.request(self._key(image, "image"))

    def n_answers_behind(self) -> int:
        """Return how many answers the model whose scores show has not learnt from."""
        if self.session is None:
            return 0
        return max(0, len(self.session.answers()) - self._n_learnt)

    def recount(self) -> None:
        """Tell the figures and what comes next again."""
        self._later.start()

    def _key(self, image: str, kind: PictureKind) -> Key:
        if kind == "image":
            return Key(image, kind)
        return Key(image, kind, self._generation * 100_000 + self._stamps.get((image, kind), 0))

    def _show_image(self, image: str) -> None:
        """Show an image, or as soon as it is there; its overlays too."""
        if self._pictures is None:
            return
        key = self._key(image, "image")
        if not self._pictures.is_ready(key):
            self._image = ""
            self.layers.highlight(None)
            self._pictures.request(key)
            return
        if image != self._image:
            self._image = image
            if self.session is not None:
                self.session.look_at(image)
            self.layers.show("image", self._pictures.get(key))
            for kind in KINDS[1:]:
                self._show_picture(kind)

    def _show_picture(self, kind: PictureKind) -> None:
        """Show an overlay of the image on screen; an outdated one stays until the new is there."""
        if self._pictures is None or not self._image:
            return
        if not self.layers.wants(kind):
            return
        key = self._key(self._image, kind)
        if self._pictures.is_ready(key):
            self.layers.show(kind, self._pictures.get(key))
        else:
            self._pictures.request(key)

    def _on_picture(self, key: Key, error: str | None) -> None:
        """Show a picture that has become ready, if it is still current."""
        if error is not None:
            self.events.told.emit(error)
        elif key.kind == "image":
            self.events.image_ready.emit(key.image)
        region = self._region
        wanted_image = region.image if region is not None else self._image
        if key.image != wanted_image or key != self._key(key.image, key.kind):
            return
        if key.kind != "image":
            if self._image == key.image:
                self._show_picture(key.kind)
        elif self._image != key.image and error is None:
            self._show_image(key.image)
            self._show_region()
            self._shown_at = time.perf_counter()

    def _outdate(self, image: str | None) -> None:
        """Have an image's overlays made again, or everything's (None)."""
        if image is None:
            self._generation += 1
            for kind in KINDS[1:]:
                self._show_picture(kind)
            return
        for kind in REGION_KINDS:
            place = (image, kind)
            self._stamps[place] = self._stamps.get(place, 0) + 1
            if image == self._image:
                self._show_picture(kind)

    # ---- training

    def train(self) -> bool:
        """Start training in the background; return whether it has begun."""
        begun = self._train_or_propose()
        if begun and self.query is None:
            self.ask()
        return begun

    def _train_or_propose(self) -> bool:
        """Start training, unless there may be corrections to look at before."""
        session = self.session
        if session is None:
            return False
        automatic = session.config.method.correction == "automatic" and session.round >= 1
        if automatic and not session.is_training:
            self._propose(session)
            return False
        return self._begin_training()

    def _propose(self, session: Session) -> None:
        """Have corrections proposed, in a thread; `_on_proposed` goes on."""
        self.pause = "proposing"
        if self._proposing is None:
            self._proposing = self._thread.submit(session.propose_corrections)
            self._proposing.add_done_callback(
                lambda done: self.dispatch(lambda: self._on_proposed(session, done))
            )

    def _on_proposed(self, session: Session, done: Future[tuple[AutomaticCorrection, ...]]) -> None:
        self._proposing = None
        if session is not self.session or done.cancelled():
            return
        error = done.exception()
        if error is not None and not isinstance(error, InputError | OSError):
            raise error
        proposed = () if error is not None else done.result()
        if error is not None:
            self.events.told.emit(str(error))
        if proposed and self.view.review_corrections:
            self.pause = "reviewing"
            self._show(None, None)
            self.events.proposed.emit(proposed)
        else:
            self.decide(proposed, ())

    def decide(
        self,
        accepted: tuple[AutomaticCorrection, ...],
        refused: tuple[AutomaticCorrection, ...],
    ) -> None:
        """Accept and refuse corrections that were proposed, then train."""
        if not self._guarded(lambda session: session.decide_corrections(accepted, refused)):
            return
        for correction in accepted:
            self._outdate(correction.region.image)
        if self._begin_training():
            self.ask()

    def look_at(self, region: Region) -> None:
        """Show a region without asking about it."""
        self._looked_at = region
        self._show_image(region.image)
        self._show_region()

    def _begin_training(self) -> bool:
        begun = self._guarded(lambda session: session.start_training())
        self.events.job_changed.emit()
        return begun

    def stop(self) -> None:
        """Stop the job that is running."""
        self._guarded(lambda session: session.stop_job())

    # ---- slots (links.py connects them)

    def on_answered(self, answers: tuple[Answer, ...]) -> None:
        """Outdate what the answers change."""
        self._note_changes(answers)

    def on_taken_back(self, records: tuple[Answer | AutomaticCorrection, ...]) -> None:
        """Outdate what was undone or redone."""
        self._note_changes(records)

    def _note_changes(self, records: Iterable[Answer | AutomaticCorrection]) -> None:
        for record in records:
            region = record.query.region if isinstance(record, Answer) else record.region
            self._outdate(region.image)
        self._later.start()

    def on_scores_changed(self) -> None:
        """Outdate everything, a moment later; the query on screen stays."""
        if self.query is None and self.pause == "scoring":
            self.ask()
        if not self._scored.isActive():  # a job brings scores in image by image
            self._scored.start()

    def _on_scores_settled(self) -> None:
        self._n_learnt = self._count_learnt()
        self._outdate(None)
        self.events.job_changed.emit()
        self._later.start()

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

    def on_round_changed(self, _: int) -> None:
        """Count anew: another round's budget."""
        self.events.job_changed.emit()
        self._later.start()

    def on_job_progress(self, progress: JobProgress) -> None:
        """Pass a job's progress on."""
        self.events.progressed.emit(progress)

    def on_job_finished(self, result: JobResult) -> None:
        """Take up what waited for the job."""
        self.last_result = result
        self.events.job_changed.emit()
        if result.status == "failed":
            self.events.told.emit(result.reason)
        if self.query is not None or self.pause == "reviewing":
            return
        if result.status == "done":
            self.ask()
        else:
            self.pause = "failed" if result.status == "failed" else "stopped"
            self._show(None, None)

    def on_layer_removed(self, layer: Layer) -> None:
        """Make a removed layer again where it is needed."""
        kind = self.layers.forget(layer)
        if self.session is None:
            return
        if kind in ("image", "query", "drawing"):
            QTimer.singleShot(0, self._show_again)
        elif kind is not None:
            self.layers.set_wanted(kind, False)
            self.events.view_changed.emit()

    def _show_again(self) -> None:
        if self.session is not None and not self.may_end:
            self._image = ""
            self._show(self.query, self._revisited)

    def on_pressed(self, event: Any) -> None:
        """Join the region under the cursor on Shift+click."""
        if "Shift" in event.modifiers and self._image:
            self.join(self.layers.pixel_at(event.position))

    def on_zoomed(self) -> None:
        """Fit the outline's thickness once zooming has come to rest."""
        self._zoomed.start()

    def on_layer_visible(self, kind: PictureKind) -> None:
        """Follow the eye in napari's layer list."""
        self.layers.follow_eye()
        self._show_picture(kind)
        self.events.view_changed.emit()

    def _on_zoom_settled(self) -> None:
        self.layers.redraw(only_if_zoomed=True)

    # ---- inside

    def _count_learnt(self) -> int:
        """Return how many answers the scores' model was trained on."""
        if self.session is None:
            return 0
        shown = str(self.session.scores_round)
        rows = [row for row in self.session.rounds() if row["round"] == shown]
        return int(rows[-1]["queries"]) if rows else 0

    def _is_class(self, class_id: int) -> bool:
        return self.session is not None and class_id < len(self.session.config.classes)

    def _submit(
        self, class_ids: tuple[int, ...], clicks: Clicks, outcome: Outcome = "labelled", **more: Any
    ) -> None:
        """Hand the answer in and go on."""
        if self.query is None:
            return
        seconds = time.perf_counter() - self._shown_at
        answer = Answer(
            self.query, class_ids, clicks, outcome=outcome, seconds=round(seconds, 3), **more
        )
        before = self._revisited
        if self._parts:
            part, *parts = self._parts
            given = [*self._given, answer]
            self._show(part, None)
            self._parts, self._given = parts, given
            return
        if before is not None:
            taken = self._guarded(lambda session: session.amend(before.id, answer))
        else:
            taken = self._hand_in(*self._given, answer)
        if taken:
            self.ask()

    def _hand_in(self, *answers: Answer) -> bool:
        """Submit answers; where they cannot be written, keep them and go on."""
        if self.session is None:
            return False
        try:
            self.session.submit(*answers)
        except LogWriteError as error:
            first = self.session.n_unsaved == 0
            self.session.hold(*answers)
            if first:
                self.events.told.emit(f"{error} Until then answers are kept in memory.")
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            return False
        return True

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

    def _guarded(self, action: Any) -> bool:
        """Do something with the session; say what went wrong and return False if it did."""
        if self.session is None:
            return False
        try:
            action(self.session)
        except (InputError, OSError) as error:
            self.events.told.emit(str(error))
            return False
        return True

    def _balance(self, session: Session) -> None:
        """Sum up what takes time, in a thread; what is under way is heard out first."""
        if self._balancing is None:
            answers = session.answers()
            self._balancing = self._thread.submit(self._bookkeeper.balance, answers)
            self._balancing.add_done_callback(
                lambda done: self.dispatch(lambda: self._on_balanced(session, len(answers), done))
            )

    def _on_balanced(self, session: Session, n_answers: int, done: Future[Ledger]) -> None:
        self._balancing = None
        if session is self.session and not done.cancelled():
            self.events.balanced.emit(done.result())
            if len(session.answers()) != n_answers:
                self._balance(session)

    def _catch_up(self) -> None:
        """What may wait until the query has been painted: counts, and pictures to come."""
        session = self.session
        if session is None or self._pictures is None:
            return
        self.layers.refresh_thumbnails()
        self._balance(session)
        self.events.counted.emit(tally(session.answers()))
        coming = tuple(session.upcoming(N_AHEAD)) if session.has_scores else ()
        for image in dict.fromkeys(query.region.image for query in coming):
            for kind in KINDS:
                if kind == "image" or self.wanted(kind):
                    self._pictures.request(self._key(image, kind))
        self.events.came_up.emit(coming)


def _timer(interval_ms: int, on_timeout: Callable[[], None]) -> QTimer:
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.timeout.connect(on_timeout)
    return timer


_WORKBENCHES: dict[int, Workbench] = {}


def workbench_of(viewer: Viewer) -> Workbench:
    """Return a viewer's workbench; there is one a viewer, until `close_workbench`."""
    own = getattr(viewer, "__wrapped__", viewer)
    if id(own) not in _WORKBENCHES:
        _WORKBENCHES[id(own)] = Workbench(own)
    return _WORKBENCHES[id(own)]


def close_workbench(viewer: Viewer) -> None:
    """Close a viewer's session and let go of the viewer; may be called again."""
    own = getattr(viewer, "__wrapped__", viewer)
    bench = _WORKBENCHES.pop(id(own), None)
    if bench is not None:
        bench.end_all()


def close_all() -> None:
    """Close every session; for the end of the program."""
    while _WORKBENCHES:
        _, bench = _WORKBENCHES.popitem()
        bench.end_all()


atexit.register(close_all)
