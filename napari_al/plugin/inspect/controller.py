"""Inspecting a project's rounds in one viewer: which round, which image, which overlays.

It knows no widgets; these call its methods and listen to its events. Overlays are computed in the
background (``OverlayRequests``).
"""

from __future__ import annotations

import gc
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal, SignalGroup

from napari_al.plugin.inspect.layer_styles import PREVIEW_KINDS
from napari_al.plugin.inspect.overlay_layers import InspectLayers
from napari_al.plugin.inspect.overlay_requests import OverlayRequests
from napari_al.plugin.inspect.previews import Previews
from napari_al.plugin.layers.layer_kinds import load_layers, load_units
from napari_al.plugin.viewers import is_annotating
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.main_thread import MainThread, timer
from napari_al.session.inspection.inspection import Inspection
from napari_al.session.inspection.overlays import PICTURES, Look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.errors import InputError
    from napari_al.formats.classes import ClassInfo
    from napari_al.session.inspection.inspection import RoundRecord
    from napari_al.session.inspection.region_facts import RegionFacts

POLL_MS = 1500
"""Between polls for new answers and rounds."""
CLICK_PX = 4
"""A press that moves the mouse farther is a drag, not a click."""
INITIALLY_SHOWN = ("queried", "queried_lines")
"""Overlays shown when a project is opened."""


class InspectorEvents(SignalGroup):
    """What views listen to; emitted on the window's thread."""

    opened = Signal()
    closed = Signal()
    classes_changed = Signal()
    """The project's classes were edited, or such an edit was undone."""
    round_changed = Signal(object)
    """A ``RoundRecord``: another round is on screen, or the open one has new answers."""
    image_changed = Signal(str)
    overlays_changed = Signal()
    """An overlay was switched on or off (also in napari's layer list)."""
    overlay_shown = Signal(str, str)
    """Key of an overlay, and "" when it is on screen, or why it cannot be."""
    region_described = Signal(object)
    """``RegionFacts`` of the region that was clicked; None: none."""
    region_clicked = Signal()
    told = Signal(str)
    """A message for the user."""


