"""Looking at a project's rounds in one viewer: which round, which image, which pictures.

It knows no widgets; they call its methods and listen to its events. What is shown is made in
threads (``maker.py``), the newest wish first.
"""

from __future__ import annotations

import gc
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal, SignalGroup

from napari_al.plugin.inspect.layer_styles import TRIES
from napari_al.plugin.inspect.overlay_cache import Maker
from napari_al.plugin.inspect.overlay_layers import InspectLayers
from napari_al.plugin.inspect.previews import Tries
from napari_al.plugin.layers.layer_kinds import load_layers, load_units
from napari_al.plugin.viewers import is_annotating
from napari_al.plugin.widgets.background import Latest
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
"""Between two looks for new answers and rounds."""
CLICK_PX = 4
"""A mouse that moves farther while it is pressed drags."""
AT_FIRST = ("queried", "queried_lines")
"""Pictures shown when a project is opened."""


class InspectorEvents(SignalGroup):
    """What views listen to; all on the window's thread."""

    opened = Signal()
    closed = Signal()
    classes_changed = Signal()
    """The project's classes were edited, or such an edit was undone."""
    moved = Signal(object)
    """A ``RoundRecord``: another round is on screen, or the open one has new answers."""
    image_changed = Signal(str)
    wanted_changed = Signal()
    """A picture is wanted, or no longer (also by napari's layer list)."""
    drawn = Signal(str, str)
    """A picture is on screen ("" follows), or cannot be, and why."""
    described = Signal(object)
    """``RegionFacts`` of the region that was clicked; None: none."""
    picked = Signal()
    """A region was clicked in the picture."""
    told = Signal(str)
    """A sentence for the person at the screen."""


