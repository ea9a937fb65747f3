"""Layers of the inspect dock: an image, overlays over it, a region's outline."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_al.plugin.inspect.layer_styles import KINDS, make_overlay
from napari_al.plugin.layers.channel_view import contrast_of
from napari_al.plugin.layers.layer_kinds import (
    class_colors,
    class_names,
    insert_layer,
    score_limits,
)
from napari_al.plugin.layers.layer_set import LayerSet
from napari_al.plugin.layers.placement import Placements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.core.geometry.masks import Mask
    from napari_al.formats.dataset import ClassInfo, DataFolder
    from napari_al.plugin.layers.channel_view import ChannelView
    from napari_al.plugin.widgets.background import Background


class InspectLayers:
    """Owns its layers in one viewer; each is made when it first has something to show.

    ``added`` is emitted with the key and the layer of each picture.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    added = Signal(str, object)

    def __init__(self, viewer: Viewer) -> None:
        self.is_changing = False  # visibility, by this class rather than the user
        self._viewer = viewer
        self.base = LayerSet(viewer)  # the image below everything, the region's outline above
        self._overlays: dict[str, Layer] = {}
        self._classes: tuple[ClassInfo, ...] = ()
        self._placements = Placements()

    def open(self, data: DataFolder, placements: Placements) -> None:
        """Reset placements, contrast and dimming for another project."""
        self._placements = placements
        self.base.set_contrast(contrast_of(data.rules))
        self.base.set_dim(0.0)

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these classes' colours and names from now on."""
        self._classes = tuple(classes)
        for key, layer in self._overlays.items():
            if KINDS[key].shows == "classes":
                layer.colormap = class_colors(self._classes)
                layer.features = class_names(self._classes)

    @property
    def shown(self) -> tuple[str, ...]:
        """Keys of the visible overlays."""
        return tuple(key for key, layer in self._overlays.items() if layer.visible)

    def picture(self, key: str) -> NDArray[Any] | None:
        """Return the data of an overlay; None if it is not visible."""
        layer = self._overlays.get(key)
        return None if layer is None or not layer.visible else layer.data

    def show_image(
        self,
        data: DataFolder,
        image: str,
        pixels: NDArray[Any],
        background: Background,
        view: tuple[ChannelView, ...] | None = None,
    ) -> None:
        """Show another image at its place and hide the overlays of the last one."""
        is_new = pixels.shape[:2] != self.base.camera.shape
        for key in self.shown:
            self.hide(key)
        placement = self._placements.of(data, image)
        is_new |= self.base.behind.put(data, image, placement, background, view)
        for layer in self._overlays.values():
            self.base.camera.placement.put(layer)
        self.base.show("image", pixels)
        if is_new:
            self.base.camera.whole_image()

    def show(self, key: str, picture: NDArray[Any]) -> None:
        """Show an overlay at its place in the order."""
        layer = self._overlays.get(key)
        if layer is not None and layer.data.shape != picture.shape:
            self._remove(key)  # see `LayerSet`: data of another shape may crash a driver
            layer = None
        if layer is None:
            self._add(key, picture)
            return
        np.copyto(layer.data, picture)
        layer.refresh(thumbnail=False, highlight=False, extent=False)
        if KINDS[key].shows == "numbers":
            layer.contrast_limits = score_limits(picture)
        self._set_visible(layer, True)

    def hide(self, key: str) -> None:
        """Hide an overlay."""
        layer = self._overlays.get(key)
        if layer is not None:
            self._set_visible(layer, False)

    def _set_visible(self, layer: Layer, visible: bool) -> None:
        self.is_changing = True
        try:
            layer.visible = visible
        finally:
            self.is_changing = False

    def mark(self, mask: Mask | None) -> None:
        """Outline a region; None: none."""
        self.base.highlight(mask)

    def key_of(self, layer: Layer) -> str | None:
        """Return the key of the overlay that a layer shows."""
        return next((key for key, ours in self._overlays.items() if ours is layer), None)

    def forget(self, layer: Layer) -> None:
        """Note that a layer has been removed from the viewer."""
        self.base.forget(layer)
        key = self.key_of(layer)
        if key is not None:
            del self._overlays[key]

    def clear(self) -> None:
        """Remove all layers."""
        for key in list(self._overlays):
            self._remove(key)
        self.base.clear()

    def _remove(self, key: str) -> None:
        layer = self._overlays.pop(key)
        with suppress(ValueError):  # the user has removed it
            self._viewer.layers.remove(layer)

    def _add(self, key: str, picture: NDArray[Any]) -> None:
        place = self.base.camera.placement.kwargs()
        common = {"name": KINDS[key].name, "metadata": {"napari_al_round": key}, **place}
        layer = make_overlay(key, picture.copy(), self._classes, common)
        order = list(KINDS)
        above = [
            other
            for other_key, other in self._overlays.items()
            if order.index(other_key) > order.index(key)
        ]
        outline = self.base.get("query")
        if outline is not None:
            above.append(outline)
        insert_layer(self._viewer, layer, below=above)
        self._overlays[key] = layer
        self.added.emit(key, layer)
