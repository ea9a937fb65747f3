"""The dock widget: a page to start on and a page to answer on.

It shows what the viewer's `Workbench` does and hands clicks to it; the workbench outlives it.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_al.core import opencv_packages
from napari_al.formats.classes import live_classes
from napari_al.plugin.annotate.annotate_page import AnnotatePage
from napari_al.plugin.annotate.class_editor import ClassEditor
from napari_al.plugin.annotate.export_actions import Leaving
from napari_al.plugin.annotate.help_overlay import HelpOverlay
from napari_al.plugin.annotate.review_page import ReviewPage
from napari_al.plugin.dock_area import Docking
from napari_al.plugin.start.open_session import Opening
from napari_al.plugin.start.pseudo_label_job import Labelling
from napari_al.plugin.start.start_page import StartPage
from napari_al.plugin.viewers import workbench_of
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.form_parts import scrolled
from napari_al.plugin.widgets.theme import style_sheet, tones_of

if TYPE_CHECKING:
    from pathlib import Path

    import napari
    from qtpy.QtGui import QShowEvent

    from napari_al.plugin.control.answer_statistics import Tally
    from napari_al.plugin.control.coverage_statistics import Ledger
    from napari_al.session.log.records import AutomaticCorrection, Query

MIN_WIDTH_PX = 340
N_THUMBNAILS = 200
"""Corrections that are shown with a picture."""


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
        self.start = StartPage()
        self.annotate = AnnotatePage()
        self.review = ReviewPage()
        self.editor = ClassEditor()
        for page in (self.start, self.annotate.view, self.annotate.model):
            page.set_preferences(self.bench.preferences)
        self.opening = Opening(self.bench, self.start)
        self.labelling = Labelling(self.bench, self.start, self.opening)
        self.leaving = Leaving(self.bench, self.annotate)
        self._help: HelpOverlay | None = None
        self.docking = Docking(self, self.bench)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start)
        self._stack.addWidget(scrolled(self.annotate))
        self._stack.addWidget(scrolled(self.review))
        self._stack.addWidget(scrolled(self.editor))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        self.setMinimumWidth(MIN_WIDTH_PX)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.on_theme()
        self.links = ConnectionList()
        _link_dock(self.links, self)
        self.start.show_message(opencv_packages.conflict() or "")
        self.destroyed.connect(
            partial(_end, self.links, self.opening, self.labelling, self.leaving)
        )
        if self.bench.session is not None:
            self.on_opened()
            self.on_asked(self.bench.query)
            self.on_chosen(self.bench.answering.chosen)
            self.bench.upkeep.soon()

    # ---- slots

    def on_opened(self) -> None:
        """Turn to the page to answer on."""
        session = self.bench.session
        if session is None:
            return
        self.annotate.set_session(session, self.bench.answering.class_keys)
        self.annotate.model.show_rounds(session.rounds())
        self._stack.setCurrentIndex(1)
        self.on_job_changed()
        self.on_view_changed()

    def on_closed(self) -> None:
        """Turn to the page to start on."""
        self._stack.setCurrentIndex(0)
        self.opening.preview()

    def on_asked(self, query: Query | None) -> None:
        """Put the question."""
        session = self.bench.session
        if session is not None:
            self.annotate.show_query(query, self.bench.pause, session.config.classes)

    def on_chosen(self, class_ids: frozenset[int]) -> None:
        """Show what has been chosen so far."""
        session = self.bench.session
        if session is not None:
            self.annotate.show_chosen(class_ids, session.config.method.query)

    def on_classes_changed(self) -> None:
        """Show the classes that are in force now."""
        session = self.bench.session
        if session is not None:
            config = session.config
            self.annotate.set_classes(
                config.classes, self.bench.answering.class_keys, config.method.query
            )
            self.on_asked(self.bench.query)
            self.on_chosen(self.bench.answering.chosen)
            self.editor.show_classes(config.classes, self.bench.figures.tally().counts)

    def edit_classes(self) -> None:
        """Turn to the page to edit classes on, or back."""
        session = self.bench.session
        if session is None or self._stack.currentIndex() == 2:
            return
        if self._stack.currentIndex() == 3:
            self.on_editor_left()
            return
        self.editor.show_classes(session.config.classes, self.bench.figures.tally().counts)
        self._stack.setCurrentIndex(3)
        self.editor.entry.setFocus()

    def on_editor_left(self) -> None:
        """Turn back to the questions."""
        self.setFocus()
        self._stack.setCurrentIndex(1)

    def on_told(self, words: str) -> None:
        """Show a sentence where one looks."""
        self.annotate.show_message(words)
        self.editor.show_message(words)

    def on_rest_changed(self, class_id: int | None) -> None:
        """Show which class the rest of the rectangle gets."""
        session = self.bench.session
        if session is not None:
            known = None if class_id is None else session.config.classes[class_id].name
            self.annotate.show_rest(known)

    def on_counted(self, tally: Tally) -> None:
        """Show new figures."""
        session = self.bench.session
        if session is None:
            return
        self.annotate.show_tally(tally, session.clicks_in_round, session.config.budget)
        self.annotate.undo.setEnabled(session.can_undo)
        self.annotate.redo.setEnabled(session.can_redo)
        self._show_model_state()
        self.annotate.queue.show_past(session.answers(), self.bench.stage.picture_of)

    def on_balanced(self, ledger: Ledger) -> None:
        """Show figures that take time."""
        session = self.bench.session
        if session is not None:
            self.annotate.progress.show_ledger(ledger, session.config.classes)

    def on_came_up(self, queries: tuple[Query, ...]) -> None:
        """Show what comes next."""
        self.annotate.queue.show_coming(queries, self.bench.stage.picture_of)

    def on_proposed(self, corrections: tuple[AutomaticCorrection, ...]) -> None:
        """Turn to the page to look at corrections."""
        session = self.bench.session
        if session is not None:
            self.review.show_corrections(corrections, session.config.classes)
            self._stack.setCurrentIndex(2)
            for image in dict.fromkeys(c.region.image for c in corrections[:N_THUMBNAILS]):
                self.on_image_ready(image)
                self.bench.stage.request([image])

    def on_image_ready(self, image: str) -> None:
        """Show thumbnails of an image that has been made."""
        picture = self.bench.stage.picture_of(image)
        if picture is not None and self._stack.currentIndex() == 2:
            self.review.show_thumbnails(image, picture)

    def on_decided(
        self,
        accepted: tuple[AutomaticCorrection, ...],
        refused: tuple[AutomaticCorrection, ...],
        always: bool,
    ) -> None:
        """Go on with what was decided."""
        self._stack.setCurrentIndex(1)
        self.bench.trainer.review = not always
        self.bench.trainer.decide(accepted, refused)

    def on_job_changed(self) -> None:
        """Show whether a job runs, and how the last one ended."""
        session, result = self.bench.session, self.bench.trainer.last_result
        if session is None:
            return
        if session.is_busy:
            self.annotate.model.show_busy(is_training=session.is_training)
        else:
            ended = "" if result is None or result.status == "done" else result.reason
            self.annotate.model.show_idle(ended)
            self.annotate.model.show_rounds(session.rounds())
        self._show_model_state()

    def _show_model_state(self) -> None:
        session = self.bench.session
        if session is None:
            return
        if session.scores_round == 0 and session.model_round is None:
            words = "No model yet: the first round asks at random."
            if session.config.method.starts_from_labels:
                words = "No model yet: it is trained on the initial labels first."
        else:
            n_behind = self.bench.figures.n_answers_behind()
            words = f"Prediction and heatmap: model of round {session.scores_round}, "
            words += "up to date." if not n_behind else f"{n_behind} answers old."
        self.annotate.model.show_state(words)

    def on_view_changed(self) -> None:
        """Follow what is shown over the image."""
        layers = self.bench.stage.layers
        for kind in self.annotate.view.kinds:
            self.annotate.view.show_overlay(kind, layers.wants(kind), layers.opacity(kind))

    def on_theme(self, *_: object) -> None:
        """Take on the colours of napari's theme."""
        tones = tones_of(self.viewer.theme)
        self.setStyleSheet(style_sheet(tones))
        self.annotate.model.set_tones(tones)

    def toggle_help(self) -> None:
        """Show all keys over the window, or put them away."""
        if self._help is not None:
            help_, self._help = self._help, None
            was_visible = help_.isVisible()
            help_.hide()
            help_.deleteLater()
            if was_visible:
                return
        session = self.bench.session
        classes = session.config.classes if session is not None else ()
        named = [(self.bench.answering.class_keys[c.id], c.name) for c in live_classes(classes)]
        self._help = HelpOverlay(self.docking.main_window(), named, tones_of(self.viewer.theme))

    def inspect(self) -> None:
        """Look at the rounds of the project, in a window of its own."""
        if self.bench.session is not None:
            self.inspect_project(self.bench.session.project.path)

    def inspect_project(self, path: Path) -> None:
        """Show the rounds of a project in the inspect dock."""
        from napari_al.plugin.inspect.dock import inspect

        inspect(self.viewer, path)

    # ---- coming and going

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look at where this is docked now."""
        super().showEvent(event)
        self.docking.look()

    def leave(self) -> None:
        """Close the project."""
        if self.docking.may_close():
            self.bench.close()


def _end(
    links: ConnectionList, opening: Opening, labelling: Labelling, leaving: Leaving, *_: object
) -> None:
    for part in (links, opening, labelling, leaving):
        with suppress(RuntimeError):  # the program ends, and Qt has deleted the timers before
            part.close()
    gc.unfreeze()  # the dock is garbage now (see Workbench.open)


def _link_dock(links: ConnectionList, dock: ActiveLearning) -> None:
    """Connect a dock widget with its viewer's workbench, both ways."""
    _link_workbench_to_dock(links, dock)
    _link_start_page(links, dock)
    _link_annotate_page(links, dock)
    links.connect(dock.viewer.events.theme, dock.on_theme)


