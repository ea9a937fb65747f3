"""The napari layers of a session: made once, then only given new data.

`LayerSet` owns them and the camera's moves; what to show is decided elsewhere (``workbench.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_al.core import IGNORE
from napari_al.plugin import highlight
from napari_al.plugin.pictures import KINDS, PictureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer, Shapes
    from napari.utils import Colormap
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.core.masks import Mask
    from napari_al.formats.dataset import ClassInfo

LayerKind = PictureKind | Literal["query", "drawing"]

NAMES: dict[LayerKind, str] = {
    "image": "Image",
    "answers": "Labels so far",
    "targets": "Training labels",
    "prediction": "Prediction",
    "heatmap": "Worth asking",
    "borders": "Region borders",
    "query": "Queried region",
    "drawing": "Drawing",
}
ORDER: tuple[LayerKind, ...] = (*KINDS, "query", "drawing")
CLASS_KINDS: tuple[LayerKind, ...] = ("answers", "targets", "prediction")
DIM_UNDER_OVERLAYS = 0.4
"""Share of the dimming that is left while the heatmap or labels are shown."""
MAX_OFF_CENTRE = 0.4
"""Of half the canvas."""
MIN_VIEW_PX = 24
"""The camera never comes nearer than this many image pixels across, times the context."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where images lie in the world: per axis (row, column), as in napari."""

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    units: tuple[Any, Any] | None = None
    axis_labels: tuple[str, str] | None = None

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return the placement of a layer's planes."""
        return cls(
            scale=(float(layer.scale[-2]), float(layer.scale[-1])),
            translate=(float(layer.translate[-2]), float(layer.translate[-1])),
            units=tuple(layer.units[-2:]) if getattr(layer, "units", None) else None,
            axis_labels=(
                tuple(layer.axis_labels[-2:]) if getattr(layer, "axis_labels", None) else None
            ),
        )

    def kwargs(self, k: int = 1) -> dict[str, Any]:
        """Return arguments for a layer with k x k texels an image pixel."""
        out: dict[str, Any] = {
            "scale": tuple(s / k for s in self.scale),
            "translate": tuple(
                t + (0.5 / k - 0.5) * s for s, t in zip(self.scale, self.translate, strict=True)
            ),
        }
        if self.units is not None:
            out["units"] = self.units
        if self.axis_labels is not None:
            out["axis_labels"] = self.axis_labels
        return out

    def world(self, row: float, col: float) -> tuple[float, float]:
        """Return the world coordinates of a point given in image pixels (centre of 0 at 0)."""
        return (
            row * self.scale[0] + self.translate[0],
            col * self.scale[1] + self.translate[1],
        )


def camera_of(viewer: Viewer) -> Any:
    """Return the camera, wherever this napari keeps it."""
    return getattr(viewer, "scene", viewer).camera


def canvas_size(viewer: Viewer) -> tuple[int, int]:
    """Return the canvas's (height, width) in screen pixels, or a guess in an older napari."""
    canvas = getattr(viewer, "canvas", None)
    size = getattr(canvas, "size", None) or (600, 800)
    return int(size[0]), int(size[1])


