"""Binds the keys in force while a session is open: on the viewer and on its layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPlainTextEdit, QTextEdit

from napari_al.plugin.control.keys import ACTIONS
from napari_al.plugin.widgets.connection_list import ConnectionList

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.plugin.control.keys import ActionName
    from napari_al.plugin.control.open_session import OpenSession

TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
KEYS_OF_USER_LAYERS = frozenset(
    {"Enter", "Backspace", "Escape", "Control-Z", "Control-Shift-Z", "Control-Y"}
)
"""Keys that keep their meaning in a layer of the user's: it is edited and undone with them."""
KEYS_OF_SHAPES = frozenset({"Enter", "Backspace", "Escape"})
"""Keys with which napari closes and deletes polygons; not bound while drawing."""


class KeyBindings:
    """Keys of one open session; they are bound anew when the user changes them.

    An active layer's own keys come before the viewer's, so ours are bound on every layer.
    """

    def __init__(self, opened: OpenSession, viewer: Viewer) -> None:
        self._opened, self._viewer = opened, viewer
        self._bound, self._connections = ConnectionList(), ConnectionList()
        self._connections.connect_all(
            (opened.display.layers.added, self._bind_on),
            (viewer.layers.events.inserted, self._on_inserted),
            (opened.keys.changed, self._on_changed),
        )
        self._bind()

    def close(self) -> None:
        """Give the viewer and the layers their own keys back."""
        self._connections.close()
        self._bound.close()

    def _bind(self) -> None:
        self._actions = key_actions(self._opened)
        for layer in (*self._opened.display.layers.all(), *self._users_layers()):
            self._bind_on(layer)
        for key, action in self._actions.items():
            self._bound.bind(self._viewer, key, action)

    def _users_layers(self) -> list[Layer]:
        return [layer for layer in self._viewer.layers if "napari_al" not in layer.metadata]

    def _bind_on(self, layer: Layer) -> None:
        """Bind our keys on a layer: on one of the user's they never paint, erase or add in it."""
        kind = layer.metadata.get("napari_al")
        kept = KEYS_OF_USER_LAYERS if kind is None else KEYS_OF_SHAPES if kind == "drawing" else ()
        for key, action in self._actions.items():
            if key not in kept:
                self._bound.bind(layer, key, action)

    def _on_inserted(self, event: Any) -> None:
        if "napari_al" not in event.value.metadata:  # ours are bound when they are made
            self._bind_on(event.value)

    def _on_changed(self) -> None:
        self._bound.close()
        self._bind()
        opened = self._opened
        opened.questions.set_classes(opened.session.config.classes)
        opened.events.classes_changed.emit()  # their keys, too, are shown again


def key_actions(opened: OpenSession) -> dict[str, Callable[[], object]]:
    """Return what each key does while a session is open."""
    questions, display, keys = opened.questions, opened.display, opened.keys
    actions: dict[ActionName, Callable[[], object]] = {
        "accept": questions.accept,
        "skip": partial(questions.answer_without_class, "skipped"),
        "unsure": partial(questions.answer_without_class, "unsure"),
        "ignore": partial(questions.answer_without_class, "ignored"),
        "undo": opened.queries.undo,
        "redo": opened.queries.redo,
        "go_back": opened.queries.go_back,
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
    out = {key: actions[name] for name in ACTIONS for key in keys.of(name)}
    out |= {key: partial(questions.press_class_key, key) for key in keys.free}
    return {key: partial(_unless_typing, action) for key, action in out.items()}


def _unless_typing(action: Callable[[], object]) -> None:
    """Act on a key, unless a text field has the keyboard focus: some keys pass through those."""
    if not isinstance(QApplication.focusWidget(), TEXT_FIELDS):
        action()