def _link_workbench_to_dock(links: ConnectionList, dock: ActiveLearning) -> None:
    events, page = dock.bench.events, dock.annotate
    for signal, slot in (
        (events.opened, dock.on_opened),
        (events.closed, dock.on_closed),
        (events.asked, dock.on_asked),
        (events.chosen, dock.on_chosen),
        (events.classes_changed, dock.on_classes_changed),
        (events.begun, page.classes.set_begun),
        (events.rest_changed, dock.on_rest_changed),
        (events.counted, dock.on_counted),
        (events.balanced, dock.on_balanced),
        (events.came_up, dock.on_came_up),
        (events.progressed, page.model.show_progress),
        (events.job_changed, dock.on_job_changed),
        (events.proposed, dock.on_proposed),
        (dock.bench.stage.image_ready, dock.on_image_ready),
        (events.told, dock.on_told),
        (events.find_class, page.classes.find),
        (events.edit_classes, dock.edit_classes),
        (events.help, dock.toggle_help),
        (dock.bench.stage.view_changed, dock.on_view_changed),
        (events.opened, dock.opening.regions.stop),
        (dock.opening.regions.cut, dock.start.regions.show_cut),
        (dock.opening.regions.failed, dock.start.show_message),
        (dock.opening.locked, dock.inspect_project),
    ):
        links.connect(signal, slot)


