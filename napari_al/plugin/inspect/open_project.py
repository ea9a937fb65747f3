"""One open project in the inspect dock: which round, which image, which overlays and region.

Overlays are computed in the background (``OverlayRequests``); a timer polls for new answers and
rounds, as somebody may be annotating in the project.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError
from napari_al.plugin.inspect.layer_styles import PREVIEW_KINDS
from napari_al.plugin.inspect.overlay_requests import OverlayRequests
from napari_al.plugin.inspect.previews import Previews
from napari_al.plugin.layers.channels_file import read_channels
from napari_al.plugin.layers.picture_behind import block_beside
from napari_al.plugin.layers.placement import Placements
from napari_al.plugin.layers.placement_file import read_placements
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.connection_list import ConnectionList
from napari_al.plugin.widgets.main_thread import timer
from napari_al.session.inspection.overlays import PICTURES, RoundImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.inspect.controller import Inspector
    from napari_al.plugin.layers.channel_view import ChannelView
    from napari_al.plugin.layers.json_file import Content
    from napari_al.session.inspection.inspection import Inspection, RoundRecord
    from napari_al.session.inspection.region_facts import RegionFacts

POLL_MS = 1500
"""Between polls for new answers and rounds."""
CLICK_PX = 4
"""A press that moves the mouse farther is a drag, not a click."""
INITIALLY_SHOWN = ("queried", "queried_lines")
"""Overlays shown when a project is opened."""


class OpenProject:
    """Shows an inspection in a viewer's layers.

    Parameters
    ----------
    inspector : Inspector
        Its viewer, layers, events and dispatch are used.
    inspection : Inspection
        Closed with this.
    record : RoundRecord
        The round to begin with.

    Attributes
    ----------
    image : str
    pixel_rc : tuple of int or None
        Of the region that was clicked.
    shown_keys : set of str
        Overlays that are switched on.
    """

    def __init__(self, inspector: Inspector, inspection: Inspection, record: RoundRecord) -> None:
        self.inspection, self.record = inspection, record
        self._layers, self._events = inspector.layers, inspector.events
        self._number = record.number  # of the round that was requested last
        self.image, self._loaded_image = _image_with_most_answers(inspection, record), ""
        self.pixel_rc: tuple[int, int] | None = None
        self._view: tuple[ChannelView, ...] | None = None
        self.shown_keys = set(INITIALLY_SHOWN)
        self.requests = OverlayRequests(inspector.dispatch)
        self.previews = Previews(self._layers, self.requests, self._look)
        self._background = Background(inspector.dispatch)
        self._poll = timer(POLL_MS, self._look_for_new, repeat=True)
        self._connections = ConnectionList()
        self._layers.set_classes(inspection.classes)
        self._connect(inspector.viewer)

    def _connect(self, viewer: Any) -> None:
        connections, layers = self._connections, self._layers
        connections.connect(viewer.layers.events.removed, lambda e: self.on_layer_removed(e.value))
        connections.append(viewer.mouse_drag_callbacks, lambda _, event: self.on_pressed(event))
        zoom = layers.base.camera.napari.events.zoom
        connections.connect(zoom, lambda _: layers.base.refit())
        connections.connect(self.requests.rebuilt, self.on_rebuilt)

        def follow(key: str, layer: Layer) -> None:
            connections.connect(layer.events.visible, lambda _: self.on_layer_visible(key))

        connections.connect(layers.added, follow)

    def start(self) -> None:
        """Show the first round; call when views are connected."""
        data = self.inspection.data
        choice = self._read_file(
            lambda: read_channels(self.inspection.project.path, data.n_channels)
        )
        self._view = None if choice is None else choice.view
        placements = self._read_file(lambda: read_placements(data.path)) or Placements()
        self._layers.open(data, placements)
        self._events.round_changed.emit(self.record)
        self.show_image(self.image)
        self._poll.start()

    def _read_file(self, read: Callable[[], Content | None]) -> Content | None:
        """Return what a file of the window's holds; None, and a message, if it is damaged."""
        try:
            return read()
        except InputError as error:
            self._events.report(error)
            return None

    def close(self) -> None:
        """End the threads and remove the layers."""
        self._poll.stop()
        self._background.close()
        self.requests.close()
        self._connections.close()
        self._layers.clear()
        threading.Thread(target=self.inspection.close).start()  # it waits for threads that read

    # ---- which round, which image

    def go_to_round(self, number: int) -> None:
        """Show another round."""
        self._number = number
        self.requests.reset()
        self._read()

    def _read(self) -> None:
        work = partial(self.inspection.record, self._number)
        self._background.request("record", work, self._on_record, self._events.report)

    def _on_record(self, record: RoundRecord) -> None:
        self.record = record
        self._events.round_changed.emit(record)
        if self._loaded_image == self.image:
            self.refresh()
        else:
            self.show_image(self.image)

    def show_image(self, image: str) -> None:
        """Show another image."""
        self.image, self.pixel_rc = image, None
        self.requests.show_image(self.inspection, image)
        self._layers.mark(None)
        self._events.region_described.emit(None)
        self._events.image_changed.emit(image)

        def work() -> NDArray[Any]:
            from napari_al.plugin.layers.picture_store import displayed

            data = self.inspection.data
            return displayed(data.image(image), data.rules.ranges, self._view)

        self._background.request("image", work, self._on_image, self._events.report)

    def _on_image(self, picture: NDArray[Any]) -> None:
        self._loaded_image = self.image
        data, background = self.inspection.data, self._background
        self._layers.show_image(data, self.image, picture, background, self._view)
        self.refresh()

    def refresh(self) -> None:
        """Request everything that is shown of this image in this round."""
        for key in sorted(self.shown_keys):
            self._request_overlay(key)
        if self.pixel_rc is not None:
            self.pick(self.pixel_rc)
        self.previews.show(self._look)
        self._events.overlays_changed.emit()

    @property
    def _look(self) -> RoundImage:
        return RoundImage(self.inspection, self.record, self.image)

    # ---- new answers and rounds

    def _look_for_new(self) -> None:
        if self._background.is_busy or self.requests.is_busy:
            return  # do not restart slow requests over and over
        inspection = self.inspection
        then = partial(self._on_polled, inspection.rounds, inspection.config.classes)
        self._background.request("poll", inspection.refresh, then, self._events.report)

    def _on_polled(
        self, before: tuple[int, ...], classes: tuple[ClassInfo, ...], has_new: bool
    ) -> None:
        if not has_new:
            return
        if self.inspection.config.classes != classes:
            self._layers.set_classes(self.inspection.classes)
            self._events.classes_changed.emit()
        rounds, number = self.inspection.rounds, self._number
        if len(rounds) > len(before) and number in before[-2:]:  # stay at the end
            self.go_to_round(rounds[before.index(number) - len(before)])
        else:
            self._read()

    def on_rebuilt(self, reason: str) -> None:
        """Request everything again after the rebuild job; ``reason``: why it failed, or ""."""
        if reason:
            self._events.told.emit(reason)
        self.refresh()

    # ---- overlays

    def set_shown(self, key: str, shown: bool) -> None:
        """Show or hide an overlay."""
        if shown == (key in self.shown_keys):
            return
        if shown:
            self.shown_keys.add(key)
            self._request_overlay(key)
        else:
            self.shown_keys.discard(key)
            self.requests.drop(key)
            self._layers.hide(key)
        self._events.overlays_changed.emit()

    def _request_overlay(self, key: str) -> None:
        def show(picture: NDArray[Any]) -> None:
            self._layers.show(key, picture)
            self._events.overlay_shown.emit(key, "")

        def explain(reason: str) -> None:
            self._layers.hide(key)
            self._events.overlay_shown.emit(key, reason)

        self.requests.request(key, self._look, PICTURES[key].make, show, explain)

    def on_layer_visible(self, key: str) -> None:
        """Take over that the user has shown or hidden a layer in napari's list."""
        if not self._layers.is_changing and key not in PREVIEW_KINDS:
            self.set_shown(key, self._layers.picture(key) is not None)

    def on_layer_removed(self, layer: Layer) -> None:
        """Hide the overlay whose layer the user has removed."""
        key = self._layers.key_of(layer)
        self._layers.forget(layer)
        if key in self.shown_keys:
            self.shown_keys.discard(key)
            self._events.overlays_changed.emit()

    # ---- a region

    def on_pressed(self, event: Any) -> Iterator[None]:
        """Describe the region that is clicked, or go to the block; dragging moves the image."""
        pressed_at = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        is_plain = event.button == 1 and not len(event.modifiers)
        if is_plain and np.abs(np.array(event.pos) - pressed_at).max() <= CLICK_PX:
            self._on_clicked(self._layers.base.camera.placement.pixel_at(event.position))

    def _on_clicked(self, pixel_rc: tuple[int, int]) -> None:
        other = block_beside(self.inspection.data, self.image, pixel_rc)
        if other is not None:
            self.show_image(other)
            return
        self._events.region_clicked.emit()
        self.pick(pixel_rc)

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Describe the region at a pixel."""
        self.pixel_rc = pixel_rc

        def make(look: RoundImage) -> RegionFacts:
            from napari_al.session.inspection.region_facts import region_facts

            return region_facts(look, pixel_rc)

        def show(facts: RegionFacts) -> None:
            self._layers.mark(facts.region.mask)
            self._events.region_described.emit(facts)
            if facts.missing:
                again = partial(self.pick, pixel_rc)
                self.requests.rebuild(facts.missing[0], self.inspection, "region", again)

        def show_none(_: str) -> None:
            self.pixel_rc = None
            self._layers.mark(None)
            self._events.region_described.emit(None)

        self.requests.request("region", self._look, make, show, show_none)


def _image_with_most_answers(inspection: Inspection, record: RoundRecord) -> str:
    """Return the image to begin with; the first one if the round has no answers."""
    asked = [answer.query.region.image for answer in record.answers]
    return max(dict.fromkeys(asked), key=asked.count) if asked else inspection.data.train[0]
