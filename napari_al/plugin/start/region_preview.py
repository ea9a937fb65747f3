"""The start page's preview: an image of the folder and the outlines of its superpixels."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_al.core.geometry.adjacency import borders
from napari_al.errors import InputError
from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.layers.picture_store import displayed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from napari_al.methods.table import Regions
    from napari_al.plugin.layers.layer_set import LayerSet

MAX_PX = 1_500_000
"""Of larger images a piece from the middle is cut, in proportion."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How regions come out: their number and the side of a square as large as the middle one."""

    n_regions: int
    side_px: int


@dataclass(frozen=True, slots=True)
class _Wish:
    key: Hashable
    read: Callable[[], NDArray[Any]]
    kind: Regions
    n_per_image: int


class Preview:
    """Shows one image and its regions; the newest wish wins.

    Parameters
    ----------
    layers : LayerSet
    dispatch : callable
        Runs a function on the window's thread.
    """

    cut = Signal(object)
    """A ``Cut``, when the regions shown have changed."""
    failed = Signal(str)

    def __init__(self, layers: LayerSet, dispatch: Callable[[Callable[[], None]], None]) -> None:
        self._layers, self._dispatch = layers, dispatch
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")
        self._wish: _Wish | None = None
        self._busy = self._closed = False
        self._pixels: tuple[object, NDArray[Any]] | None = None

    def show(
        self,
        key: Hashable,
        read: Callable[[], NDArray[Any]],
        kind: Regions,
        n_per_image: int,
        placement: Placement | None = None,
    ) -> None:
        """Show the image that ``read`` returns, cut into about ``n_per_image`` regions.

        It is read once for a ``key``.
        """
        if self._closed:
            return
        self._layers.place(placement or Placement())
        self._layers.set_wanted("borders", True)
        self._wish = _Wish(key, read, kind, n_per_image)
        self._go_on()

    def stop(self) -> None:
        """Show nothing more; what is there stays for whoever comes next."""
        self._wish = None

    def close(self) -> None:
        """End it."""
        self._closed = True
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _go_on(self) -> None:
        wish = self._wish
        if wish is not None and not self._busy:
            self._busy = True
            future = self._pool.submit(self._make, wish)
            future.add_done_callback(lambda done: self._dispatch(lambda: self._show(wish, done)))

    def _make(self, wish: _Wish) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, Cut | None]:
        """Return the image as it is shown, the outlines of its regions, and how these came out."""
        if self._pixels is None or self._pixels[0] != wish.key:
            self._pixels = (wish.key, wish.read())
        pixels = self._pixels[1]
        if wish.kind == "masks":
            return displayed(pixels), None, None
        from napari_al.core.superpixels import superpixels

        rows, cols = _middle((pixels.shape[0], pixels.shape[1]))
        piece = pixels[rows, cols]
        share = piece.shape[0] * piece.shape[1] / (pixels.shape[0] * pixels.shape[1])
        region_map = np.full(pixels.shape[:2], -1, np.int32)
        region_map[rows, cols] = superpixels(
            piece, wish.kind, n_per_image=max(1, round(wish.n_per_image * share))
        )
        sizes = np.bincount(region_map[region_map >= 0])
        inside = sizes.sum() / region_map.size
        side = round(float(np.sqrt(np.median(sizes[sizes > 0]))))
        cut = Cut(round(np.count_nonzero(sizes) / inside), side)
        return displayed(pixels), borders(region_map), cut

    def _show(self, wish: _Wish, done: Future[Any]) -> None:
        self._busy = False
        if self._wish is None:
            return
        error = done.exception()
        if isinstance(error, InputError | OSError):
            self.failed.emit(str(error))
        elif error is not None:
            raise error
        else:
            self._put(*done.result())
        if self._wish is not wish:
            self._go_on()

    def _put(
        self, image: NDArray[np.uint8], outlines: NDArray[np.uint8] | None, cut: Cut | None
    ) -> None:
        layers = self._layers
        before = layers.get("image")
        is_new = before is None or before.data.shape != image.shape
        layers.show("image", image)
        if is_new:
            layers.camera.whole_image()
        layers.show("borders", outlines)
        if cut is not None:
            self.cut.emit(cut)


def _middle(shape: tuple[int, int]) -> tuple[slice, slice]:
    shrink = min(1.0, float(np.sqrt(MAX_PX / (shape[0] * shape[1]))))
    lengths = [max(1, int(n * shrink)) for n in shape]
    starts = [(n - length) // 2 for n, length in zip(shape, lengths, strict=True)]
    rows, cols = (slice(s, s + length) for s, length in zip(starts, lengths, strict=True))
    return rows, cols