def _link_start_page(links: ConnectionList, dock: ActiveLearning) -> None:
    start, opening = dock.start, dock.opening
    for signal, slot in (
        (start.folder_wanted, opening.look),
        (start.viewer_wanted, opening.use_viewer_images),
        (start.sample_wanted, opening.use_sample),
        (start.class_list.labels_wanted, opening.read_labels),
        (start.preview_wanted, opening.preview),
        (start.start_wanted, opening.begin),
        (start.label_maker.make_wanted, dock.labelling.make),
        (start.label_maker.stop_wanted, dock.labelling.stop),
    ):
        links.connect(signal, slot)


def _link_annotate_page(links: ConnectionList, dock: ActiveLearning) -> None:
    page, bench = dock.annotate, dock.bench
    answering = bench.answering
    for signal, slot in (
        (page.classes.chosen, answering.choose),
        (page.accepted, answering.accept),
        (page.ended, answering.give_up),
        (page.rest_wanted, answering.fill_rest),
        (page.undo_wanted, bench.undo),
        (page.redo_wanted, bench.redo),
        (page.focus_wanted, bench.stage.focus),
        (page.help_wanted, dock.toggle_help),
        (page.classes_wanted, dock.edit_classes),
        (dock.editor.edited, bench.edit_classes),
        (dock.editor.undo_wanted, bench.undo),
        (dock.editor.redo_wanted, bench.redo),
        (dock.editor.left, dock.on_editor_left),
        (page.leave_wanted, dock.leave),
        (page.progress.csv_wanted, dock.leaving.save_costs),
        (page.model.train_wanted, bench.train),
        (page.model.stop_wanted, bench.trainer.stop),
        (page.model.auto_changed, bench.set_train_when_spent),
        (page.model.inspect_wanted, dock.inspect),
        (page.view.shown, bench.stage.set_wanted),
        (page.view.opacity_changed, bench.stage.layers.set_opacity),
        (page.view.context_changed, bench.stage.set_context),
        (page.view.keep_zoom_changed, bench.stage.set_keep_zoom),
        (page.view.dim_changed, bench.stage.layers.set_dim),
        (page.queue.picked, bench.go_to),
        (page.queue.many_answered, answering.answer_many),
        (page.export.export_wanted, dock.leaving.export),
        (page.export.script_wanted, dock.leaving.save_script),
        (page.export.model_wanted, dock.leaving.export_model),
        (dock.review.decided, dock.on_decided),
        (dock.review.looked_at, bench.stage.show_region),
    ):
        links.connect(signal, slot)
