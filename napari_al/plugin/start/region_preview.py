"""Preview of the start page: an image with the outlines of the superpixels it would be cut into."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_al.core.geometry.adjacency import borders
from napari_al.plugin.layers.channel_view import contrast_of
from napari_al.plugin.layers.highlight import dilated
from napari_al.plugin.layers.picture_store import displayed
from napari_al.plugin.layers.placement import Placement, Placements
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import NEXT_TURN_MS, timer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from napari_al.errors import InputError
    from napari_al.formats.dataset import DataFolder
    from napari_al.methods.table import Regions
    from napari_al.plugin.layers.layer_set import LayerSet
    from napari_al.plugin.widgets.main_thread import Dispatch

MAX_PX = 1_500_000
"""Of larger images the centre is cut, in proportion."""


@dataclass(frozen=True, slots=True)
class RegionCount:
    """Number of regions in an image, and the side of a square of their median size."""

    n_regions: int
    side_px: int


@dataclass(frozen=True, slots=True)
class PreviewedImage:
    """An image to preview.

    Attributes
    ----------
    key : hashable
        It is read once a key.
    read : callable
        Returns the (H, W, C) pixels.
    placement : Placement
        Where images lie in the world.
    of : (DataFolder, str) or None
        The data folder that it is of, and its name there.
    """

    key: Hashable
    read: Callable[[], NDArray[Any]]
    placement: Placement = field(default_factory=Placement)
    of: tuple[DataFolder, str] | None = None

    @classmethod
    def of_folder(cls, data: DataFolder, name: str, placements: Placements) -> PreviewedImage:
        """Return an image of a data folder."""
        read, placement = partial(data.image, name), placements.of(data, name)
        return cls((data.path, name), read, placement, of=(data, name))


@dataclass(frozen=True, slots=True)
class _Preview:
    """Image as displayed, its part that is cut, outlines and count: None for regions from masks."""

    image: PreviewedImage
    picture: NDArray[Any]
    rows: slice
    cols: slice
    outlines: NDArray[np.uint8] | None = None
    count: RegionCount | None = None


class RegionPreview:
    """Shows one image and its regions; the latest request wins.

    Parameters
    ----------
    layers : LayerSet
    dispatch : callable
        Runs a function on the window's thread.
    """

    regions_changed = Signal(object)
    """A ``RegionCount``: other regions are shown."""
    failed = Signal(str)

    def __init__(self, layers: LayerSet, dispatch: Dispatch) -> None:
        self._layers = layers
        self._background = Background(dispatch, n_threads=1)  # guards `_pixels`
        self._overviews = Background(dispatch, n_threads=1)
        self._pixels: tuple[object, NDArray[Any]] | None = None
        self._preview: _Preview | None = None  # on screen, but for its outlines
        self._outlines = timer(NEXT_TURN_MS, self._show_outlines)

    def show(self, image: PreviewedImage, kind: Regions, n_per_image: int) -> None:
        """Show an image, cut into about ``n_per_image`` regions."""
        self._layers.set_wanted("borders", True)
        work = partial(self._make, image, kind, n_per_image, self._layers.camera.canvas_size())
        self._background.request("preview", work, self._show, self._on_error)

    def stop(self) -> None:
        """Drop requests; the layers stay for the session that is opened."""
        self._outlines.stop()
        self._background.drop_all()
        self._overviews.drop_all()

    def close(self) -> None:
        """End the threads."""
        self._outlines.stop()
        self._background.close()
        self._overviews.close()

    def _make(
        self, image: PreviewedImage, kind: Regions, n_per_image: int, canvas: tuple[int, int]
    ) -> _Preview:
        """Compute the preview, in the thread; lines can be seen where the part fills the canvas."""
        if self._pixels is None or self._pixels[0] != image.key:
            self._pixels = (image.key, image.read())
        pixels = self._pixels[1]
        picture = displayed(pixels, () if image.of is None else image.of[0].rules.ranges)
        rows, cols = _centre((pixels.shape[0], pixels.shape[1]))
        if kind == "masks":
            return _Preview(image, picture, rows, cols)
        from napari_al.core.superpixels import superpixels

        piece = pixels[rows, cols]
        share = piece.shape[0] * piece.shape[1] / (pixels.shape[0] * pixels.shape[1])
        region_map = np.full(pixels.shape[:2], -1, np.int32)
        region_map[rows, cols] = superpixels(
            piece, kind, n_per_image=max(1, round(n_per_image * share))
        )
        sizes = np.bincount(region_map[region_map >= 0])
        inside = sizes.sum() / region_map.size
        side = round(float(np.sqrt(np.median(sizes[sizes > 0]))))
        count = RegionCount(round(np.count_nonzero(sizes) / inside), side)
        outlines = borders(region_map)
        px_a_line = max(piece.shape[0] / canvas[0], piece.shape[1] / canvas[1])
        if px_a_line > 1:
            thick = dilated(outlines[rows, cols].astype(bool), round(px_a_line / 2))
            outlines[rows, cols] = thick
        return _Preview(image, picture, rows, cols, outlines, count)

    def _on_error(self, error: InputError | OSError) -> None:
        self.failed.emit(str(error))

    def _show(self, preview: _Preview) -> None:
        layers = self._layers
        before = layers.get("image")
        is_new = before is None or before.data.shape != preview.picture.shape
        is_new |= self._put(preview.image)
        layers.show("image", preview.picture)
        if is_new:
            layers.camera.part(preview.rows, preview.cols)
        self._preview = preview
        self._outlines.start()  # one layer at a time: napari takes 0.1 s and more for each

    def _put(self, image: PreviewedImage) -> bool:
        """Move the layers to where an image lies; return whether they were elsewhere."""
        layers = self._layers
        layers.set_contrast(None if image.of is None else contrast_of(image.of[0].rules))
        if image.of is None:
            layers.behind.close()
            return layers.place(image.placement)
        return layers.behind.put(*image.of, image.placement, self._overviews)

    def _show_outlines(self) -> None:
        preview, self._preview = self._preview, None
        if preview is None:
            return
        self._layers.show("borders", preview.outlines)
        if preview.count is not None:
            self.regions_changed.emit(preview.count)


def _centre(shape: tuple[int, int]) -> tuple[slice, slice]:
    shrink = min(1.0, float(np.sqrt(MAX_PX / (shape[0] * shape[1]))))
    lengths = [max(1, int(n * shrink)) for n in shape]
    starts = [(n - length) // 2 for n, length in zip(shape, lengths, strict=True)]
    rows, cols = (slice(s, s + length) for s, length in zip(starts, lengths, strict=True))
    return rows, cols
