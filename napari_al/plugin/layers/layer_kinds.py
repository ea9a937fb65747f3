"""Kinds of layers: names, order, colours, and how each is made."""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.plugin.layers import highlight
from napari_al.plugin.layers.picture_store import KINDS, PictureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.layers import Layer
    from napari.utils import Colormap
    from napari.viewer import Viewer
    from numpy.typing import NDArray

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
"""From the bottom up."""
CLASS_KINDS: tuple[LayerKind, ...] = ("answers", "targets", "prediction")
OPACITY: dict[LayerKind, float] = {
    "image": 1.0,
    "answers": 0.5,
    "targets": 0.5,
    "prediction": 0.5,
    "heatmap": 0.6,
    "borders": 0.5,
    "query": 1.0,
    "drawing": 0.6,
}

BRIGHTNESS_STEP_PX = 8
"""The brightness of a picture is taken of every eighth pixel, along both axes."""
LOADED_WITH_LAYERS = (
    "napari.layers",
    "napari.components.histogram",
    "scipy.ndimage",
    "skimage.color.colorconv",
    "pandas",
)


def make_layer(
    kind: LayerKind,
    picture: NDArray[Any] | None,
    classes: Sequence[ClassInfo],
    dim: float,
    common: dict[str, Any],
) -> Layer:
    """Return a new layer; ``common`` are arguments that every kind takes."""
    from napari.layers import Image, Shapes

    if kind in CLASS_KINDS:
        return class_layer(picture, classes, common)
    if kind == "drawing":
        return Shapes(ndim=2, edge_width=1, **common)
    if kind == "heatmap":
        return score_layer(picture, common)
    if kind == "image":
        is_rgb = picture is not None and picture.ndim == 3
        return Image(picture, rgb=is_rgb, interpolation2d="linear", **common)
    colors, limits = (
        (query_colors(dim), (-0.5, highlight.N_CODES - 0.5))
        if kind == "query"
        else (_border_colors(), (0, 1))
    )
    return Image(
        picture,
        rgb=False,
        colormap=colors,
        contrast_limits=limits,
        interpolation2d="nearest",
        **common,
    )


def class_layer(
    class_map: NDArray[Any] | None, classes: Sequence[ClassInfo], common: dict[str, Any]
) -> Layer:
    """Return a layer of class ids in the classes' colours."""
    from napari.layers import Labels

    colors, names = class_colors(classes), class_names(classes)
    return Labels(class_map, colormap=colors, features=names, **common)


def score_layer(
    scores: NDArray[Any] | None, common: dict[str, Any], colormap: str | None = None
) -> Layer:
    """Return a heatmap: bright values are high, NaN is clear."""
    from napari.layers import Image

    limits = score_limits(scores)
    return Image(scores, colormap=colormap or "inferno", contrast_limits=limits, **common)


def load_units() -> Callable[[], None]:
    """Read the units of measurement that napari's layers need; for any thread, as it takes 0.2 s.

    Returns a function that installs them, for the window's thread. pint fills its registry when
    the first unit is used, and another thread that uses one meanwhile finds it half full: an image
    opened just then would fail. So another registry is filled here, and only installed if pint's
    own is still empty.
    """
    import pint
    from pint.registry import LazyRegistry

    units: Any = pint.UnitRegistry(on_redefinition="raise")
    in_use: Any = pint.application_registry

    def adopt() -> None:
        if isinstance(in_use.get(), LazyRegistry):
            in_use.set(units)

    return adopt


def load_layers() -> None:
    """Import what napari imports with its first layers; for any thread.

    Otherwise the window freezes for 0.5 s when the first image shows. The imported modules are
    frozen for the garbage collector, which would otherwise stop everything for 0.1 s. No layer is
    made here: pint's registry of units cannot be filled by two threads at once.
    """
    gc.freeze()
    for name in LOADED_WITH_LAYERS:
        importlib.import_module(name)
    from vispy.visuals.line.dash_atlas import DashAtlas

    DashAtlas()  # of the first layer of labels: it keeps its patterns
    gc.freeze()


def blank(kind: LayerKind, shape: tuple[int, int]) -> NDArray[Any]:
    """Return a picture of a kind with nothing on it (of regions and overlays)."""
    if kind in CLASS_KINDS:
        return np.full(shape, IGNORE, np.uint8)
    if kind == "heatmap":
        return np.full(shape, np.nan, np.float32)
    return np.zeros(shape, np.uint8)


def insert_layer(viewer: Viewer, layer: Layer, below: Iterable[Layer] = ()) -> None:
    """Add a layer below the lowest of some others, or above all; what is selected stays so.

    napari selects each new layer. Nobody is told of that, as it is taken back at once: changing
    the controls beside the list twice would take longer than all the rest.
    """
    layers, selected = viewer.layers, set(viewer.layers.selection)
    others = {id(other) for other in below}
    index = next((n for n, other in enumerate(layers) if id(other) in others), len(layers))
    with layers.selection.events.blocker_all():
        layers.insert(index, layer)
        layers.selection.clear()
        layers.selection.update(selected)


def score_limits(scores: NDArray[np.float32] | None) -> tuple[float, float]:
    """Return the contrast limits of a heatmap."""
    if scores is None or not np.isfinite(scores).any():
        return (0.0, 1.0)
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    return (low, high if high > low else low + 1e-6)


def query_colors(dim: float) -> Colormap:
    """Return the colours of the highlight's codes; ``dim``: how dark its darkest shade is."""
    from napari.utils import Colormap

    n_codes = highlight.N_CODES
    colors = np.zeros((n_codes, 4), np.float32)
    colors[highlight.LIGHT] = 1
    colors[highlight.DARK, 3] = 1
    colors[highlight.DARK + 1 :, 3] = np.linspace(0, dim, highlight.N_SHADES + 1)[1:]
    return Colormap(
        colors,
        controls=np.linspace(0, 1, n_codes + 1),
        interpolation="zero",
        name="queried region",
    )


def dim_code(picture: NDArray[Any], limits: Sequence[float]) -> int:
    """Return the highlight's code for the surroundings: the darker a picture, the less is darkened.

    That way it stays visible. A picture of half the full brightness or more gets
    ``highlight.DIM``. Codes, as another colormap would make napari build its shaders anew.

    Parameters
    ----------
    picture : (H, W) or (H, W, 3)
    limits : (float, float)
        The values shown as black and as white.
    """
    low, high = limits
    sample = picture[::BRIGHTNESS_STEP_PX, ::BRIGHTNESS_STEP_PX]
    brightness = (float(np.mean(sample)) - low) / max(high - low, 1e-9)
    shade = round(highlight.N_SHADES * float(np.clip(2 * brightness, 0, 1)))
    return highlight.DARK + max(1, shade)


def class_colors(classes: Sequence[ClassInfo]) -> Any:
    """Return the colour map of class ids; what is no class is clear."""
    from napari.utils import DirectLabelColormap

    clear = (0.0, 0.0, 0.0, 0.0)
    colors: dict[int | None, tuple[float, ...]] = {None: clear, IGNORE: clear}
    colors |= {c.id: (*(v / 255 for v in c.rgb), 1.0) for c in classes}
    return DirectLabelColormap(color_dict=colors)


def _border_colors() -> Colormap:
    from napari.utils import Colormap

    return Colormap([[0, 0, 0, 0], [1, 1, 1, 1]], name="region borders")


def class_names(classes: Sequence[ClassInfo]) -> dict[str, list[Any]]:
    """Return features with which napari's status bar names the class under the cursor."""
    return {"index": [c.id for c in classes], "class": [c.name for c in classes]}
