"""Connects one open session with the pages of the annotation dock, both ways.

A presenter is made when a session is opened and dropped with it. It shows what the session's events
report, and calls the session's parts for what is clicked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_al.plugin.annotate.model_panel import STAGES
from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.layers.channel_view import ChannelChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.methods.queries import AutomaticCorrection, Query
    from napari_al.plugin.annotate.export_actions import Exporter
    from napari_al.plugin.annotate.pages import AnnotationPages
    from napari_al.plugin.control.answer_statistics import AnswerStatistics, CoverageStatistics
    from napari_al.plugin.control.open_session import OpenSession
    from napari_al.plugin.widgets.connection_list import ConnectionList
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.rounds.job_function import JobProgress

BEHIND = {"superpixels": "regions cut in", "encoding": "encoded", "scoring": "scored"}
"""Stages of jobs that go on while questions of what is done already are answered."""
N_THUMBNAILS = 200
"""Corrections that are shown with a picture."""


class AnnotationPresenter:
    """Shows an open session on the pages.

    Parameters
    ----------
    opened : OpenSession
    pages : AnnotationPages
    exporter : Exporter
    connections : ConnectionList
        Gets the connections; the dock closes it with the session.
    """

    def __init__(
        self,
        opened: OpenSession,
        pages: AnnotationPages,
        exporter: Exporter,
        connections: ConnectionList,
    ) -> None:
        self._opened, self._session, self._pages = opened, opened.session, pages
        self._annotate, self._review, self._editor = pages.annotate, pages.review, pages.editor
        self._connections = connections
        self._connect_events()
        self._connect_pages()
        self._connect_export(exporter)
        self._annotate.set_session(self._session, opened.questions.class_keys)
        data = self._session.data
        are_rgb = data.n_channels == 3 and data.rules.pixel_type == "uint8"
        channels = opened.display.channels or ChannelChoice.default(data.n_channels)
        self._annotate.view.channels.set_choice(channels, are_rgb=are_rgb)
        self._annotate.model.set_config(self._session.config, has_validation=data.has_val)
        self._annotate.model.show_rounds(self._session.rounds())
        last_training = self._session.project.read_last_training()
        self._annotate.model.show_last_training(last_training)
        self._interrupted = interruption_text(last_training, self._session.model_round)
        pages.show_page(self._annotate)
        if self._interrupted:
            self._annotate.show_message(self._interrupted)
        self.on_job_changed()
        self.on_view_changed()

    def show_current(self) -> None:
        """Show the query on screen and what is chosen for it: the session is open already."""
        self.on_query_changed(self._opened.questions.query)
        self.on_choice_changed(self._opened.questions.chosen)
        self._opened.updates.schedule()

    def _connect_events(self) -> None:
        events, page, display = self._opened.events, self._annotate, self._opened.display
        self._connections.connect_all(
            (events.query_changed, self.on_query_changed),
            (events.choice_changed, self.on_choice_changed),
            (events.classes_changed, self.on_classes_changed),
            (self._opened.keys.changed, self.on_job_changed),
            (events.key_prefix_changed, page.classes.set_key_prefix),
            (events.rest_changed, self.on_rest_changed),
            (events.statistics_changed, self.on_statistics_changed),
            (events.coverage_changed, self.on_coverage_changed),
            (events.upcoming_changed, self.on_upcoming_changed),
            (events.job_progress, self.on_job_progress),
            (events.job_changed, self.on_job_changed),
            (events.corrections_proposed, self.on_corrections_proposed),
            (events.find_class_requested, page.classes.find),
            (events.edit_classes_requested, self.toggle_editor),
            (display.image_ready, self.on_image_ready),
            (display.thumbnail_ready, page.images.on_thumbnail),
            (display.view_changed, self.on_view_changed),
        )

    def _connect_pages(self) -> None:
        opened, page = self._opened, self._annotate
        questions, display, editor = opened.questions, opened.display, self._editor
        self._connections.connect_all(
            (page.classes.chosen, questions.choose),
            (page.accepted, questions.accept),
            (page.ended, questions.answer_without_class),
            (page.rest_wanted, questions.fill_rest),
            (page.undo_wanted, opened.queries.undo),
            (page.redo_wanted, opened.queries.redo),
            (page.back_wanted, opened.queries.go_back),
            (page.focus_wanted, display.focus),
            (page.classes_wanted, self.toggle_editor),
            (page.model.train_wanted, opened.train),
            (page.model.stop_wanted, opened.training.stop),
            (page.model.retrain_changed, self.on_retrain_changed),
            (page.model.auto_changed, opened.set_train_when_spent),
            (page.view.shown, display.set_wanted),
            (page.view.channels.changed, opened.set_channels),
            (page.view.opacity_changed, display.layers.set_opacity),
            (page.view.context_changed, display.set_context),
            (page.view.dim_changed, display.layers.set_dim),
            (page.view.bright_wanted, display.layers.toggle_bright),
            (page.view.keys_wanted, self.show_keys),
            (page.view.fold_wanted, lambda: opened.events.fold_requested.emit()),
            (page.view.keep_zoom_changed, self.on_keep_zoom_changed),
            (page.images.picked, opened.queries.stay_in),
            (page.images.accept_wanted, opened.queries.accept_image),
            (page.queue.picked, opened.queries.go_to),
            (page.queue.selected, self.on_selected),
            (page.queue.many_answered, self.on_many_answered),
            (editor.edited, opened.edit_classes),
            (editor.undo_wanted, opened.queries.undo),
            (editor.redo_wanted, opened.queries.redo),
            (editor.left, self.on_editor_left),
            (self._pages.keys.left, self.on_editor_left),
            (self._review.decided, self.on_decided),
            (self._review.looked_at, display.show_region),
        )

    def _connect_export(self, exporter: Exporter) -> None:
        page, session = self._annotate, self._session
        self._connections.connect_all(
            (page.progress.csv_wanted, partial(exporter.save_costs, session)),
            (page.export.prepare_wanted, partial(exporter.prepare_labels, session)),
            (page.export.write_wanted, exporter.write_labels),
            (page.export.stop_wanted, exporter.stop),
            (page.export.layer_wanted, partial(exporter.open_layer, self._opened.display)),
            (page.export.model_wanted, partial(exporter.export_model, session)),
            (page.export.script_wanted, partial(exporter.save_script, session)),
        )

    # ---- queries and classes

    def on_query_changed(self, query: Query | None) -> None:
        """Show the question."""
        classes, state = self._session.config.classes, self._opened.questions.state
        self._annotate.show_query(query, self._opened.queries.pause, classes)
        self._annotate.images.show_only_in(self._opened.updates.only_in, self._opened.display.image)
        if state is not None:
            self._annotate.show_picked(state.replaced, out_of_turn=state.out_of_turn)
            self._annotate.show_n_selected(len(self._opened.questions.selected))

    def on_selected(self, queries: tuple[Query, ...]) -> None:
        """Answer several upcoming queries at once, or the one on screen again."""
        if queries != self._opened.questions.selected:
            self._opened.questions.selected = queries
            self.on_query_changed(self._opened.questions.query)

    def on_many_answered(self, queries: list[Query], class_id: int) -> None:
        """Give several upcoming queries the same class."""
        self._opened.questions.answer_many(queries, (class_id,))

    def on_choice_changed(self, class_ids: frozenset[int]) -> None:
        """Show what has been chosen so far."""
        query = self._opened.questions.query
        query_type = self._session.config.method.query if query is None else query.query_type
        self._annotate.show_chosen(class_ids, query_type)

    def on_rest_changed(self, class_id: int | None) -> None:
        """Show the class of a rectangle's pixels outside all polygons."""
        classes = self._session.config.classes
        self._annotate.show_rest(None if class_id is None else classes[class_id].name)

    def on_classes_changed(self) -> None:
        """Show the classes in force."""
        config, questions = self._session.config, self._opened.questions
        self._annotate.set_classes(config.classes, questions.class_keys, config.method.query)
        self.on_query_changed(questions.query)
        self.on_choice_changed(questions.chosen)
        self._show_in_editor()

    def _show_in_editor(self) -> None:
        counts = self._opened.statistics.current().counts
        self._editor.show_classes(self._session.config.classes, counts)

    def toggle_editor(self) -> None:
        """Show the page to edit classes on, or leave it."""
        shown = self._pages.shown
        if shown is self._editor:
            self.on_editor_left()
        elif shown is self._annotate:
            self._show_in_editor()
            self._pages.show_page(self._editor)
            self._editor.entry.setFocus()

    def show_keys(self) -> None:
        """Show the page to change keys on."""
        self._pages.show_page(self._pages.keys)
        self._pages.keys.setFocus()

    def on_editor_left(self) -> None:
        """Show the questions again."""
        self._pages.setFocus()
        self._pages.show_page(self._annotate)

    # ---- statistics and rounds

    def on_statistics_changed(self, statistics: AnswerStatistics) -> None:
        """Show new statistics."""
        session, page = self._session, self._annotate
        spent, budget = session.clicks_in_round, session.budget
        given, wanted = session.answers_in_round, session.answers_wanted
        if wanted is None or spent / budget > given / wanted:  # what will end the round first
            page.show_statistics(statistics, spent, budget)
        else:
            page.show_statistics(statistics, given, wanted, "answer")
        page.undo.setEnabled(session.can_undo)
        page.redo.setEnabled(session.can_redo)
        self._show_model_state()
        page.model.show_predicted(session.prequential_accuracy(), session.config.classes)
        page.queue.show_past(session.answers(), self._opened.display.picture_of)
        page.images.show_images(session.images_progress, self._opened.display.thumbnail_of)

    def on_coverage_changed(self, coverage: CoverageStatistics) -> None:
        """Show statistics that take time to compute."""
        self._annotate.progress.show_coverage(coverage, self._session.config.classes)

    def on_upcoming_changed(self, queries: tuple[Query, ...]) -> None:
        """Show the next queries."""
        self._annotate.queue.show_upcoming(queries, self._opened.display.picture_of)

    def on_job_progress(self, progress: JobProgress) -> None:
        """Show how far a job is."""
        self._annotate.model.show_progress(progress)
        session = self._session
        if progress.stage in BEHIND and self._opened.questions.query is not None:
            words = behind_text(self._ready, progress, has_blocks=session.data.has_blocks)
        else:
            number = session.round - 1 if session.is_training else session.model_round
            words = job_text(progress, number or 0)
        self._annotate.show_status(words)

    def on_retrain_changed(self, n_answers: int | None) -> None:
        """Train live or by rounds from now on."""
        self._opened.training.set_retrain_after(n_answers)
        self._opened.updates.schedule()

    def on_job_changed(self) -> None:
        """Show whether a job runs, and how the last one ended."""
        session, model = self._session, self._annotate.model
        result = self._opened.training.last_result
        if session.is_training:
            self._interrupted = ""
        if session.is_busy:
            model.show_busy(is_training=session.is_training)
        else:
            model.show_idle(self._interrupted if result is None else result.reason)
            model.show_rounds(session.rounds())
            self._annotate.show_status(self._ready)
        self._show_model_state()

    @property
    def _ready(self) -> str:
        session = self._session
        if session.model_round is None and session.budget_is_spent:
            return ""
        key = self._opened.keys.hint("prediction")
        return ready_text(session.model_round, session.config, key)

    def _show_model_state(self) -> None:
        session = self._session
        if session.scores_round == 0 and session.model_round is None:
            words = "No model yet: the first round asks at random."
            if session.config.method.starts_from_labels:
                words = "No model yet: it is trained on the initial labels first."
        else:
            n_behind = self._opened.statistics.n_answers_behind()
            words = f"Prediction and heatmap: model of round {session.scores_round}, "
            words += "up to date." if not n_behind else f"{count(n_behind, 'answer')} old."
        self._annotate.model.show_state(words)

    # ---- proposed corrections

    def on_corrections_proposed(self, corrections: tuple[AutomaticCorrection, ...]) -> None:
        """Show the page to review corrections on."""
        self._review.show_corrections(corrections, self._session.config.classes)
        self._pages.show_page(self._review)
        for image in dict.fromkeys(c.region.image for c in corrections[:N_THUMBNAILS]):
            self.on_image_ready(image)
            self._opened.display.request([image])

    def on_image_ready(self, image: str) -> None:
        """Show thumbnails of an image that has been loaded."""
        picture = self._opened.display.picture_of(image)
        if picture is not None and self._pages.shown is self._review:
            self._review.show_thumbnails(image, picture)

    def on_decided(
        self,
        accepted: tuple[AutomaticCorrection, ...],
        refused: tuple[AutomaticCorrection, ...],
        always: bool,
    ) -> None:
        """Apply the decision; ``always``: do not ask again."""
        self._pages.show_page(self._annotate)
        self._opened.preferences.review_corrections = not always
        self._opened.training.decide(accepted, refused)

    # ---- view

    def on_view_changed(self) -> None:
        """Show which overlays are visible."""
        layers, view = self._opened.display.layers, self._annotate.view
        for kind in view.kinds:
            view.show_overlay(kind, layers.wants(kind), layers.opacity(kind))

    def on_keep_zoom_changed(self, keep: bool) -> None:
        """Keep the zoom from query to query, or fit it to each region."""
        self._opened.preferences.keep_zoom = keep


