"""Every connection of the plugin, in lists that can take them all down.

Lists: what concerns a viewer (`link_viewer`), what a session needs in it (`link_workbench`, lives
as long as the session is open), and what a dock widget shows of it (`link_dock`, lives as long as
the widget); so for a project that is only looked at (`link_inspector`, `link_inspect_dock`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_al.plugin.annotate.keys import ACTIONS, CLASS_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_al.plugin.annotate.keys import ActionName
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.dock import ActiveLearning
    from napari_al.plugin.inspect.controller import Inspector
    from napari_al.plugin.inspect.dock import InspectDock

KEYS_OF_SHAPES = frozenset({"Enter", "Backspace"})
"""Keys with which napari closes and deletes polygons; not ours while drawing."""


class Links:
    """Connections and key bindings, all ended by `close`."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], object]] = []

    def connect(self, signal: Any, slot: Callable[..., object]) -> None:
        """Connect a signal of psygnal, Qt or napari."""
        signal.connect(slot)
        self._ends.append(lambda: signal.disconnect(slot))

    def bind(self, provider: Any, key: str, action: Callable[[], object]) -> None:
        """Bind a key of a viewer or a layer; what was bound before comes back in the end."""
        before = provider.bind_key(key, lambda _: action(), overwrite=True)
        self._ends.append(lambda: provider.bind_key(key, before, overwrite=True))

    def append(self, callbacks: list[Any], callback: Any) -> None:
        """Add a callback to a list of napari's."""
        callbacks.append(callback)
        self._ends.append(lambda: callbacks.remove(callback) if callback in callbacks else None)

    def close(self) -> None:
        """End everything, the newest first; may be called again."""
        while self._ends:
            end = self._ends.pop()
            with suppress(RuntimeError, TypeError):  # Qt has deleted one of the two
                end()

    def __len__(self) -> int:
        return len(self._ends)


def link_viewer(links: Links, bench: Workbench) -> None:
    """Connect what concerns the viewer whether a session is open or not."""
    removed = bench.viewer.layers.events.removed
    links.connect(removed, lambda event: bench.on_layer_removed(event.value))


def link_workbench(links: Links, bench: Workbench) -> None:
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


def _link_layer(links: Links, bench: Workbench, layer: Layer) -> None:
    """Bind our keys on a layer of ours (an active layer's own keys come before the viewer's)."""
    kind = layer.metadata["napari_al"]
    for key, action in key_actions(bench).items():
        if kind != "drawing" or key not in KEYS_OF_SHAPES:
            links.bind(layer, key, action)
    if kind not in ("image", "query", "drawing"):
        links.connect(layer.events.visible, lambda _: bench.stage.on_layer_visible(kind))


def link_inspector(links: Links, inspector: Inspector) -> None:
    """Connect the layers and the mouse of a viewer in which a project is looked at."""
    viewer, layers = inspector.viewer, inspector.layers
    links.connect(
        viewer.layers.events.removed, lambda event: inspector.on_layer_removed(event.value)
    )
    links.append(viewer.mouse_drag_callbacks, lambda _, event: inspector.on_pressed(event))
    links.connect(layers.base.camera.napari.events.zoom, lambda _: layers.base.fit_lines())
    links.connect(inspector.maker.remade, inspector.on_remade)

    def follow(key: str, layer: Layer) -> None:
        links.connect(layer.events.visible, lambda _: inspector.on_layer_visible(key))

    links.connect(layers.added, follow)


def link_inspect_dock(links: Links, dock: InspectDock) -> None:
    """Connect a widget with what it shows of a project, both ways."""
    inspector, events, tries = dock.inspector, dock.inspector.events, dock.inspector.tries
    for signal, slot in (
        (events.opened, dock.on_opened),
        (events.closed, dock.on_closed),
        (events.classes_changed, dock.on_classes_changed),
        (events.moved, dock.on_moved),
        (events.image_changed, dock.bar.show_image),
        (events.wanted_changed, dock.on_wanted_changed),
        (events.drawn, dock.pictures.show_reason),
        (events.described, dock.region.show_facts),
        (events.picked, dock.on_picked),
        (tries.merged, dock.tries.show_merging),
        (tries.cut, dock.tries.show_cutting),
        (tries.compared, dock.tries.show_comparison),
        (inspector.maker.progressed, dock.bar.show_progress),
        (events.told, dock.bar.show_message),
        (dock.bar.folder_chosen, dock.open),
        (dock.bar.round_chosen, inspector.move_to),
        (dock.bar.image_chosen, inspector.show_image),
        (dock.bar.stop_wanted, inspector.maker.give_up),
        (dock.pictures.wanted, inspector.set_wanted),
        (dock.region.pixel_chosen, inspector.pick),
        (dock.tries.merging_wanted, tries.merge),
        (dock.tries.cutting_wanted, tries.cut_into),
        (dock.tries.acquisition_wanted, tries.ask_by),
        (dock.tries.ended, tries.end),
        (inspector.viewer.events.theme, dock.on_theme),
        (inspector.viewer.layers.events.inserted, dock.on_layer_inserted),
    ):
        links.connect(signal, slot)


def link_dock(links: Links, dock: ActiveLearning) -> None:
    """Connect a dock widget with its viewer's workbench, both ways."""
    _link_workbench_to_dock(links, dock)
    _link_start_page(links, dock)
    _link_annotate_page(links, dock)
    links.connect(dock.viewer.events.theme, dock.on_theme)


def _link_workbench_to_dock(links: Links, dock: ActiveLearning) -> None:
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
        (events.image_ready, dock.on_image_ready),
        (events.told, dock.on_told),
        (events.find_class, page.classes.find),
        (events.edit_classes, dock.edit_classes),
        (events.help, dock.toggle_help),
        (events.view_changed, dock.on_view_changed),
        (dock.bench.preview.cut, dock.start.regions.show_cut),
        (dock.bench.preview.failed, dock.start.show_message),
    ):
        links.connect(signal, slot)


def _link_start_page(links: Links, dock: ActiveLearning) -> None:
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


def _link_annotate_page(links: Links, dock: ActiveLearning) -> None:
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
