"""The annotation page: question, class buttons, other answers, budget, and tabs with panels."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Signal, SignalInstance
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_al.core import IGNORE
from napari_al.formats.classes import live_classes
from napari_al.plugin.annotate.classes_panel import ClassesPanel
from napari_al.plugin.annotate.export_panel import ExportPanel
from napari_al.plugin.annotate.images_panel import ImagesPanel
from napari_al.plugin.annotate.model_panel import ModelPanel
from napari_al.plugin.annotate.progress_panel import ProgressPanel
from napari_al.plugin.annotate.queue_panel import QueuePanel
from napari_al.plugin.annotate.view_panel import ViewPanel
from napari_al.plugin.control.answer_statistics import AnswerStatistics, count, duration
from napari_al.plugin.control.keys import ACTIONS
from napari_al.plugin.widgets.form_parts import (
    QuestionText,
    SteadyText,
    button,
    elided,
    key_button,
    scrolled,
    show_keys,
    text,
)
from napari_al.plugin.widgets.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import Answer, Outcome, Query
    from napari_al.methods.table import QueryType
    from napari_al.plugin.control.keys import ActionName, UserKeys
    from napari_al.session.session import Session

MESSAGE_S = 8
MIN_TAB_PX = 120
NO_BREAK = "\N{NO-BREAK SPACE}"
_ACCEPT_TEXTS: dict[QueryType, str] = {
    "correction": "Yes, it is",
    "multi-class": "These are all",
    "precise": "Drawn",
}
_INSTRUCTIONS: dict[QueryType, str] = {
    "multi-class": "Choose all of them, then {accept}.",
    "correction": "{accept} if it is; else choose its class.",
    "precise": "Choose a class, click corners, Enter closes; {rest} fills the rest.",
}
"""With the keys of actions in braces."""
_OUTCOME_BUTTONS: tuple[tuple[str, Outcome, ActionName, str], ...] = (
    ("Skip", "skipped", "skip", "ask this again in a later round"),
    ("Unsure", "unsure", "unsure", "leave it without a label and do not ask again"),
    ("Ignore", "ignored", "ignore", "none of the classes: train on nothing here"),
)
_PAUSES = {
    "": "",
    "scoring": "Finding regions to ask about…",
    "training": "The model is being trained; the next question comes with it.",
    "proposing": "Looking for look-alikes of what you corrected…",
    "reviewing": "Look at the proposed corrections.",
    "accepting": "Answering the rest of this image as predicted…",
    "complete": "Every region of this image has an answer. {go_back}: other images.",
    "spent": "This round's budget is spent. Train when you are ready.",
    "done": "Every region has an answer.",
    "stopped": "Stopped. Train when you are ready.",
    "failed": "That went wrong; see the message below, then train again.",
}


class AnnotatePage(QWidget):
    """Shows what it is told to; the presenter connects it."""

    ended = Signal(str)
    """Answered without a class: ``skipped``, ``unsure``, ``ignored``."""
    accepted = Signal()
    rest_wanted = Signal()
    undo_wanted = Signal()
    redo_wanted = Signal()
    back_wanted = Signal()
    focus_wanted = Signal()
    help_wanted = Signal()
    classes_wanted = Signal()
    leave_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._classes: Sequence[ClassInfo] = ()
        self._types_differ = False
        self.classes = ClassesPanel()
        self.progress = ProgressPanel()
        self.model = ModelPanel()
        self.view = ViewPanel()
        self.queue = QueuePanel()
        self.export = ExportPanel()
        self.images = ImagesPanel()
        self._project = text("", "muted")
        self._question = QuestionText()
        self._about = SteadyText("muted")
        self._back = key_button(
            "Back",
            "leave it as it is, and go on with the next question",
            self.back_wanted.emit,
            "go_back",
        )
        self._back.setVisible(False)
        self._accept = key_button("", "", self.accepted.emit, "accept", role="main")
        self._rest = key_button(
            "The rest is this class",
            "what no polygon covers gets the chosen class",
            self.rest_wanted.emit,
            "rest",
        )
        self._budget = QProgressBar()
        self._budget.setToolTip("until the model is trained again")
        self._left = SteadyText("muted")
        self._status = SteadyText("muted")
        self.tabs = self._build_tabs()
        self._message = Message(self.tabs, MESSAGE_S)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addLayout(self._build_head())
        for widget in (
            self._question,
            self._about,
            self._accept,
            self.classes,
            self._rest,
        ):
            column.addWidget(widget)
        column.addLayout(self._build_outcome_buttons())
        column.addLayout(self._build_action_buttons())
        for widget in (self._budget, self._left, self._status):
            column.addWidget(widget)
        column.addWidget(self.tabs, 1)

    def _build_head(self) -> QHBoxLayout:
        """Name the project, with a button to close it."""
        leave = button("Close", "close this project; everything is saved", self.leave_wanted.emit)
        leave.setAccessibleName("Close this project")
        row = QHBoxLayout()
        row.addWidget(self._project, 1)
        row.addWidget(self._back)  # up here nothing moves when it comes
        row.addWidget(leave)
        return row

    def _build_outcome_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(3)
        for words, outcome, key, tip in _OUTCOME_BUTTONS:
            end = key_button(words, tip, partial(self.ended.emit, outcome), key)
            row.addWidget(end, 1)
        return row

    def _build_action_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(3)
        rows: tuple[tuple[str, str, SignalInstance, ActionName], ...] = (
            ("Undo", "take the last answer back", self.undo_wanted, "undo"),
            ("Redo", "put it back", self.redo_wanted, "redo"),
            ("Find", "bring the region back into view", self.focus_wanted, "focus"),
            ("Classes", "add, rename, recolour, merge", self.classes_wanted, "edit_classes"),
            ("Keys", "all keys", self.help_wanted, "help"),
        )
        buttons = [key_button(words, tip, wanted.emit, action, in_tip_only=True)
                   for words, tip, wanted, action in rows]  # fmt: skip
        self.undo, self.redo = buttons[:2]
        for made in buttons:
            made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            row.addWidget(made, 1)
        return row

    def _build_tabs(self) -> QTabWidget:
        tabs = QTabWidget()
        tabs.setDocumentMode(True)
        tabs.setMinimumHeight(MIN_TAB_PX)
        tabs.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        tabs.tabBar().setExpanding(True)
        tabs.tabBar().setUsesScrollButtons(False)
        for name, page, tip in (
            ("Cost", self.progress, "clicks and seconds"),
            ("Model", self.model, "training, loss, mIoU"),
            ("View", self.view, "zoom, dimming, overlays"),
            ("Queue", self.queue, "coming and past queries"),
            ("Export", self.export, "labels out"),
            ("Images", self.images, "all images: how far each is, and asking in one of them"),
        ):
            index = tabs.addTab(scrolled(page), name)
            tabs.setTabToolTip(index, tip)
        return tabs

    # ---- showing

    def show_keys(self, keys: UserKeys) -> None:
        """Show the keys in force; texts show them from the next question on."""
        self._keys = keys
        self.classes.show_find_key(keys.hint("find_class"))
        show_keys(self, keys.hint)

    def _with_keys(self, words: str) -> str:
        hints: dict[str, str] = {name: self._keys.hint(name) for name in ACTIONS}
        return words.format_map(hints)

    def set_session(self, session: Session, keys: Sequence[str]) -> None:
        """Show a session's method, classes and budget."""
        method = session.config.method
        query_type = method.query
        self._types_differ = method.query_choice == "by-region"
        path = session.project.path
        self._project.setText(elided(path.name))
        self._project.setToolTip(str(path))
        self.set_classes(session.config.classes, keys, query_type)
        self.progress.set_query_type(query_type)
        self.export.set_session(session)
        self.images.set_query_type(query_type)
        self._accept.setVisible(query_type in _ACCEPT_TEXTS)
        if query_type in _ACCEPT_TEXTS:
            self._accept.set_words(_ACCEPT_TEXTS[query_type])
        self._rest.setVisible(query_type == "precise")
        self._budget.setRange(0, session.budget)

    def set_classes(
        self, classes: Sequence[ClassInfo], keys: Sequence[str], query_type: QueryType
    ) -> None:
        """Show these classes and their keys."""
        self._classes = live_classes(classes)
        self.classes.set_classes(classes, keys)
        self.queue.set_classes(self._classes, bulk=query_type == "dominant")

    def show_query(self, query: Query | None, pause: str, classes: tuple[ClassInfo, ...]) -> None:
        """Show the question, or why there is none (``pause``)."""
        self.classes.setEnabled(query is not None)
        self._accept.setEnabled(query is not None and query.query_type in _ACCEPT_TEXTS)
        if query is None:
            self._back.setVisible(False)
            self._question.setText(self._with_keys(_PAUSES.get(pause, "")))
            self._about.setText("")
            return
        self._question.setText(question(query, classes))
        about = f"{query.region.image} · {query.region.mask.size} px · round {query.round}"
        how = self._with_keys(_INSTRUCTIONS.get(query.query_type, ""))
        if self._types_differ and query.query_type == "dominant":
            how = "Choose one: that is the answer."
        self._about.setText(f"{how}<br>{escape(about)}" if how else escape(about))

    def show_picked(self, replaced: Answer | None, *, out_of_turn: bool) -> None:
        """Say that the query on screen is not the next one, and how to leave it."""
        if replaced is not None:
            was = answer_text(replaced, self._classes)
            self._question.setText(f"Changing your answer: was {was}")
        self._back.setVisible(replaced is not None or out_of_turn)

    def show_n_selected(self, n_selected: int) -> None:
        """Say that the next answer is for all selected regions."""
        if n_selected:
            self._question.setText(f"{n_selected} regions are selected: which class are they all?")

    def show_chosen(self, class_ids: frozenset[int], query_type: QueryType) -> None:
        """Show what has been chosen so far."""
        several = query_type in ("multi-class", "precise")
        self.classes.set_chosen(class_ids, several=several)

    def show_rest(self, name: str | None) -> None:
        """Show the class of a rectangle's pixels outside all polygons."""
        words = "The rest is this class" if name is None else f"The rest is {name}"
        self._rest.set_words(words)
        self._rest.setCheckable(name is not None)
        self._rest.setChecked(name is not None)

    def show_statistics(
        self,
        statistics: AnswerStatistics,
        spent: int,
        budget: int,
        noun: Literal["click", "answer"] = "click",
    ) -> None:
        """Show what there is so far, and what ends the round: clicks, or answers."""
        self.classes.set_counts(statistics.counts)
        self.progress.show_statistics(statistics, self._classes)
        self._budget.setRange(0, budget)
        self._budget.setValue(min(spent, budget))
        words = f"{spent} of {budget} {noun}s"
        if noun == "answer" and spent > budget:  # live, until the last model is done
            words = f"{spent} answers for the next model"
        self._budget.setFormat(words)
        left = max(0, budget - spent)
        by_click = noun == "click"
        pace = statistics.seconds_per_click if by_click else statistics.seconds_per_query
        words = f"{count(statistics.n_queries, 'answer')} in all"
        if left:
            words += f" · {count(left, noun)} to the next model"
            if pace is not None:  # in one line
                words += ", " + f"about {duration(pace * left)}".replace(" ", NO_BREAK)
        self._left.setText(words)

    def show_status(self, words: str) -> None:
        """Show what the model does, whatever tab is open."""
        self._status.setText(words)

    def show_message(self, words: str) -> None:
        """Show a message for some seconds."""
        self._message.show_words(words)


def answer_text(answer: Answer, classes: Sequence[ClassInfo]) -> str:
    """Return an answer in words: the names of its classes, or its outcome."""
    names = [info.name for info in classes if info.id in answer.class_ids]
    return f"<i>{escape(', '.join(names) or answer.outcome)}</i>"


def question(query: Query, classes: tuple[ClassInfo, ...]) -> str:
    """Return the question in words."""
    match query.query_type:
        case "dominant":
            return "Which class is this mostly?"
        case "multi-class":
            return "Which classes are in it?"
        case "precise":
            return "Draw what is in it."
        case "correction":
            known = query.pseudo_label
            if known is None or known == IGNORE or known >= len(classes):
                return "Which class is this pixel?"
            return f"Is this pixel a <i>{escape(classes[known].name)}</i>?"