class LayerSet:
    """Owns our layers in one viewer.

    Layers come into being when they first have something to show, and again after the user has
    removed one. ``added`` is emitted with each.

    Notes
    -----
    Some software OpenGL drivers (Mesa 22.3) crash when the data of a layer changes shape in a
    viewer from which a layer has been removed before. While none has been, data of another shape
    goes into the layers that are there, which is quick; afterwards layers are replaced instead.
    """

    added = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._classes: tuple[ClassInfo, ...] = ()
        self._placement = Placement()
        self._layers: dict[LayerKind, Layer] = {}
        self._may_resize = True
        self._opacity: dict[LayerKind, float] = dict.fromkeys(CLASS_KINDS, 0.5) | {
            "heatmap": 0.6,
            "borders": 0.5,
        }
        self._dim = self._dim_shown = 0.6
        self._reset()

    def _reset(self) -> None:
        self._wanted: dict[LayerKind, bool] = dict.fromkeys(ORDER, False) | {
            "image": True,
            "query": True,
        }
        self._shape = (0, 0)
        self._k = 1
        self._picture = np.zeros((1, 1), np.uint8)
        self._shown: tuple[Mask, highlight.Marks | None] | None = None
        self._drawn_at = 0.0

    def place(self, placement: Placement) -> None:
        """Put all layers where the images lie in the world."""
        self._placement = placement
        for kind, layer in self._layers.items():
            self._put(kind, layer)

    def _put(self, kind: LayerKind, layer: Layer) -> None:
        placed = self._placement.kwargs(self._k if kind == "query" else 1)
        layer.scale, layer.translate = placed["scale"], placed["translate"]

    # ---- pictures

    def get(self, kind: LayerKind) -> Layer | None:
        """Return a layer if it is there."""
        return self._layers.get(kind)

    def all(self) -> tuple[Layer, ...]:
        """Return the layers that are there."""
        return tuple(self._layers.values())

    def kind_of(self, layer: Layer) -> LayerKind | None:
        """Return what a layer of ours is; None of others."""
        return next((kind for kind, ours in self._layers.items() if ours is layer), None)

    def wants(self, kind: LayerKind) -> bool:
        """Whether a kind of picture is to be seen."""
        layer = self._layers.get(kind)
        return bool(layer.visible) if layer is not None else self._wanted[kind]

    def set_wanted(self, kind: LayerKind, wanted: bool) -> None:
        """Show or hide a kind of picture."""
        self._wanted[kind] = wanted
        layer = self._layers.get(kind)
        if layer is not None and layer.visible != wanted:
            layer.visible = wanted
        self._redim()

    def follow_eye(self) -> None:
        """Note that a layer was shown or hidden in napari's layer list."""
        self._redim()

    def set_opacity(self, kind: LayerKind, opacity: float) -> None:
        """Set how much a picture covers, 0 to 1."""
        self._opacity[kind] = opacity
        layer = self._layers.get(kind)
        if layer is not None:
            layer.opacity = opacity

    def opacity(self, kind: LayerKind) -> float:
        """Return how much a picture covers, 0 to 1."""
        layer = self._layers.get(kind)
        return float(layer.opacity) if layer is not None else self._opacity.get(kind, 1.0)

    def show(self, kind: PictureKind, picture: NDArray[Any] | None) -> None:
        """Give a layer its picture; None clears it."""
        if kind == "image" and picture is not None and picture.shape[:2] != self._shape:
            self._resize(picture)
        layer = self._layers.get(kind)
        if picture is None:
            if layer is None:
                return
            picture = self._blank(kind)
        if layer is None or layer.data.ndim != picture.ndim:
            self._remove(kind)
            self._add(kind, picture)
            return
        if layer.data.shape == picture.shape and layer.data.dtype == picture.dtype:
            np.copyto(layer.data, picture)  # a third of the time that `layer.data = ...` takes
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        else:
            layer.data = picture.copy()
        if kind == "heatmap":
            layer.contrast_limits = _limits(picture)

    def refresh_thumbnails(self) -> None:
        """Bring napari's layer list up to date, when there is time."""
        for layer in self._layers.values():
            if layer.visible:
                layer.refresh(data_displayed=False, highlight=False, extent=False)

    def _resize(self, image: NDArray[Any]) -> None:
        """Make everything as large as the next image, so that nothing of the last one shows."""
        self._shape = (image.shape[0], image.shape[1])
        self._k = highlight.fineness(self._shape)
        self._picture = highlight.blank(self._shape)
        self._shown = None
        for kind, layer in list(self._layers.items()):
            if kind == "drawing":
                continue
            blank = self._blank(kind) if kind != "image" else np.zeros_like(image)
            if not self._may_resize or layer.data.ndim != blank.ndim:
                self._remove(kind)
                self._add(kind, blank)
                continue
            layer.data = blank
            if kind == "query":
                self._put(kind, layer)

    def _blank(self, kind: LayerKind) -> NDArray[Any]:
        if kind == "query":
            return self._picture
        if kind == "image":
            return np.zeros_like(self._layers["image"].data)
        if kind in CLASS_KINDS:
            return np.full(self._shape, IGNORE, np.uint8)
        if kind == "heatmap":
            return np.full(self._shape, np.nan, np.float32)
        return np.zeros(self._shape, np.uint8)

    # ---- the queried region

    def highlight(self, mask: Mask | None, marks: highlight.Marks | None = None) -> None:
        """Show a region; None shows none."""
        self._shown = None if mask is None else (mask, marks)
        if self._shape != (0, 0):
            self.redraw()

    def redraw(self, *, only_if_zoomed: bool = False) -> None:
        """Draw the region with lines that fit the present zoom."""
        zoom = float(camera_of(self._viewer).zoom)
        if only_if_zoomed and (self._shown is None or 0.8 < zoom / self._drawn_at < 1.25):
            return
        if self._shown is None:
            self._picture.fill(highlight.CLEAR)
        else:
            mask, marks = self._shown
            texel_px = max(zoom * min(map(abs, self._placement.scale)) / self._k, 1e-6)
            highlight.draw(self._picture, mask, texel_px=texel_px, k=self._k, marks=marks)
            self._drawn_at = zoom
        layer = self._layers.get("query")
        if layer is None:
            self._add("query", self._picture)
        else:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def set_dim(self, dim: float) -> None:
        """Set how dark the surroundings are, 0 to 1."""
        self._dim = dim
        self._redim()

    def _redim(self) -> None:
        """Darken the surroundings less while something is to be seen there."""
        covered = any(self.wants(kind) for kind in (*CLASS_KINDS, "heatmap"))
        shown = self._dim * (DIM_UNDER_OVERLAYS if covered else 1)
        layer = self._layers.get("query")
        if layer is not None and shown != self._dim_shown:
            self._dim_shown = shown
            layer.colormap = _query_colors(shown)

    def activate(self, kind: LayerKind = "query") -> None:
        """Make a layer the active one, so that its keys count."""
        layer = self._layers.get(kind)
        if layer is not None and self._viewer.layers.selection.active is not layer:
            self._viewer.layers.selection.active = layer

    def pixel_at(self, position: Sequence[float]) -> tuple[int, int]:
        """Return row and column of the image's pixel at a place in the world."""
        row, col = (
            round((at - offset) / scale)
            for at, offset, scale in zip(
                position[-2:], self._placement.translate, self._placement.scale, strict=True
            )
        )
        return row, col

    # ---- drawing

    def drawing(self) -> Shapes:
        """Return the layer to draw polygons in, empty at first."""
        if "drawing" not in self._layers:
            self._add("drawing", None)
        return self._layers["drawing"]

    # ---- camera

    def focus(self, mask: Mask, context: float, *, keep_zoom: bool = False) -> None:
        """Move the camera to a region: it fills about 1/``context`` of the canvas.

        At the image's edge it lies a little off the centre, for more of the image to be seen.
        """
        row0, col0, row1, col1 = mask.box
        if not keep_zoom:
            sides = [
                max(min(max(side, MIN_VIEW_PX) * context, 1.05 * length), 1.1 * side)
                for side, length in zip((row1 - row0, col1 - col0), self._shape, strict=True)
            ]
            camera_of(self._viewer).zoom = self._zoom_for(sides)
        self._look_at((row0 + row1 - 1) / 2, (col0 + col1 - 1) / 2)

    def whole_image(self) -> None:
        """Show the whole image."""
        camera_of(self._viewer).zoom = 0.97 * self._zoom_for(self._shape)
        self._look_at((self._shape[0] - 1) / 2, (self._shape[1] - 1) / 2)

    def _zoom_for(self, sides: Sequence[float]) -> float:
        """Return the zoom at which so many rows and columns fit."""
        return min(
            screen / (side * abs(scale))
            for screen, side, scale in zip(
                canvas_size(self._viewer), sides, self._placement.scale, strict=True
            )
        )

    def _look_at(self, row: float, col: float) -> None:
        camera = camera_of(self._viewer)
        centre = []
        for at, length, screen, scale in zip(
            (row, col), self._shape, canvas_size(self._viewer), self._placement.scale, strict=True
        ):
            half = screen / (2 * camera.zoom * abs(scale))
            if 2 * half >= length:
                inside = (length - 1) / 2
            else:
                inside = min(max(at, half - 0.5), length - 0.5 - half)
            most = MAX_OFF_CENTRE * half
            centre.append(at + min(max(inside - at, -most), most))
        camera.center = (0.0, *self._placement.world(*centre))

    # ---- classes, coming and going

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use these colours from now on."""
        self._classes = tuple(classes)
        for kind in CLASS_KINDS:
            layer = self._layers.get(kind)
            if layer is not None:
                layer.colormap = _class_colors(self._classes)

    def forget(self, layer: Layer) -> LayerKind | None:
        """Note that a layer has been removed from the viewer; return which of ours it was."""
        self._may_resize = False
        kind = self.kind_of(layer)
        if kind is not None:
            del self._layers[kind]
        return kind

    def forget_all(self) -> None:
        """Let go of all layers, where they are."""
        self._layers.clear()

    def clear(self) -> None:
        """Take all layers away."""
        for kind in list(self._layers):
            self._remove(kind)
        self._reset()

    def _remove(self, kind: LayerKind) -> None:
        layer = self._layers.pop(kind, None)
        if layer is not None:
            self._wanted[kind] = bool(layer.visible)
            self._may_resize = False
            self._viewer.layers.remove(layer)

    def _add(self, kind: LayerKind, picture: NDArray[Any] | None) -> None:
        active = self._viewer.layers.selection.active
        layer = self._make(kind, picture if picture is self._picture else _own(picture))
        layer.metadata["napari_al"] = kind
        above = {id(self._layers[k]) for k in ORDER[ORDER.index(kind) + 1 :] if k in self._layers}
        places = [i for i, other in enumerate(self._viewer.layers) if id(other) in above]
        self._viewer.layers.insert(min(places, default=len(self._viewer.layers)), layer)
        self._layers[kind] = layer
        if active is not None and active in self._viewer.layers:
            self._viewer.layers.selection.active = active
        self.added.emit(layer)

    def _make(self, kind: LayerKind, picture: NDArray[Any] | None) -> Layer:
        from napari.layers import Image, Labels, Shapes

        common: dict[str, Any] = {"name": NAMES[kind], **self._placement.kwargs()}
        common |= {"visible": self._wanted[kind], "opacity": self._opacity.get(kind, 1.0)}
        match kind:
            case "image":
                return Image(picture, **common)
            case "answers" | "targets" | "prediction":
                return Labels(
                    picture,
                    colormap=_class_colors(self._classes),
                    features=_class_names(self._classes),
                    **common,
                )
            case "heatmap":
                limits = _limits(picture)
                return Image(picture, colormap="inferno", contrast_limits=limits, **common)
            case "borders":
                return Image(
                    picture,
                    rgb=False,
                    colormap=_border_colors(),
                    contrast_limits=(0, 1),
                    interpolation2d="nearest",
                    **common,
                )
            case "query":
                common |= self._placement.kwargs(self._k) | {"visible": True}
                return Image(
                    picture,
                    rgb=False,
                    colormap=_query_colors(self._dim_shown),
                    contrast_limits=(-0.5, highlight.N_CODES - 0.5),
                    interpolation2d="nearest",
                    **common,
                )
            case "drawing":
                common |= {"visible": True, "opacity": 0.6}
                return Shapes(ndim=2, edge_width=1, **common)


def _own(picture: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return a copy that may be written to."""
    return None if picture is None else picture.copy()


