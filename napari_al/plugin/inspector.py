"""Looking at a project's rounds in one viewer: which round, which image, which pictures.

It knows no widgets; they call its methods and listen to its events. What is shown is made in
threads, the newest wish first; what a cache no longer holds is made again in a child process.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal, SignalGroup

from napari_al.plugin.dispatch import MainThread
from napari_al.plugin.events import timer
from napari_al.plugin.inspect_kinds import TRIES
from napari_al.plugin.inspect_layers import InspectLayers
from napari_al.plugin.latest import Latest
from napari_al.plugin.links import Links, link_inspector
from napari_al.plugin.remaker import Remaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_al.errors import InputError
    from napari_al.session.inspection import Inspection, Missing, RoundRecord
    from napari_al.session.round_pictures import Look

POLL_MS = 1500
"""Between two looks for new answers and rounds."""
AGAIN_MS = 400
"""While something is made again, what waits for it is tried this often."""
CLICK_PX = 4
"""A mouse that moves farther while it is pressed drags."""
AT_FIRST = ("queried", "queried_lines")
"""Pictures shown when a project is opened."""


class InspectorEvents(SignalGroup):
    """What views listen to; all on the window's thread."""

    opened = Signal()
    closed = Signal()
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
    merged = Signal(object)
    """A ``Merging``, or a sentence why there is none; so for the other two."""
    cut = Signal(object)
    compared = Signal(object)
    progressed = Signal(object)
    """A ``JobProgress`` of what is made again; None when it has ended."""
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
        self.inspection: Inspection | None = None
        self.record: RoundRecord | None = None
        self.image = ""
        self.pixel_rc: tuple[int, int] | None = None
        self.wanted: set[str] = set()
        self._image_shown = ""
        self._tries: dict[str, Callable[[], None]] = {}
        self._latest = Latest(self.dispatch)
        self._remaker = Remaker(self.dispatch, self._on_remade, self.events.progressed.emit)
        self._waiting: dict[str, Callable[[], None]] = {}  # for what is made again
        self._links = Links()
        self._again = timer(AGAIN_MS, self._try_again)
        self._poll = timer(POLL_MS, self._look_for_new, again=True)

    # ---- open, close

    def open(self, path: Path) -> None:
        """Look at the project in a folder."""
        work = partial(_open, path)
        self._latest.ask("open", work, self._on_opened, self._on_failed, unheard=_close)

    def _on_opened(self, inspection: Inspection) -> None:
        self.close()
        self.inspection = inspection
        self.layers.open(inspection.config.classes)
        self.wanted = set(AT_FIRST)
        link_inspector(self._links, self)
        rounds = inspection.rounds
        self.image = inspection.data.train[0]
        self.events.opened.emit()
        self.move_to(rounds[-2] if len(rounds) > 1 else rounds[-1])
        self._poll.start()

    def close(self) -> None:
        """Let go of the project and take its layers away; may be called again."""
        inspection, self.inspection = self.inspection, None
        if inspection is None:
            return
        self._poll.stop()
        self._forget_wishes()
        self._remaker.stop()
        self._links.close()
        self.layers.clear()
        _close(inspection)
        self.record, self.pixel_rc = None, None
        self.image = self._image_shown = ""
        self.wanted.clear()
        self._tries.clear()
        self.events.closed.emit()

    def end(self) -> None:
        """Close for good, with its widget."""
        self.dispatch.close()
        self.close()
        self._latest.close()

    def _forget_wishes(self) -> None:
        """Hear nothing more of what was wished for so far."""
        self._again.stop()
        self._waiting.clear()
        self._latest.drop_all()

    # ---- which round, which image

    def move_to(self, number: int) -> None:
        """Look at another round."""
        self._forget_wishes()
        self._remaker.stop()
        self._read(number)

    def _read(self, number: int) -> None:
        inspection = self.inspection
        if inspection is not None:
            self._latest.ask(
                "record", lambda: inspection.record(number), self._on_record, self._on_failed
            )

    def _on_record(self, record: RoundRecord) -> None:
        if self.record is None and record.answers:  # begin with an image that has most of them
            asked = [answer.query.region.image for answer in record.answers]
            self.image = max(dict.fromkeys(asked), key=asked.count)
        self.record = record
        self.events.moved.emit(record)
        if self._image_shown == self.image:
            self._refresh()
        else:
            self.show_image(self.image)

    def show_image(self, image: str) -> None:
        """Look at another image."""
        inspection = self.inspection
        if inspection is None:
            return
        self._forget_wishes()
        self.image, self.pixel_rc = image, None
        self.layers.mark(None)
        self.events.described.emit(None)
        self.events.image_changed.emit(image)
        self._remaker.look_at(inspection, image)

        def work() -> Any:
            from napari_al.plugin.pictures import displayed

            return displayed(inspection.data.image(image))

        self._latest.ask("image", work, self._on_image, self._on_failed)

    def _on_image(self, picture: Any) -> None:
        self._image_shown = self.image
        self.layers.show_image(picture)
        self._refresh()

    def _refresh(self) -> None:
        """Have everything made that is to be seen of this image in this round."""
        for key in sorted(self.wanted):
            self._draw(key)
        if self.pixel_rc is not None:
            self.pick(self.pixel_rc)
        for again in list(self._tries.values()):
            again()
        self.events.wanted_changed.emit()

    def _look(self) -> Look | None:
        if self.inspection is None or self.record is None or not self.image:
            return None
        from napari_al.session.round_pictures import Look

        return Look(self.inspection, self.record, self.image)

    # ---- new answers and rounds

    def _look_for_new(self) -> None:
        inspection = self.inspection
        if inspection is not None and not self._latest.is_waiting("poll"):
            before = inspection.rounds
            self._latest.ask(
                "poll", inspection.refresh, partial(self._on_polled, before), self._on_failed
            )

    def _on_polled(self, before: tuple[int, ...], has_new: bool) -> None:
        if not has_new or self.inspection is None or self.record is None:
            return
        rounds, number = self.inspection.rounds, self.record.number
        if len(rounds) > len(before) and number in before[-2:]:  # whoever is at the end stays there
            self.move_to(rounds[before.index(number) - len(before)])
        else:
            self._read(number)

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
            self._drop(key)
            self.layers.hide(key)
        self.events.wanted_changed.emit()

    def _draw(self, key: str) -> None:
        look = self._look()
        if look is None:
            return
        from napari_al.session.round_pictures import PICTURES

        self._ask(
            key,
            partial(PICTURES[key].make, look),
            partial(self._on_drawn, key),
            lambda why: self._on_drawn(key, why),
        )

    def _on_drawn(self, key: str, picture: Any) -> None:
        if isinstance(picture, str):
            self.layers.hide(key)
            self.events.drawn.emit(key, picture)
        else:
            self.layers.show(key, picture)
            self.events.drawn.emit(key, "")

    def on_layer_visible(self, key: str) -> None:
        """Follow the eye in napari's layer list."""
        if not self.layers.is_changing and key not in TRIES:
            self.set_wanted(key, self.layers.picture(key) is not None)

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

    def on_layer_removed(self, layer: Layer) -> None:
        """Take a removed layer's picture for unwanted."""
        key = self.layers.key_of(layer)
        self.layers.forget(layer)
        if key in self.wanted:
            self.wanted.discard(key)
            self.events.wanted_changed.emit()

    # ---- a region

    def pick(self, pixel_rc: tuple[int, int]) -> None:
        """Find out about the region at a pixel."""
        look = self._look()
        if look is None:
            return
        self.pixel_rc = pixel_rc

        def work() -> Any:
            from napari_al.session.region_facts import region_facts

            return region_facts(look, pixel_rc)

        self._ask("region", work, self._on_described, lambda _: self._on_described(None))

    def _on_described(self, facts: Any) -> None:
        self.layers.mark(None if facts is None else facts.region.mask)
        self.events.described.emit(facts)
        if facts is None:
            self.pixel_rc = None
        elif facts.missing and self.pixel_rc is not None:
            self._make_again(facts.missing[0], "region", partial(self.pick, self.pixel_rc))

    # ---- other choices

    def try_merging(self, epsilon: float) -> None:
        """Preview the superpixels merged at another epsilon."""
        self._tries["try_merging"] = partial(self.try_merging, epsilon)
        look = self._look()
        if look is not None:

            def work() -> Any:
                from napari_al.session.what_if import merge_at

                return merge_at(look, epsilon)

            self._try("try_merging", work, self._on_merged, self.events.merged.emit)

    def _on_merged(self, merging: Any) -> None:
        self.layers.show("try_merging", merging.cells)
        self.events.merged.emit(merging)

    def try_cutting(self, n_per_image: int) -> None:
        """Preview superpixels of another size."""
        self._tries["try_cut"] = partial(self.try_cutting, n_per_image)
        look = self._look()
        if look is not None:

            def work() -> Any:
                from napari_al.core.adjacency import borders
                from napari_al.session.what_if import cut_into

                cutting = cut_into(look, n_per_image)
                return cutting, borders(cutting.region_map)

            self._try("try_cut", work, self._on_cut, self.events.cut.emit)

    def _on_cut(self, done: Any) -> None:
        cutting, lines = done
        self.layers.show("try_cut", lines)
        self.events.cut.emit(cutting)

    def try_acquisition(self, name: str, with_scores: bool) -> None:
        """Preview what another acquisition function would have asked, and perhaps its scores."""
        self._tries["try_acquisition"] = partial(self.try_acquisition, name, with_scores)
        look = self._look()
        if look is not None:

            def work() -> Any:
                from napari_al.session.what_if import compare_acquisitions

                return compare_acquisitions(look, name)

            then = partial(self._on_compared, with_scores)
            self._try("try_acquisition", work, then, self.events.compared.emit)

    def _on_compared(self, with_scores: bool, comparison: Any) -> None:
        if with_scores:
            self.layers.show("try_heatmap", comparison.heatmap)
        else:
            self.layers.hide("try_heatmap")
        self.layers.show("try_batches", comparison.batches)
        self.events.compared.emit(comparison)

    def end_try(self, slot: str) -> None:
        """Show a preview no longer."""
        self._tries.pop(slot, None)
        self._drop(slot)
        self._hide_try(slot)

    def _try(
        self,
        slot: str,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        explain: Callable[[str], None],
    ) -> None:
        def why_not(reason: str) -> None:
            self._hide_try(slot)
            explain(reason)

        self._ask(slot, work, then, why_not)

    def _hide_try(self, slot: str) -> None:
        for key in ("try_heatmap", "try_batches") if slot == "try_acquisition" else (slot,):
            self.layers.hide(key)

    # ---- asking, and making again

    def _ask(
        self,
        slot: str,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        explain: Callable[[str], None],
    ) -> None:
        """Have something made; what it lacks is made again first, otherwise ``explain`` why not."""

        def failed(error: InputError | OSError) -> None:
            missing = getattr(error, "missing", None)
            again = partial(self._ask, slot, work, then, explain)
            if missing is None or not self._make_again(missing, slot, again):
                explain(str(error))
            else:
                explain("is being made again…")

        self._waiting.pop(slot, None)
        self._latest.ask(slot, work, then, failed)

    def _drop(self, slot: str) -> None:
        self._waiting.pop(slot, None)
        self._latest.drop(slot)

    def _make_again(self, missing: Missing, slot: str, then: Callable[[], None]) -> bool:
        """Start the job for something missing, unless it was tried in vain."""
        if self.inspection is None or not self._remaker.want(self.inspection, missing):
            return False
        self._waiting[slot] = then
        self._again.start()
        return True

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for again in waiting.values():
            again()

    def _on_remade(self, reason: str) -> None:
        """Show everything anew when a job has ended; ``reason``: why it failed, else ""."""
        if reason:
            self.events.told.emit(reason)
        self._again.stop()
        self._waiting.clear()
        self._refresh()

    def stop_making(self) -> None:
        """End the job that makes something again."""
        self._remaker.give_up()
        self._try_again()

    def _on_failed(self, error: InputError | OSError) -> None:
        self.events.told.emit(str(error))


def _open(path: Path) -> Inspection:
    """Open a project with a folder for what its cache lacks, which goes when it is closed."""
    from napari_al.session.inspection import Inspection

    folder = tempfile.mkdtemp(prefix="napari-al-")
    try:
        inspection = Inspection(path, Path(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(inspection, shutil.rmtree, folder, ignore_errors=True)
    return inspection


def _close(inspection: Inspection) -> None:
    inspection.close()
    shutil.rmtree(inspection.own.cache, ignore_errors=True)
