"""Connections of an open session: its events, its layers, the viewer's mouse."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.plugin.control.open_session import OpenSession
    from napari_al.plugin.widgets.connection_list import ConnectionList

LEFT = 1
LOOKING = ("pan_zoom", "transform")
"""Modes of a layer in which a click changes nothing in it."""
MAX_CLICK_PX = 4
"""Screen pixels that the mouse may move during a click."""


def connect_session(connections: ConnectionList, opened: OpenSession, viewer: Viewer) -> None:
    """Connect an open session, its layers and the viewer's mouse."""
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
        (questions.answered, opened.queries.on_answered),
        (opened.submission.accepted, opened.queries.on_accepted),
        (training.advanced, opened.queries.on_advanced),
        (training.review_started, opened.queries.on_review_started),
        (display.failed, lambda text: events.told.emit(text)),
        (display.arrived, questions.on_arrived),
        (display.layers.camera.napari.events.zoom, lambda _: display.on_zoomed()),
    )
    for layer in display.layers.all():
        _connect_layer(connections, opened, layer)
    connections.connect(
        display.layers.added, lambda layer: _connect_layer(connections, opened, layer)
    )
    connections.append(viewer.mouse_drag_callbacks, partial(_on_pressed, opened))


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
        opened.queries.pick(opened.display.layers.camera.placement.pixel_at(position))


def _connect_layer(connections: ConnectionList, opened: OpenSession, layer: Layer) -> None:
    """Follow the eye of one of our layers in napari's layer list."""
    kind = layer.metadata["napari_al"]
    if kind not in ("image", "query", "drawing"):
        connections.connect(layer.events.visible, lambda _: opened.display.on_layer_visible(kind))