def job_text(progress: JobProgress, model_round: int) -> str:
    """Return how far a job is, in a line: ``Model 2: training, 40 %``, ``Scoring: 120 of 367``."""
    done, total = progress.done, progress.total
    if progress.stage == "training":
        return f"Model {model_round}: training, {round(100 * done / max(1, total))} %"
    return f"{STAGES[progress.stage]}: {done} of {total}"


def behind_text(ready: str, progress: JobProgress, *, has_blocks: bool) -> str:
    """Return the model's state, then how far a job is for which no question waits."""
    what = f"{progress.done} of {progress.total} {'blocks' if has_blocks else 'images'}"
    return f"{ready} In the background: {BEHIND[progress.stage]} {what}.".strip()


def interruption_text(steps: Sequence[dict[str, Any]], model_round: int | None) -> str:
    """Return that the training logged last came to no end, "" if it did.

    ``steps`` are those of ``Project.read_last_training``, ``model_round`` is the newest model's.
    """
    if not steps or steps[-1]["round"] <= (-1 if model_round is None else model_round):
        return ""
    last = steps[-1]
    return (
        f"The training of model {last['round']} was interrupted at step {last['step']} of "
        f"{last['n_steps']}. No answer is lost; its training begins anew."
    )


def ready_text(model_round: int | None, config: ProjectConfig, key: str) -> str:
    """Return which model there is and which key shows it, or when the first one comes."""
    if model_round is None and config.method.starts_from_labels:
        return "The first model is trained at once, on the labels as they are."
    if model_round is None:
        first = config.first_training
        if first is None or first >= config.budget_of(1):
            return ""
        return f"The first model is trained after {count(first, 'answer')}."
    return f"Model {model_round} is ready: {key} shows what it predicts."
