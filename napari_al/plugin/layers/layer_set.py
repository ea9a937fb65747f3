"""The napari layers of a viewer: made once, then updated with new data.

`LayerSet` owns them; ``ImageDisplay`` and the start page's preview decide what they show.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_al.plugin.layers import highlight
from napari_al.plugin.layers.camera import Camera
from napari_al.plugin.layers.channel_view import Contrast, robust_range
from napari_al.plugin.layers.layer_kinds import (
    CLASS_KINDS,
    NAMES,
    OPACITY,
    ORDER,
    LayerKind,
    blank,
    class_colors,
    class_layer,
    class_names,
    dim_code,
    insert_layer,
    make_layer,
    query_colors,
    score_limits,
)
from napari_al.plugin.layers.picture_behind import PictureBehind
from napari_al.plugin.layers.plane_slider import PlaneSlider, slider_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer, Shapes
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.core.geometry.masks import Mask
    from napari_al.formats.dataset import ClassInfo, DataFolder
    from napari_al.plugin.layers.picture_store import PictureKind
    from napari_al.plugin.layers.placement import Placement
    from napari_al.plugin.layers.plane_slider import Plane

DIM_UNDER_OVERLAYS = 0.4
"""Share of the dimming that remains while the heatmap or labels are shown."""
BRIGHT_GAMMA = 0.5
"""Of a picture that is brightened, times its own gamma."""
REDRAW_FACTOR = 1.25
"""Change of zoom after which the outline is redrawn."""


class LayerSet:
    """Owns our layers in one viewer.

    A layer is made when it first has something to show, and again after the user has removed it.
    ``added`` is emitted with each.

    Attributes
    ----------
    camera : Camera
    placement : Placement
        Where pictures lie in the world; the camera's is that of the image on screen.
    contrast : Contrast or None
        Of grey pictures; None: limits of their own.
    behind : PictureBehind
        Puts images where they lie in their pictures.

    Notes
    -----
    Some software OpenGL drivers (Mesa 22.3) crash when the data of a layer changes shape in a
    viewer from which a layer has been removed before. While none has been, data of another shape
    goes into the layers that are there, which is quick; afterwards layers are replaced instead.
    """

    added = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.camera = Camera(viewer)
        self.behind = PictureBehind(viewer, self)
        self.placement = self.camera.placement
        self._classes: tuple[ClassInfo, ...] = ()
        self._layers: dict[LayerKind, Layer] = {}
        self._may_resize = True
        self._opacity = dict(OPACITY)
        self.contrast: Contrast | None = None
        self._is_bright = False
        self._stretched: tuple[object, ...] = ()
        self._dim = self._dim_shown = 0.4
        self._reset()
        viewer.layers.events.removing.connect(self._make_context_current)

    def _make_context_current(self) -> None:
        """Let napari delete what a layer has on the graphics card in the canvas's own context.

        When a layer is removed, napari (since 0.6.2) deletes its textures and buffers at once, in
        whichever OpenGL context is current: often Qt's, not the canvas's. The canvas then draws
        the layers that remain with deleted buffers, and Mesa crashes.
        """
        viewer = getattr(self._viewer, "__wrapped__", self._viewer)  # napari hands plugins a proxy
        with suppress(AttributeError, RuntimeError):  # no window, or one that is being closed
            canvas = viewer.window._qt_viewer.canvas.native
            if canvas.isValid():
                canvas.makeCurrent()

    def _reset(self) -> None:
        self._wanted = {kind: kind in ("image", "query", "drawing") for kind in ORDER}
        self.camera.shape = (0, 0)
        self._k = 1
        self._picture = np.zeros((1, 1), np.uint8)
        self._shown: tuple[Mask, highlight.Marks | None] | None = None
        self._drawn_at, self._drawn_dim = 1.0, highlight.DIM

    def place(self, placement: Placement, row: int = 0, col: int = 0) -> bool:
        """Move all layers to an image; return whether they were elsewhere.

        Parameters
        ----------
        placement : Placement
            Of the image's picture.
        row, col : int
            Where the image begins in it.
        """
        self.placement = placement
        there = replace(placement, translate=placement.world(row, col))
        if there == self.camera.placement:
            return False
        self.camera.placement = there
        for kind, layer in self._layers.items():
            there.put(layer, self._texels(kind))
        return True

    def _texels(self, kind: LayerKind) -> tuple[float, float]:
        k = self._k if kind == "query" else 1
        return k, k

    def plane_slider(self, data: DataFolder, planes: Sequence[Plane]) -> PlaneSlider:
        """Return what keeps the viewer's sliders and the plane on screen together."""
        return slider_of(self._viewer, data, planes)

    # ---- visibility and colours

    def get(self, kind: LayerKind) -> Layer | None:
        """Return a layer if it exists."""
        return self._layers.get(kind)

    def all(self) -> tuple[Layer, ...]:
        """Return all existing layers."""
        return tuple(self._layers.values())

    def wants(self, kind: LayerKind) -> bool:
        """Whether a kind of picture is switched on."""
        layer = self._layers.get(kind)
        return bool(layer.visible) if layer is not None else self._wanted[kind]

    def set_wanted(self, kind: LayerKind, wanted: bool) -> None:
        """Show or hide a kind of picture."""
        self._wanted[kind] = wanted
        layer = self._layers.get(kind)
        if layer is not None and layer.visible != wanted:
            layer.visible = wanted
        self.redim()

    def set_opacity(self, kind: LayerKind, opacity: float) -> None:
        """Set how much a picture covers, 0 to 1."""
        self._opacity[kind] = opacity
        layer = self._layers.get(kind)
        if layer is not None:
            layer.opacity = opacity

    def opacity(self, kind: LayerKind) -> float:
        """Return how much a picture covers, 0 to 1."""
        layer = self._layers.get(kind)
        return float(layer.opacity) if layer is not None else self._opacity[kind]

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these colours from now on."""
        self._classes = tuple(classes)
        for kind in CLASS_KINDS:
            layer = self._layers.get(kind)
            if layer is not None:
                layer.colormap = class_colors(self._classes)
                layer.features = class_names(self._classes)

    def set_contrast(self, contrast: Contrast | None) -> None:
        """Show grey images with these limits from now on; None: with limits of their own."""
        self.contrast = contrast

    def toggle_bright(self) -> None:
        """Brighten dark pictures from now on, or show them as they are."""
        self._is_bright = not self._is_bright
        layer = self._layers.get("image")
        if layer is not None:
            layer.gamma *= BRIGHT_GAMMA if self._is_bright else 1 / BRIGHT_GAMMA

    def _stretch(self, picture: NDArray[Any]) -> None:
        """Set the limits of a grey image, unless they are set: the user may have changed them."""
        wanted = (picture.dtype, self.contrast)
        if picture.ndim == 2 and wanted != self._stretched:
            layer = self._layers["image"]
            contrast = self.contrast or Contrast(robust_range(picture))
            layer.contrast_limits = contrast.limits
            layer.gamma = contrast.gamma * (BRIGHT_GAMMA if self._is_bright else 1)
            self._stretched = wanted

    def set_dim(self, dim: float) -> None:
        """Set how dark the surroundings of a region are, 0 to 1."""
        self._dim = dim
        self.redim()

    def redim(self) -> None:
        """Darken the surroundings less while overlays are visible there."""
        covered = any(self.wants(kind) for kind in (*CLASS_KINDS, "heatmap"))
        shown = self._dim * (DIM_UNDER_OVERLAYS if covered else 1)
        layer = self._layers.get("query")
        if layer is not None and shown != self._dim_shown:
            layer.colormap = query_colors(shown)
        self._dim_shown = shown

    def activate(self, kind: LayerKind = "query") -> None:
        """Make a layer the active one, whose key bindings apply."""
        layer = self._layers.get(kind)
        if layer is not None and self._viewer.layers.selection.active is not layer:
            self._viewer.layers.selection.active = layer

    def drawing(self) -> Shapes:
        """Return the layer to draw polygons in."""
        if "drawing" not in self._layers:
            self._add("drawing", None)
        return self._layers["drawing"]

    # ---- pictures

    def prepare(self, kind: LayerKind) -> None:
        """Make a layer ahead, blank: napari takes 0.1 s for one, in which no key is answered."""
        if kind not in self._layers and self.camera.shape != (0, 0):
            self._add(kind, self._blank(kind))

    def show(self, kind: PictureKind, picture: NDArray[Any] | None) -> None:
        """Give a layer its picture; None clears it."""
        if kind == "image" and picture is not None and picture.shape[:2] != self.camera.shape:
            self._resize(picture)
        layer = self._layers.get(kind)
        if picture is None:
            if layer is None:
                return
            picture = np.zeros_like(layer.data) if kind == "image" else self._blank(kind)
        if layer is None or layer.data.ndim != picture.ndim:
            self._remove(kind)
            self._add(kind, picture.copy())
            if kind == "image":
                self._stretch(picture)
            return
        if layer.data.shape == picture.shape and layer.data.dtype == picture.dtype:
            np.copyto(layer.data, picture)  # a third of the time that `layer.data = ...` takes
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        else:
            layer.data = picture.copy()
        if kind == "heatmap":
            layer.contrast_limits = score_limits(picture)
        if kind == "image":
            self._stretch(picture)

    def refresh_thumbnails(self) -> None:
        """Update the thumbnails in napari's layer list."""
        for layer in self._layers.values():
            if layer.visible:
                layer.refresh(data_displayed=False, highlight=False, extent=False)

    def _resize(self, image: NDArray[Any]) -> None:
        """Resize all layers to the next image, blank."""
        self.camera.shape = (image.shape[0], image.shape[1])
        self._k = highlight.fineness(self.camera.shape)
        self._picture = highlight.blank(self.camera.shape)
        self._shown = None
        for kind, layer in list(self._layers.items()):
            if kind == "drawing":
                continue
            data = np.zeros_like(image) if kind == "image" else self._blank(kind)
            if not self._may_resize or layer.data.ndim != data.ndim:
                self._remove(kind)
                self._add(kind, data)
                continue
            layer.data = data
            if kind == "query":
                self.camera.placement.put(layer, self._texels(kind))

    def _blank(self, kind: LayerKind) -> NDArray[Any]:
        return self._picture if kind == "query" else blank(kind, self.camera.shape)

    def add_labels(
        self, name: str, class_map: NDArray[np.uint8], classes: Sequence[ClassInfo]
    ) -> None:
        """Add a layer of the user's own with class ids, where the images lie."""
        placed = self.camera.placement.kwargs()
        layer = class_layer(class_map, classes, {"name": name, "opacity": 0.6, **placed})
        insert_layer(self._viewer, layer)

    # ---- the queried region

    def highlight(self, mask: Mask | None, marks: highlight.Marks | None = None) -> None:
        """Show a region; None shows none."""
        self._shown = None if mask is None else (mask, marks)
        if self.camera.shape != (0, 0):
            self._redraw()

    def refit(self) -> None:
        """Redraw the region if the zoom has changed much, or the brightness of the picture."""
        change = self.camera.px / self._drawn_at
        is_lined = 1 / REDRAW_FACTOR < change < REDRAW_FACTOR
        if self._shown is not None and not (is_lined and self._drawn_dim == self._dim_code()):
            self._redraw()

    def _dim_code(self) -> int:
        image = self._layers.get("image")
        return highlight.DIM if image is None else dim_code(image.data, _limits(image))

    def _redraw(self) -> None:
        layer = self._layers.get("query")
        if self._shown is None:
            if layer is None:
                return
            self._picture.fill(highlight.CLEAR)
        else:
            mask, marks = self._shown
            self._drawn_at, self._drawn_dim = self.camera.px, self._dim_code()
            texel_px, dim = self._drawn_at / self._k, self._drawn_dim
            highlight.draw(self._picture, mask, texel_px=texel_px, k=self._k, marks=marks, dim=dim)
        if layer is None:
            self._add("query", self._picture)
        else:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    # ---- adding and removing

    def forget(self, layer: Layer) -> LayerKind | None:
        """Forget a layer that was removed from the viewer; return its kind if it was ours."""
        self._may_resize = False
        kind = next((kind for kind, ours in self._layers.items() if ours is layer), None)
        if kind is not None:
            del self._layers[kind]
        return kind

    def forget_all(self) -> None:
        """Forget all layers without removing them from the viewer."""
        self._layers.clear()

    def clear(self) -> None:
        """Remove all layers."""
        for kind in list(self._layers):
            self._remove(kind)
        self.behind.close()
        self._reset()

    def _remove(self, kind: LayerKind) -> None:
        layer = self._layers.pop(kind, None)
        if layer is not None:
            self._wanted[kind] = bool(layer.visible)
            self._may_resize = False
            self._viewer.layers.remove(layer)

    def _add(self, kind: LayerKind, picture: NDArray[Any] | None) -> None:
        """Insert a new layer at its place in the order; ``picture`` becomes its data."""
        common = {
            "name": NAMES[kind],
            "visible": self._wanted[kind],
            "opacity": self._opacity[kind],
            "metadata": {"napari_al": kind},
            **self.camera.placement.kwargs(self._texels(kind)),
        }
        layer = make_layer(kind, picture, self._classes, self._dim_shown, common)
        if kind == "image":
            self._stretched = ()
            layer.gamma = BRIGHT_GAMMA if self._is_bright else 1.0
        above = [self._layers[k] for k in ORDER[ORDER.index(kind) + 1 :] if k in self._layers]
        insert_layer(self._viewer, layer, below=above)
        self._layers[kind] = layer
        self.added.emit(layer)


def _limits(image: Layer) -> tuple[float, float]:
    """Return the values that are shown as black and as white."""
    return (0.0, 255.0) if image.rgb else tuple(image.contrast_limits)
