"""Connections of an open session: its events, its layers, the viewer's keys and mouse."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPlainTextEdit, QTextEdit

from napari_al.plugin.control.keys import ACTIONS, CLASS_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.plugin.control.keys import ActionName
    from napari_al.plugin.control.open_session import OpenSession
    from napari_al.plugin.widgets.connection_list import ConnectionList

LEFT = 1
LOOKING = ("pan_zoom", "transform")
"""Modes of a layer in which a click changes nothing in it."""
MAX_CLICK_PX = 4
"""Screen pixels that the mouse may move during a click."""
TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
KEYS_OF_USER_LAYERS = frozenset(
    {"Enter", "Backspace", "Escape", "Control-Z", "Control-Shift-Z", "Control-Y"}
)
"""Keys that keep their meaning in a layer of the user's: it is edited and undone with them."""
KEYS_OF_SHAPES = frozenset({"Enter", "Backspace", "Escape"})
"""Keys with which napari closes and deletes polygons; not bound while drawing."""


def connect_session(connections: ConnectionList, opened: OpenSession, viewer: Viewer) -> None:
    """Connect an open session, its layers and the viewer's keys."""
    # psygnal calls an `emit` that is connected itself, to find out its arguments: hence lambdas
    session, display, updates = opened.session.events, opened.display, opened.updates
    training, questions, events = opened.training, opened.questions, opened.events
    connections.connect_all(
        (session.answered, updates.on_records_changed),
        (session.undone, updates.on_records_changed),
        (session.redone, updates.on_records_changed),
        (session.scores_changed, opened.on_scores_changed),
        (session.scores_changed, updates.on_scores_changed),
        (session.round_changed, opened.on_round_changed),
        (session.classes_changed, opened.on_classes_changed),
        (session.unsaved_changed, opened.submission.on_unsaved_changed),
        (session.warned, lambda text: events.told.emit(text)),
        (session.job_progress, lambda progress: events.job_progress.emit(progress)),
        (session.job_finished, opened.on_job_finished),
        (events.query_changed, updates.on_query_changed),
        (questions.answered, opened.on_answered),
        (opened.submission.accepted, opened.on_accepted),
        (training.advanced, opened.on_advanced),
        (training.review_started, opened.on_review_started),
        (display.failed, lambda text: events.told.emit(text)),
        (display.arrived, questions.on_arrived),
        (display.layers.camera.napari.events.zoom, lambda _: display.on_zoomed()),
    )
    actions = key_actions(opened)
    for layer in display.layers.all():
        _connect_layer(connections, opened, actions, layer)
    connections.connect(
        display.layers.added, lambda layer: _connect_layer(connections, opened, actions, layer)
    )
    for layer in viewer.layers:
        _connect_user_layer(connections, actions, layer)
    connections.connect(
        viewer.layers.events.inserted,
        lambda event: _connect_user_layer(connections, actions, event.value),
    )
    connections.append(viewer.mouse_drag_callbacks, partial(_on_pressed, opened))
    for key, action in actions.items():
        connections.bind(viewer, key, action)


def _on_pressed(opened: OpenSession, viewer: Viewer, event: Any) -> Iterator[None]:
    """Join a region on Shift+click, pick one on a click; a drag moves the view."""
    layer = viewer.layers.selection.active
    if "Shift" in event.modifiers:
        opened.questions.on_pressed(event)
        return
    if event.button != LEFT or event.modifiers:
        return
    if layer is not None and str(layer.mode) not in LOOKING:
        return
    pressed_at, position = event.pos, event.position
    yield
    while event.type == "mouse_move":
        yield
    moved_px = max(abs(a - b) for a, b in zip(pressed_at, event.pos, strict=True))
    if moved_px <= MAX_CLICK_PX:
        opened.pick(opened.display.layers.camera.placement.pixel_at(position))


def key_actions(opened: OpenSession) -> dict[str, Callable[[], object]]:
    """Return what each key does while a session is open."""
    questions, display = opened.questions, opened.display
    actions: dict[ActionName, Callable[[], object]] = {
        "accept": questions.accept,
        "skip": partial(questions.answer_without_class, "skipped"),
        "unsure": partial(questions.answer_without_class, "unsure"),
        "ignore": partial(questions.answer_without_class, "ignored"),
        "undo": opened.undo,
        "redo": opened.redo,
        "go_back": opened.go_back,
        "find_class": opened.events.find_class_requested.emit,
        "edit_classes": opened.events.edit_classes_requested.emit,
        "rest": questions.fill_rest,
        "split": questions.split,
        "focus": display.focus,
        "whole_image": display.layers.camera.whole_image,
        "borders": partial(display.toggle, "borders"),
        "prediction": partial(display.toggle, "prediction"),
        "heatmap": partial(display.toggle, "heatmap"),
        "answers": partial(display.toggle, "answers"),
        "brighten": display.layers.toggle_bright,
        "fold": opened.events.fold_requested.emit,
        "help": opened.events.help_requested.emit,
    }
    out = {key: actions[name] for name, action in ACTIONS.items() for key in action.keys}
    out |= {key: partial(questions.press_class_key, key) for key in CLASS_KEYS}
    return {key: partial(_unless_typing, action) for key, action in out.items()}


def _unless_typing(action: Callable[[], object]) -> None:
    """Act on a key, unless a text field has the keyboard focus: some keys pass through those."""
    if not isinstance(QApplication.focusWidget(), TEXT_FIELDS):
        action()


def _connect_user_layer(
    connections: ConnectionList, actions: dict[str, Callable[[], object]], layer: Layer
) -> None:
    """Bind our keys on a layer of the user's: they answer, and never paint, erase or add in it."""
    if "napari_al" not in layer.metadata:
        for key, action in actions.items():
            if key not in KEYS_OF_USER_LAYERS:
                connections.bind(layer, key, action)


def _connect_layer(
    connections: ConnectionList,
    opened: OpenSession,
    actions: dict[str, Callable[[], object]],
    layer: Layer,
) -> None:
    """Bind our keys on a layer of ours: an active layer's own keys come before the viewer's."""
    kind = layer.metadata["napari_al"]
    for key, action in actions.items():
        if kind != "drawing" or key not in KEYS_OF_SHAPES:
            connections.bind(layer, key, action)
    if kind not in ("image", "query", "drawing"):
        connections.connect(layer.events.visible, lambda _: opened.display.on_layer_visible(kind))