class Inspector:
    """One viewer's look at a project.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.events = InspectorEvents()
        self.dispatch = MainThread()
        self.layers = InspectLayers(viewer)
        self.maker = Maker(self.dispatch)
        self.tries = Tries(self.layers, self.maker)
        self.inspection: Inspection | None = None
        self.record: RoundRecord | None = None
        self.image = ""
        self.pixel_rc: tuple[int, int] | None = None
        self.wanted: set[str] = set()
        self._number = 0  # of the round that was wished for last
        self._image_shown = ""
        self._latest = Latest(self.dispatch)
        self._links = ConnectionList()
        self._poll = timer(POLL_MS, self._look_for_new, repeat=True)

    # ---- open, close

    def open(self, path: Path) -> None:
        """Look at the project in a folder."""

        def then(adopt_units: Callable[[], None]) -> None:
            adopt_units()
            self._open(path)

        if self.inspection is None:
            self._latest.ask("open", _load_ahead, then, self._on_failed)
        else:
            self._open(path)

    def _open(self, path: Path) -> None:
        work, unheard = partial(Inspection, path), Inspection.close
        self._latest.ask("open", work, self._on_opened, self._on_failed, unheard)

    def _on_opened(self, inspection: Inspection) -> None:
        self.close()
        gc.freeze()  # or looking for garbage among napari's objects stops all for 0.2 s at times
        self.inspection = inspection
        self.layers.open()
        self.layers.set_classes(inspection.classes)
        self.wanted = set(AT_FIRST)
        self._connect()
        rounds = inspection.rounds
        self.image = inspection.data.train[0]
        self.events.opened.emit()
        self.move_to(rounds[-2] if len(rounds) > 1 else rounds[-1])
        self._poll.start()

    def _connect(self) -> None:
        links, viewer, layers = self._links, self.viewer, self.layers
        links.connect(viewer.layers.events.removed, lambda e: self.on_layer_removed(e.value))
        links.append(viewer.mouse_drag_callbacks, lambda _, event: self.on_pressed(event))
        links.connect(layers.base.camera.napari.events.zoom, lambda _: layers.base.fit_lines())
        links.connect(self.maker.remade, self.on_remade)

        def follow(key: str, layer: Layer) -> None:
            links.connect(layer.events.visible, lambda _: self.on_layer_visible(key))

        links.connect(layers.added, follow)

    def close(self) -> None:
        """Let go of the project and take its layers away; may be called again."""
        inspection, self.inspection = self.inspection, None
        if inspection is None:
            return
        self._poll.stop()
        self._latest.drop_all()
        self.maker.start_over()
        self._links.close()
        gc.freeze()  # napari looks for garbage with each layer that goes
        self.layers.clear()
        if not is_annotating():
            gc.unfreeze()
        threading.Thread(target=inspection.close).start()  # a thread may still be reading
        self.record, self.pixel_rc = None, None
        self.image = self._image_shown = ""
        self.wanted.clear()
        self.tries.close()
        self.events.closed.emit()

    def end(self) -> None:
        """Close for good, with its widget."""
        self.dispatch.close()
        self.close()
        self._latest.close()
        self.maker.close()

    # ---- which round, which image

    def move_to(self, number: int) -> None:
        """Look at another round."""
        self._number = number
        self.maker.start_over()
        self._read()

    def _read(self) -> None:
        inspection = self.inspection
        if inspection is not None:
            work = partial(inspection.record, self._number)
            self._latest.ask("record", work, self._on_record, self._on_failed)

    def _on_record(self, record: RoundRecord) -> None:
        if self.record is None and record.answers:  # begin with an image that has most of them
            asked = [answer.query.region.image for answer in record.answers]
            self.image = max(dict.fromkeys(asked), key=asked.count)
        self.record = record
        self.events.moved.emit(record)
        if self._image_shown == self.image:
            self.refresh()
        else:
            self.show_image(self.image)

    def show_image(self, image: str) -> None:
        """Look at another image."""
        inspection = self.inspection
        if inspection is None:
            return
        self.image, self.pixel_rc = image, None
        self.maker.look_at(inspection, image)
        self.layers.mark(None)
        self.events.described.emit(None)
        self.events.image_changed.emit(image)

        def work() -> NDArray[np.uint8]:
            from napari_al.plugin.layers.picture_store import displayed

            return displayed(inspection.data.image(image))

        self._latest.ask("image", work, self._on_image, self._on_failed)

    def _on_image(self, picture: NDArray[np.uint8]) -> None:
        self._image_shown = self.image
        self.layers.show_image(picture)
        self.refresh()

    def refresh(self) -> None:
        """Have everything made that is to be seen of this image in this round."""
        look = self._look
        if look is None:
            return
        for key in sorted(self.wanted):
            self._draw(key)
        if self.pixel_rc is not None:
            self.pick(self.pixel_rc)
        self.tries.look_at(look)
        self.events.wanted_changed.emit()

    @property
    def _look(self) -> Look | None:
        if self.inspection is None or self.record is None:
            return None
        return Look(self.inspection, self.record, self.image)

    # ---- new answers and rounds

    def _look_for_new(self) -> None:
        inspection = self.inspection
        if inspection is None or self._latest.is_busy or self.maker.is_making:
            return  # what is slow is not begun anew again and again
        then = partial(self._on_polled, inspection.rounds, inspection.config.classes)
        self._latest.ask("poll", inspection.refresh, then, self._on_failed)

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
        if len(rounds) > len(before) and number in before[-2:]:  # whoever is at the end stays there
            self.move_to(rounds[before.index(number) - len(before)])
        else:
            self._read()

    def on_remade(self, reason: str) -> None:
        """Show everything anew: what was missing is there, or ``reason`` says why not."""
        if reason:
            self.events.told.emit(reason)
        self.refresh()

    def _on_failed(self, error: InputError | OSError) -> None:
        self.events.told.emit(str(error))

    # ---- pictures

    def set_wanted(self, key: str, wanted: bool) -> None:
        """Show or hide a picture."""
        if wanted == (key in self.wanted):
            return
        if wanted:
            self.wanted.add(key)
            self._draw(key)
        else:
            self.wanted.discard(key)
            self.maker.drop(key)
            self.layers.hide(key)
        self.events.wanted_changed.emit()

    def _draw(self, key: str) -> None:
        look = self._look
        if look is None:
            return

        def show(picture: NDArray[Any]) -> None:
            self.layers.show(key, picture)
            self.events.drawn.emit(key, "")

        def why_not(reason: str) -> None:
            self.layers.hide(key)
            self.events.drawn.emit(key, reason)

        self.maker.ask(key, look, PICTURES[key].make, show, why_not)

    def on_layer_visible(self, key: str) -> None:
        """Follow the eye in napari's layer list."""
        if not self.layers.is_changing and key not in TRIES:
            self.set_wanted(key, self.layers.picture(key) is not None)

    def on_layer_removed(self, layer: Layer) -> None:
        """Take a removed layer's picture for unwanted."""
        key = self.layers.key_of(layer)
        self.layers.forget(layer)
        if key in self.wanted:
            self.wanted.discard(key)
            self.events.wanted_changed.emit()

    # ---- a region

    def on_pressed(self, event: Any) -> Iterator[None]:
        """Look at the region that is clicked; dragging moves the picture as ever."""
        pressed_at = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        is_plain = event.button == 1 and not len(event.modifiers)
        if is_plain and np.abs(np.array(event.pos) - pressed_at).max() <= CLICK_PX:
            self.events.picked.emit()
            self.pick(self.layers.base.camera.placement.pixel_at(event.position))

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Find out about the region at a pixel."""
        look = self._look
        if look is None:
            return
        self.pixel_rc = pixel_rc

        def make(look: Look) -> RegionFacts:
            from napari_al.session.inspection.region_facts import region_facts

            return region_facts(look, pixel_rc)

        self.maker.ask("region", look, make, self._on_described, lambda _: self._on_no_region())

    def _on_described(self, facts: RegionFacts) -> None:
        self.layers.mark(facts.region.mask)
        self.events.described.emit(facts)
        if facts.missing and self.pixel_rc is not None and self.inspection is not None:
            again = partial(self.pick, self.pixel_rc)
            self.maker.make_again(facts.missing[0], self.inspection, "region", again)

    def _on_no_region(self) -> None:
        self.pixel_rc = None
        self.layers.mark(None)
        self.events.described.emit(None)


def _load_ahead() -> Callable[[], None]:
    """Load what the first image on screen would have to wait for."""
    load_layers()
    return load_units()
