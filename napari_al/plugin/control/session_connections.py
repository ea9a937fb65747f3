"""Connections of an open session: its events, its layers, the viewer's keys and mouse."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_al.plugin.control.keys import ACTIONS, CLASS_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_al.plugin.control.keys import ActionName
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.widgets.connection_list import ConnectionList

KEYS_OF_SHAPES = frozenset({"Enter", "Backspace"})
"""Keys with which napari closes and deletes polygons; not bound while drawing."""


def link_viewer(links: ConnectionList, bench: Workbench) -> None:
    """Connect what concerns the viewer whether a session is open or not."""
    removed = bench.viewer.layers.events.removed
    links.connect(removed, lambda event: bench.on_layer_removed(event.value))
    links.connect(bench.stage.failed, bench.events.told.emit)


def link_workbench(links: ConnectionList, bench: Workbench) -> None:
    """Connect an open session, its layers and the viewer's keys with the workbench."""
    session = bench.session
    if session is None:
        raise RuntimeError("link_workbench needs an open session")
    events, upkeep, layers = session.events, bench.upkeep, bench.stage.layers
    for signal, slot in (
        (events.answered, upkeep.on_changed),
        (events.undone, upkeep.on_changed),
        (events.redone, upkeep.on_changed),
        (events.scores_changed, bench.on_scores_changed),
        (events.scores_changed, upkeep.on_scores_changed),
        (events.round_changed, bench.on_round_changed),
        (events.classes_changed, bench.on_classes_changed),
        (events.unsaved_changed, bench.handing_in.on_unsaved_changed),
        (events.warned, lambda words: bench.events.told.emit(words)),
        (events.job_progress, bench.trainer.on_job_progress),
        (events.job_finished, bench.on_job_finished),
        (bench.events.asked, upkeep.on_asked),
        (bench.stage.arrived, bench.answering.on_arrived),
        (layers.camera.napari.events.zoom, lambda _: bench.stage.on_zoomed()),
    ):
        links.connect(signal, slot)
    for layer in layers.all():
        _link_layer(links, bench, layer)
    links.connect(layers.added, lambda layer: _link_layer(links, bench, layer))
    callbacks = bench.viewer.mouse_drag_callbacks
    links.append(callbacks, lambda _, event: bench.answering.on_pressed(event))
    for key, action in key_actions(bench).items():
        links.bind(bench.viewer, key, action)


def key_actions(bench: Workbench) -> dict[str, Callable[[], object]]:
    """Return what each key does while a session is open."""
    answering = bench.answering
    does: dict[ActionName, Callable[[], object]] = {
        "accept": answering.accept,
        "skip": partial(answering.give_up, "skipped"),
        "unsure": partial(answering.give_up, "unsure"),
        "ignore": partial(answering.give_up, "ignored"),
        "undo": bench.undo,
        "redo": bench.redo,
        "find_class": bench.events.find_class.emit,
        "edit_classes": bench.events.edit_classes.emit,
        "rest": answering.fill_rest,
        "split": answering.split,
        "focus": bench.stage.focus,
        "whole_image": bench.stage.layers.camera.whole_image,
        "borders": partial(bench.stage.toggle, "borders"),
        "prediction": partial(bench.stage.toggle, "prediction"),
        "heatmap": partial(bench.stage.toggle, "heatmap"),
        "answers": partial(bench.stage.toggle, "answers"),
        "help": bench.events.help.emit,
    }
    out = {key: does[name] for name, action in ACTIONS.items() for key in action.keys}
    return out | {key: partial(answering.press, key) for key in CLASS_KEYS}


def _link_layer(links: ConnectionList, bench: Workbench, layer: Layer) -> None:
    """Bind our keys on a layer of ours (an active layer's own keys come before the viewer's)."""
    kind = layer.metadata["napari_al"]
    for key, action in key_actions(bench).items():
        if kind != "drawing" or key not in KEYS_OF_SHAPES:
            links.bind(layer, key, action)
    if kind not in ("image", "query", "drawing"):
        links.connect(layer.events.visible, lambda _: bench.stage.on_layer_visible(kind))