class Inspector:
    """Shows the rounds of one project at a time in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.events = InspectorEvents()
        self.dispatch = MainThread()
        self.layers = InspectLayers(viewer)
        self.requests = OverlayRequests(self.dispatch)
        self.previews = Previews(self.layers, self.requests)
        self.inspection: Inspection | None = None
        self.record: RoundRecord | None = None
        self.image = ""
        self.pixel_rc: tuple[int, int] | None = None
        self.shown_keys: set[str] = set()
        self._number = 0  # of the round that was requested last
        self._image_shown = ""
        self._background = Background(self.dispatch)
        self._connections = ConnectionList()
        self._poll = timer(POLL_MS, self._look_for_new, repeat=True)

    # ---- open, close

    def open(self, path: Path) -> None:
        """Show the project in a folder."""

        def then(adopt_units: Callable[[], None]) -> None:
            adopt_units()
            self._open(path)

        if self.inspection is None:
            self._background.request("open", _load_ahead, then, self._on_failed)
        else:
            self._open(path)

    def _open(self, path: Path) -> None:
        work, close = partial(Inspection, path), Inspection.close
        self._background.request("open", work, self._on_opened, self._on_failed, close)

    def _on_opened(self, inspection: Inspection) -> None:
        self.close()
        gc.freeze()  # a collection among napari's objects would stop everything for 0.2 s
        self.inspection = inspection
        self.layers.open()
        self.layers.set_classes(inspection.classes)
        self.shown_keys = set(INITIALLY_SHOWN)
        self._connect()
        rounds = inspection.rounds
        self.image = inspection.data.train[0]
        self.events.opened.emit()
        self.go_to_round(rounds[-2] if len(rounds) > 1 else rounds[-1])
        self._poll.start()

    def _connect(self) -> None:
        connections, viewer, layers = self._connections, self.viewer, self.layers
        connections.connect(viewer.layers.events.removed, lambda e: self.on_layer_removed(e.value))
        connections.append(viewer.mouse_drag_callbacks, lambda _, event: self.on_pressed(event))
        connections.connect(
            layers.base.camera.napari.events.zoom, lambda _: layers.base.fit_lines()
        )
        connections.connect(self.requests.rebuilt, self.on_rebuilt)

        def follow(key: str, layer: Layer) -> None:
            connections.connect(layer.events.visible, lambda _: self.on_layer_visible(key))

        connections.connect(layers.added, follow)

    def close(self) -> None:
        """Close the project and remove its layers; may be called again."""
        inspection, self.inspection = self.inspection, None
        if inspection is None:
            return
        self._poll.stop()
        self._background.drop_all()
        self.requests.reset()
        self._connections.close()
        gc.freeze()  # napari collects garbage whenever a layer is removed
        self.layers.clear()
        if not is_annotating():
            gc.unfreeze()
        threading.Thread(target=inspection.close).start()  # a thread may still be reading
        self.record, self.pixel_rc = None, None
        self.image = self._image_shown = ""
        self.shown_keys.clear()
        self.previews.close()
        self.events.closed.emit()

    def end(self) -> None:
        """Close for good, with its widget."""
        self.dispatch.close()
        self.close()
        self._background.close()
        self.requests.close()

    # ---- which round, which image

    def go_to_round(self, number: int) -> None:
        """Show another round."""
        self._number = number
        self.requests.reset()
        self._read()

    def _read(self) -> None:
        inspection = self.inspection
        if inspection is not None:
            work = partial(inspection.record, self._number)
            self._background.request("record", work, self._on_record, self._on_failed)

    def _on_record(self, record: RoundRecord) -> None:
        if self.record is None and record.answers:  # begin with an image that has most of them
            asked = [answer.query.region.image for answer in record.answers]
            self.image = max(dict.fromkeys(asked), key=asked.count)
        self.record = record
        self.events.round_changed.emit(record)
        if self._image_shown == self.image:
            self.refresh()
        else:
            self.show_image(self.image)

    def show_image(self, image: str) -> None:
        """Show another image."""
        inspection = self.inspection
        if inspection is None:
            return
        self.image, self.pixel_rc = image, None
        self.requests.show_image(inspection, image)
        self.layers.mark(None)
        self.events.region_described.emit(None)
        self.events.image_changed.emit(image)

        def work() -> NDArray[np.uint8]:
            from napari_al.plugin.layers.picture_store import displayed

            return displayed(inspection.data.image(image))

        self._background.request("image", work, self._on_image, self._on_failed)

    def _on_image(self, picture: NDArray[np.uint8]) -> None:
        self._image_shown = self.image
        self.layers.show_image(picture)
        self.refresh()

    def refresh(self) -> None:
        """Request everything that is shown of this image in this round."""
        look = self._look
        if look is None:
            return
        for key in sorted(self.shown_keys):
            self._draw(key)
        if self.pixel_rc is not None:
            self.pick(self.pixel_rc)
        self.previews.show(look)
        self.events.overlays_changed.emit()

    @property
    def _look(self) -> Look | None:
        if self.inspection is None or self.record is None:
            return None
        return Look(self.inspection, self.record, self.image)

    # ---- new answers and rounds

    def _look_for_new(self) -> None:
        inspection = self.inspection
        if inspection is None or self._background.is_busy or self.requests.is_busy:
            return  # do not restart slow requests over and over
        then = partial(self._on_polled, inspection.rounds, inspection.config.classes)
        self._background.request("poll", inspection.refresh, then, self._on_failed)

    def _on_polled(
        self, before: tuple[int, ...], classes: tuple[ClassInfo, ...], has_new: bool
    ) -> None:
        inspection = self.inspection
        if not has_new or inspection is None:
            return
        if inspection.config.classes != classes:
            self.layers.set_classes(inspection.classes)
            self.events.classes_changed.emit()
        rounds, number = inspection.rounds, self._number
        if len(rounds) > len(before) and number in before[-2:]:  # stay at the end
            self.go_to_round(rounds[before.index(number) - len(before)])
        else:
            self._read()

    def on_rebuilt(self, reason: str) -> None:
        """Request everything again after the rebuild job; ``reason``: why it failed, or ""."""
        if reason:
            self.events.told.emit(reason)
        self.refresh()

    def _on_failed(self, error: InputError | OSError) -> None:
        self.events.told.emit(str(error))

    # ---- pictures

    def set_shown(self, key: str, shown: bool) -> None:
        """Show or hide an overlay."""
        if shown == (key in self.shown_keys):
            return
        if shown:
            self.shown_keys.add(key)
            self._draw(key)
        else:
            self.shown_keys.discard(key)
            self.requests.drop(key)
            self.layers.hide(key)
        self.events.overlays_changed.emit()

    def _draw(self, key: str) -> None:
        look = self._look
        if look is None:
            return

        def show(picture: NDArray[Any]) -> None:
            self.layers.show(key, picture)
            self.events.overlay_shown.emit(key, "")

        def explain(reason: str) -> None:
            self.layers.hide(key)
            self.events.overlay_shown.emit(key, reason)

        self.requests.request(key, look, PICTURES[key].make, show, explain)

    def on_layer_visible(self, key: str) -> None:
        """Take over that the user has shown or hidden a layer in napari's list."""
        if not self.layers.is_changing and key not in PREVIEW_KINDS:
            self.set_shown(key, self.layers.picture(key) is not None)

    def on_layer_removed(self, layer: Layer) -> None:
        """Hide the overlay whose layer the user has removed."""
        key = self.layers.key_of(layer)
        self.layers.forget(layer)
        if key in self.shown_keys:
            self.shown_keys.discard(key)
            self.events.overlays_changed.emit()

    # ---- a region

    def on_pressed(self, event: Any) -> Iterator[None]:
        """Describe the region that is clicked; dragging moves the image."""
        pressed_at = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        is_plain = event.button == 1 and not len(event.modifiers)
        if is_plain and np.abs(np.array(event.pos) - pressed_at).max() <= CLICK_PX:
            self.events.region_clicked.emit()
            self.pick(self.layers.base.camera.placement.pixel_at(event.position))

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Describe the region at a pixel."""
        look = self._look
        if look is None:
            return
        self.pixel_rc = pixel_rc

        def make(look: Look) -> RegionFacts:
            from napari_al.session.inspection.region_facts import region_facts

            return region_facts(look, pixel_rc)

        self.requests.request(
            "region", look, make, self._on_described, lambda _: self._on_no_region()
        )

    def _on_described(self, facts: RegionFacts) -> None:
        self.layers.mark(facts.region.mask)
        self.events.region_described.emit(facts)
        if facts.missing and self.pixel_rc is not None and self.inspection is not None:
            again = partial(self.pick, self.pixel_rc)
            self.requests.rebuild(facts.missing[0], self.inspection, "region", again)

    def _on_no_region(self) -> None:
        self.pixel_rc = None
        self.layers.mark(None)
        self.events.region_described.emit(None)


def _load_ahead() -> Callable[[], None]:
    """Import what the first image on screen would have to wait for."""
    load_layers()
    return load_units()