def _limits(scores: NDArray[np.float32] | None) -> tuple[float, float]:
    if scores is None or not np.isfinite(scores).any():
        return (0.0, 1.0)
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    return (low, high if high > low else low + 1e-6)


def _query_colors(dim: float) -> Colormap:
    from napari.utils import Colormap

    return Colormap(
        [[0, 0, 0, 0], [0, 0, 0, dim], [1, 1, 1, 1], [0, 0, 0, 1]],
        controls=[0, 0.25, 0.5, 0.75, 1],
        interpolation="zero",
        name="queried region",
    )


def _border_colors() -> Colormap:
    from napari.utils import Colormap

    return Colormap([[0, 0, 0, 0], [1, 1, 1, 1]], name="region borders")


def _class_colors(classes: Sequence[ClassInfo]) -> Any:
    from napari.utils import DirectLabelColormap

    clear = (0.0, 0.0, 0.0, 0.0)
    colors: dict[int | None, tuple[float, ...]] = {None: clear, IGNORE: clear}
    colors |= {c.id: (*(v / 255 for v in c.rgb), 1.0) for c in classes}
    return DirectLabelColormap(color_dict=colors)


def _class_names(classes: Sequence[ClassInfo]) -> dict[str, list[Any]]:
    """Return features with which napari's status bar names the class under the cursor."""
    return {"index": [c.id for c in classes], "class": [c.name for c in classes]}
