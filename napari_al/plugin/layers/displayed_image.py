"""What is on screen of a session: an image, the region asked about, and the pictures over it.

Pictures are made in threads (`PictureStore`) and shown when they are ready, if still wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.layers.layer_set import LayerSet
from napari_al.plugin.layers.picture_store import KINDS, Key, PictureKind, PictureStore
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.plugin.layers.highlight import Marks
    from napari_al.session.log.records import Region
    from napari_al.session.session import Session

REGION_KINDS: tuple[PictureKind, ...] = ("answers", "heatmap", "targets")
"""Pictures that an answer changes."""
OVERLAYS = KINDS[1:]
DRAWING_CONTEXT = 0.4
"""Of the surroundings seen around a region that is only looked at."""


class Stage:
    """The layers and the camera of one viewer, and what they show.

    Parameters
    ----------
    viewer : napari.Viewer
    dispatch : callable
        Runs a function on the window's thread.
    """

    arrived = Signal()
    """The region that was to be shown is on screen now: its image or a layer had to be made."""
    image_ready = Signal(str)
    """An image can be had from `picture_of`."""
    view_changed = Signal()
    """A kind of picture was shown or hidden."""
    failed = Signal(str)
    """Why a picture could not be made."""

    def __init__(
        self,
        viewer: Viewer,
        dispatch: Callable[[Callable[[], None]], None],
    ) -> None:
        self._viewer, self._dispatch = viewer, dispatch
        self.layers = LayerSet(viewer)
        self.image = ""  # the one on screen; "" while the next one is being made
        self.context = 5.0
        self.keep_zoom = False
        self.may_end = False  # while the window is closing: nothing is shown any more
        self._session: Session | None = None
        self._pictures: PictureStore | None = None
        self._region: Region | None = None
        self._marks: Marks | None = None
        self._stamps: dict[tuple[str, PictureKind], int] = {}
        self._generation = 0
        self._zoomed = timer(60, self.layers.fit_lines)
        self._hidden: list[Layer] = []

    def open(
        self,
        session: Session,
        placement: Placement | None = None,
        sources: Iterable[Layer] = (),
    ) -> None:
        """Show pictures of a session from now on, until ``close`` instead of ``sources``."""
        self._session = session
        self._hidden = [layer for layer in sources if layer.visible]
        for layer in self._hidden:
            layer.visible = False
        self.layers.place(placement or Placement())
        self.layers.set_classes(session.config.classes)
        self.layers.set_wanted("borders", False)
        self._pictures = PictureStore(session, self._dispatch, self._on_picture)

    def close(self) -> None:
        """Take the session's layers away."""
        self._zoomed.stop()
        if self._pictures is not None:
            self._pictures.close()
        self._session = self._pictures = self._region = None
        self.image = ""
        self._stamps.clear()
        self.layers.clear()
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []

    # ---- the region

    def show_region(self, region: Region | None, marks: Marks | None = None) -> None:
        """Show a region on its image, now or as soon as that has been made; None shows none."""
        self._region, self._marks = region, marks
        if region is None:
            self.layers.highlight(None)
            return
        self._show_image(region.image)
        self._show_region()

    def _show_region(self) -> None:
        region = self._region
        if region is not None and self.image == region.image:
            self.layers.camera.focus(region.mask, self._context, keep_zoom=self.keep_zoom)
            self.layers.highlight(region.mask, self._marks)

    @property
    def _context(self) -> float:
        """How much is seen around a region: less where one draws, and has to hit corners."""
        draws = self._session is not None and self._session.config.method.query == "precise"
        return self.context * DRAWING_CONTEXT if draws else self.context

    def focus(self) -> None:
        """Bring the region back into view."""
        if self._region is not None and self.image:
            self.layers.camera.focus(self._region.mask, self._context)

    def set_context(self, context: float) -> None:
        """Show more or less around a region."""
        self.context = context
        self.focus()

    def set_keep_zoom(self, keep: bool) -> None:
        """Keep the zoom from region to region, or let it fit each."""
        self.keep_zoom = keep

    def on_zoomed(self) -> None:
        """Fit the outline's thickness once zooming has come to rest."""
        self._zoomed.start()

    # ---- pictures

    def set_wanted(self, kind: PictureKind, wanted: bool) -> None:
        """Show or hide a kind of picture."""
        self.layers.set_wanted(kind, wanted)
        self._show_picture(kind)
        self.view_changed.emit()

    def toggle(self, kind: PictureKind) -> None:
        """Show a kind of picture, or hide it."""
        self.set_wanted(kind, not self.layers.wants(kind))

    def picture_of(self, image: str) -> NDArray[np.uint8] | None:
        """Return an image as it is shown, if it has been made already."""
        return None if self._pictures is None else self._pictures.get(self._key(image, "image"))

    def request(self, images: Iterable[str], *, overlays: bool = False) -> None:
        """Have images made; `image_ready` says when each is there."""
        if self._pictures is None:
            return
        kinds = [k for k in OVERLAYS if overlays and self.layers.wants(k)]
        for image in images:
            for kind in ("image", *kinds):
                self._pictures.request(self._key(image, kind))

    def outdate(self, image: str) -> None:
        """Have an image's overlays made again: an answer has changed them."""
        for kind in REGION_KINDS:
            place = (image, kind)
            self._stamps[place] = self._stamps.get(place, 0) + 1
            if image == self.image:
                self._show_picture(kind)

    def outdate_all(self) -> None:
        """Have every overlay made again: a model has changed them."""
        self._generation += 1
        for kind in OVERLAYS:
            self._show_picture(kind)

    def _key(self, image: str, kind: PictureKind) -> Key:
        if kind == "image":
            return Key(image, kind)
        return Key(image, kind, (self._generation, self._stamps.get((image, kind), 0)))

    def _show_image(self, image: str) -> None:
        """Show an image with its overlays, or have it made."""
        if self._pictures is None or self._session is None:
            return
        key = self._key(image, "image")
        if not self._pictures.is_ready(key):
            self.image = ""
            self.layers.highlight(None)
            self._pictures.request(key)
        elif image != self.image:
            self.image = image
            self._session.look_at(image)
            self.layers.show("image", self._pictures.get(key))
            for kind in OVERLAYS:
                self._show_picture(kind)

    def _show_picture(self, kind: PictureKind) -> None:
        """Show an overlay of the image on screen; an outdated one stays until the new is there."""
        if self._pictures is None or not self.image or not self.layers.wants(kind):
            return
        key = self._key(self.image, kind)
        if self._pictures.is_ready(key):
            self.layers.show(kind, self._pictures.get(key))
        else:
            self._pictures.request(key)

    def _on_picture(self, key: Key, error: str | None) -> None:
        """Show a picture that has become ready, if it is still current."""
        if error is not None:
            self.failed.emit(error)
        elif key.kind == "image":
            self.image_ready.emit(key.image)
        if key.kind != "image":
            if key.image == self.image and key == self._key(key.image, key.kind):
                self._show_picture(key.kind)
        elif error is None and not self.image and self._region_is_on(key.image):
            self._show_image(key.image)
            self._show_region()
            self.arrived.emit()

    def _region_is_on(self, image: str) -> bool:
        return self._region is not None and self._region.image == image

    # ---- what the user does in napari's layer list

    def on_layer_visible(self, kind: PictureKind) -> None:
        """Follow the eye."""
        self.layers.redim()
        self._show_picture(kind)
        self.view_changed.emit()

    def on_layer_removed(self, layer: Layer) -> None:
        """Make a removed layer again where it is needed."""
        kind = self.layers.forget(layer)
        if self._session is None:
            return
        if kind in ("image", "query"):
            QTimer.singleShot(0, self._show_again)
        elif kind is not None and kind != "drawing":
            self.layers.set_wanted(kind, False)
            self.view_changed.emit()

    def _show_again(self) -> None:
        if self._session is not None and not self.may_end:
            self.image = ""
            self.show_region(self._region, self._marks)
            if self.image:
                self.arrived.emit()
