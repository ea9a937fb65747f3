"""The image of a session on screen, its overlays, and the region that is asked about.

Pictures are made in threads (`PictureStore`) and shown when they are ready, if still wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_al.plugin.layers.channel_view import contrast_of, in_8_bit, robust_range
from napari_al.plugin.layers.picture_store import (
    KINDS,
    Key,
    PictureKind,
    PictureStore,
)
from napari_al.plugin.layers.placement import Placements
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import NEXT_TURN_MS, timer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_al.methods.queries import Region
    from napari_al.plugin.layers.channel_view import ChannelChoice, ChannelView
    from napari_al.plugin.layers.highlight import Marks
    from napari_al.plugin.layers.layer_kinds import LayerKind
    from napari_al.plugin.layers.layer_set import LayerSet
    from napari_al.plugin.layers.plane_slider import Plane
    from napari_al.plugin.preferences import Preferences
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.session import Session

REGION_KINDS: tuple[PictureKind, ...] = ("answers", "heatmap", "targets")
"""Pictures that an answer changes."""
OVERLAYS = KINDS[1:]
LATER_MS = 30
"""After an image has been painted."""
DRAWING_CONTEXT = 0.4
"""Surroundings seen while drawing, as a share of `Preferences.context`."""


class ImageDisplay:
    """Shows images of one session with their overlays, and one region at a time.

    Parameters
    ----------
    layers : LayerSet
        Of the viewer; cleared by `close`.
    session : Session
    preferences : Preferences
        ``context`` (surroundings seen) and ``keep_zoom``.
    dispatch : callable
        Runs a function on the window's thread.
    placements : Placements, optional
        Where images lie in the world.
    planes : sequence of Plane
        Of layers that its images are from: these are hidden until `close`, and keep their sliders.
        Stacks of a data folder have sliders without.
    channels : ChannelChoice, optional
        The channels that are shown.

    Attributes
    ----------
    channels : ChannelChoice or None
        None: as `default_view` says, or as they are.
    image : str
        The image on screen; "" while the next one is being loaded.
    is_closing : bool
        The window is closing: nothing is shown any more.
    """

    arrived = Signal()
    """The requested region is on screen now: its image or a layer had to be made first."""
    image_ready = Signal(str)
    """An image can be had from `picture_of`."""
    thumbnail_ready = Signal(str)
    """An image can be had from `thumbnail_of`."""
    view_changed = Signal()
    """A kind of picture was shown or hidden."""
    failed = Signal(str)
    """Why a picture could not be made."""

    def __init__(
        self,
        layers: LayerSet,
        session: Session,
        preferences: Preferences,
        dispatch: Dispatch,
        placements: Placements | None = None,
        planes: Sequence[Plane] = (),
        channels: ChannelChoice | None = None,
    ) -> None:
        self.layers = layers
        self.channels = channels
        self.image = ""
        self.is_closing = False
        self._session, self._preferences = session, preferences
        self._pictures = PictureStore(session, dispatch, self._on_picture)
        self._region: Region | None = None
        self._marks: Marks | None = None
        self._moves = True
        self._is_new = session.model_round is None  # the first model shows itself while one answers
        self._wanted = ""  # the image to show as soon as it is loaded
        self._versions: dict[tuple[str, PictureKind], int] = {}
        self._model_version = 0
        self._view_version = 0
        self._refit = timer(60, layers.refit)
        # one layer at a time: napari takes 0.1 s and more for each
        self._arrive_soon = timer(NEXT_TURN_MS, self._arrive)
        self._prepare = timer(NEXT_TURN_MS, lambda: layers.prepare("prediction"))
        self._tell_jobs = timer(LATER_MS, self._on_looked_at)  # a file, for which no key waits
        self._hidden = [la for la in dict.fromkeys(p.layer for p in planes) if la.visible]
        for layer in self._hidden:
            layer.visible = False
        self._slider = layers.plane_slider(session.data, planes)
        self._slider.moved.connect(self._on_slider)
        self._placements = placements or Placements()
        layers.set_contrast(contrast_of(session.data.rules))
        self._overviews = Background(dispatch, n_threads=1)
        layers.set_classes(session.config.classes)
        layers.set_wanted("borders", False)

    def close(self) -> None:
        """Remove the session's layers and show the hidden ones again."""
        self.is_closing = True
        for pending in (self._refit, self._arrive_soon, self._prepare, self._tell_jobs):
            pending.stop()
        self._slider.close()
        self._overviews.close()
        self._pictures.close()
        self.layers.clear()
        for layer in self._hidden:
            layer.visible = True

    # ---- the region

    def show_region(
        self, region: Region | None, marks: Marks | None = None, *, move: bool = True
    ) -> None:
        """Show a region on its image, now or as soon as that is loaded; None shows none.

        ``move``: bring it into view.
        """
        self._region, self._marks, self._moves = region, marks, move
        if region is None:
            self.layers.highlight(None)
            return
        self._wanted = region.image
        self._show_image(region.image)
        if not self._arrive_soon.isActive():  # a small image may be loaded by now
            self._show_region()

    def _show_region(self) -> None:
        region = self._region
        if region is not None and self._is_seen(region):
            if self._moves:
                self.layers.camera.focus(
                    region.mask, self._context, keep_zoom=self._preferences.keep_zoom
                )
            self.layers.highlight(region.mask, self._marks)

    def _is_seen(self, region: Region) -> bool:
        """Whether a region can be seen now: on its image, or its place on a neighbouring plane."""
        here = self.image == region.image
        return here or self._slider.are_of_one_stack(self.image, region.image)

    def _on_slider(self, image: str) -> None:
        """Show the plane that the user has gone to; the question stays, and so does the view."""
        self._wanted, self._moves = image, False
        self._show_image(image)
        if self._region is not None:
            self._show_region()

    @property
    def _context(self) -> float:
        """Surroundings seen around a region: fewer while drawing, which needs precision."""
        draws = self._session.config.method.query == "precise"
        return self._preferences.context * (DRAWING_CONTEXT if draws else 1)

    def show_image(self, image: str) -> None:
        """Show an image as a whole, with no region."""
        self._wanted = image
        self.show_region(None)
        self._show_image(image)
        if self.image == image:
            self.layers.camera.whole_image()

    def focus(self) -> None:
        """Move the camera back to the region, and the sliders to its plane."""
        if self._region is not None and self.image and self.image != self._region.image:
            self.show_region(self._region, self._marks)
        elif self._region is not None and self.image:
            self.layers.camera.focus(self._region.mask, self._context)

    def set_context(self, context: int) -> None:
        """Show more or less around a region."""
        self._preferences.context = context
        self.focus()

    def on_zoomed(self) -> None:
        """Adapt the outline's thickness when zooming has stopped."""
        self._refit.start()

    # ---- pictures

    def set_wanted(self, kind: PictureKind, wanted: bool) -> None:
        """Show or hide a kind of picture."""
        self.layers.set_wanted(kind, wanted)
        self._show_picture(kind)
        self.view_changed.emit()

    def set_channels(self, choice: ChannelChoice) -> None:
        """Show these channels, in their colours, of every image."""
        self.channels, self._view_version = choice, self._view_version + 1
        if self.image:
            self._pictures.request(self._key(self.image, "image"))
            self._put(self.image)

    def toggle(self, kind: PictureKind) -> None:
        """Show a kind of picture, or hide it."""
        self.set_wanted(kind, not self.layers.wants(kind))

    def picture_of(self, image: str) -> NDArray[np.uint8] | None:
        """Return an image as displayed, if it is loaded: (H, W) or (H, W, 3) of 8 bits."""
        picture = self._pictures.get(self._key(image, "image"))
        if picture is None or picture.dtype == np.uint8:
            return picture
        ranges = self._session.data.rules.ranges
        return in_8_bit(picture, ranges[0] if ranges else robust_range(picture))

    def thumbnail_of(self, image: str) -> NDArray[np.uint8] | None:
        """Return a small copy of an image if it is made; else have it made."""
        key = Key(image, "thumbnail")
        if not self._pictures.is_ready(key):
            self._pictures.request(key)
        return self._pictures.get(key)

    def request(self, images: Iterable[str], *, overlays: bool = False) -> None:
        """Load images in the background; `image_ready` says when each is there."""
        kinds = [k for k in OVERLAYS if overlays and self.layers.wants(k)]
        for image in images:
            for kind in ("image", *kinds):
                self._pictures.request(self._key(image, kind))

    def invalidate(self, image: str) -> None:
        """Redraw the overlays of an image that an answer has changed."""
        for kind in REGION_KINDS:
            place = (image, kind)
            self._versions[place] = self._versions.get(place, 0) + 1
            if image == self.image:
                self._show_picture(kind)

    def invalidate_all(self) -> None:
        """Redraw every overlay: a model or the classes have changed."""
        self._model_version += 1
        for kind in OVERLAYS:
            self._show_picture(kind)

    @property
    def _view(self) -> tuple[ChannelView, ...] | None:
        return None if self.channels is None else self.channels.view

    def _key(self, image: str, kind: PictureKind) -> Key:
        if kind == "image":
            return Key(image, kind, (self._view_version, 0), self._view)
        return Key(image, kind, (self._model_version, self._versions.get((image, kind), 0)))

    def _show_image(self, image: str) -> None:
        """Show an image with its overlays, or load it."""
        self._slider.go_to(image)
        key = self._key(image, "image")
        if not self._pictures.is_ready(key):
            self.image = ""
            self.layers.highlight(None)
            self._pictures.request(key)
        elif image != self.image:
            self.image = image
            self._tell_jobs.start()
            self._put(image)
            self.layers.show("image", self._pictures.get(key))
            for kind in OVERLAYS:
                self._show_picture(kind)

    def _on_looked_at(self) -> None:
        if self.image:
            self._session.look_at(self.image)

    def _put(self, image: str) -> None:
        """Move the layers to where an image lies in its picture."""
        data = self._session.data
        placement = self._placements.of(data, image)
        self.layers.behind.put(data, image, placement, self._overviews, self._view)

    def _show_picture(self, kind: PictureKind) -> None:
        """Show an overlay of the image on screen; an outdated one stays until the new is there."""
        if not self.image or not self.layers.wants(kind):
            return
        key = self._key(self.image, kind)
        if self._pictures.is_ready(key):
            self.layers.show(kind, self._pictures.get(key))
        else:
            self._pictures.request(key)

    def _on_picture(self, key: Key, error: str | None) -> None:
        """Show a picture that has become ready, if it is still current."""
        if key.kind == "thumbnail":
            self.thumbnail_ready.emit(key.image)
            return
        if error is not None:
            self.failed.emit(error)
        elif key.kind == "image":
            self.image_ready.emit(key.image)
        is_current = key == self._key(key.image, key.kind)
        if key.kind != "image":
            if key.image == self.image and is_current:
                self._show_picture(key.kind)
        elif error is None and key.image == self.image and is_current:
            self.layers.show("image", self._pictures.get(key))
            self._refit.start()
        elif error is None and not self.image and self._wanted == key.image:
            is_first = self.layers.get("image") is None
            self._show_image(key.image)
            if is_first:
                self._arrive_soon.start()
            else:
                self._arrive()

    def _arrive(self) -> None:
        """Show the region on the image that had to be loaded for it."""
        if self._region is None:
            self.layers.camera.whole_image()
        elif self.layers.get("query") is None:
            self.layers.prepare("query")
            self._arrive_soon.start()
            return
        self._show_region()
        self.arrived.emit()
        if self._is_new:
            self._is_new = False
            self._prepare.start()

    # ---- changes in napari's layer list

    def on_layer_visible(self, kind: PictureKind) -> None:
        """Take over that the user has shown or hidden a layer."""
        self.layers.redim()
        self._show_picture(kind)
        self.view_changed.emit()

    def on_layer_removed(self, kind: LayerKind | None) -> None:
        """Make a layer that the user removed again where it is needed."""
        if kind in ("image", "query"):
            QTimer.singleShot(0, self._show_again)
        elif kind is not None and kind != "drawing":
            self.layers.set_wanted(kind, False)
            self.view_changed.emit()

    def _show_again(self) -> None:
        if not self.is_closing:
            self.image = ""
            self.show_region(self._region, self._marks, move=self._moves)
            if self.image:
                self.arrived.emit()
