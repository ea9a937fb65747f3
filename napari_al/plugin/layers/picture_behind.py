"""A block where it lies in its picture, with the whole picture behind it, small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.formats.parts.overview import overview_of
from napari_al.formats.parts.picture_parts import BLOCK_PX, block_at
from napari_al.plugin.layers.channel_view import Contrast, robust_range
from napari_al.plugin.layers.layer_kinds import insert_layer
from napari_al.plugin.layers.picture_store import displayed
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.plugin.layers.channel_view import ChannelView
    from napari_al.plugin.layers.layer_set import LayerSet
    from napari_al.plugin.layers.placement import Placement
    from napari_al.plugin.widgets.background import Background

    View = tuple[ChannelView, ...]

NAME = "Whole picture"
OPACITY = 0.6
"""Darker than the block."""
READ_MS = 300
"""From when a picture has been read: the layers of a question, which come first, are made by then,
and napari takes 0.1 s for each."""
N_KEPT = 4
"""Pictures in memory, of up to 50 MB each."""


class PictureBehind:
    """Moves a viewer's layers to where an image lies, and shows its picture below all of them.

    A picture that the user has hidden or removed stays away until `close`.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : LayerSet
        What is moved; its ``placement`` and ``contrast`` are those of the picture, too.
    """

    def __init__(self, viewer: Viewer, layers: LayerSet) -> None:
        self._viewer, self._layers = viewer, layers
        self._layer: Layer | None = None
        self._shown: tuple[object, ...] = ()
        self._kept: dict[tuple[object, ...], NDArray[Any] | None] = {}
        self._put: tuple[DataFolder, str, Background, View | None] | None = None
        self._read = timer(READ_MS, self._update)

    def put(
        self,
        data: DataFolder,
        image: str,
        placement: Placement,
        background: Background,
        view: View | None = None,
    ) -> bool:
        """Move the layers to an image; of a block, show the picture as soon as it is read.

        Parameters
        ----------
        data : DataFolder
        image : str
        placement : Placement
            Of the image's picture.
        background : Background
            Reads pictures.
        view : tuple of ChannelView, optional
            The channels that are shown.

        Returns
        -------
        bool
            Whether the layers were elsewhere.
        """
        part = data.part(image)
        was_elsewhere = self._layers.place(placement, *((0, 0) if part is None else part.box[:2]))
        self._put = data, image, background, view
        self._update()
        return was_elsewhere

    def close(self) -> None:
        """Remove the layer, and forget the pictures."""
        self._put = None
        self._read.stop()
        self._remove()
        self._layer = None
        self._kept.clear()

    @property
    def _is_wanted(self) -> bool:
        """Whether the user wants to see it."""
        return self._layer is None or (self._layer in self._viewer.layers and self._layer.visible)

    def _update(self, _: object = None) -> None:
        """Show the picture of the image that was put last; also when the user wants it again."""
        if self._put is None:
            return
        data, image, background, view = self._put
        background.drop(NAME)
        if not self._is_wanted:
            return
        part = data.part(image)
        if part is None or not part.is_block:
            self._remove()
            return
        shape, key = part.picture_shape, (data.path, part.picture, part.plane, view)

        def read() -> NDArray[Any] | None:
            pixels = overview_of(data, image)
            return None if pixels is None else displayed(pixels, data.rules.ranges, view)

        def keep(picture: NDArray[Any] | None) -> None:
            self._kept[key] = picture
            for oldest in list(self._kept)[:-N_KEPT]:
                del self._kept[oldest]
            self._read.start()

        if key in self._kept:
            self._show(self._kept[key], shape)
        else:  # of what cannot be read the block says why
            background.request(NAME, read, keep, lambda _: keep(None))

    def _show(self, picture: NDArray[Any] | None, shape: tuple[int, int]) -> None:
        """Show a picture, (h, w) or (h, w, 3), of a larger one of H x W pixels; None: nothing."""
        from napari.layers import Image

        if picture is None:
            self._remove()
            return
        placement, contrast = self._layers.placement, self._layers.contrast
        shown = id(picture), placement, contrast
        if shown == self._shown:
            return
        self._remove()
        self._shown = shown
        grey: dict[str, Any] = {}
        if picture.ndim == 2:
            limits, gamma = contrast or Contrast(robust_range(picture))
            grey = {"contrast_limits": limits, "gamma": gamma}
        self._layer = Image(
            picture,
            rgb=picture.ndim == 3,
            name=NAME,
            opacity=OPACITY,
            metadata={"napari_al": "overview"},
            **placement.kwargs((picture.shape[0] / shape[0], picture.shape[1] / shape[1])),
            **grey,
        )
        self._layer.events.visible.connect(self._update)
        insert_layer(self._viewer, self._layer, below=self._viewer.layers)

    def _remove(self) -> None:
        self._shown = ()
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
            self._layer = None


def block_beside(data: DataFolder, image: str, pixel_rc: tuple[int, int]) -> str | None:
    """Return the other block of a block's picture that a pixel lies in; None: it lies in none.

    Parameters
    ----------
    data : DataFolder
    image : str
        None has others unless it is a block.
    pixel_rc : (int, int)
        Row and column in the image.
    """
    part = data.part(image)
    if part is None or not part.is_block:
        return None
    found = block_at(part, pixel_rc, data.rules.block_px or BLOCK_PX)
    return None if found is None or found == part else found.name
