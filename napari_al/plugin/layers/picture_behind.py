"""A large picture as a whole, small, behind the block that is on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.plugin.layers.channel_view import Contrast, robust_range
from napari_al.plugin.layers.layer_kinds import add_at_bottom

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_al.plugin.layers.camera import Placement

NAME = "Whole picture"
OPACITY = 0.6
"""Darker than the block."""


class PictureBehind:
    """Shows pictures below all layers; one that the user has removed stays away.

    Parameters
    ----------
    viewer : napari.Viewer
    placement : Placement
        Where pictures lie in the world.
    contrast : Contrast, optional
        Of grey pictures.
    """

    def __init__(self, viewer: Viewer, placement: Placement, contrast: Contrast | None) -> None:
        self._viewer, self._placement, self._contrast = viewer, placement, contrast
        self._layer: Layer | None = None
        self._shown: NDArray[Any] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the user wants to see it."""
        return self._layer is None or (self._layer in self._viewer.layers and self._layer.visible)

    def show(self, picture: NDArray[Any] | None, shape: tuple[int, int]) -> None:
        """Show a picture, (h, w) or (h, w, 3), of a larger one of H x W pixels; None: nothing."""
        from napari.layers import Image

        if picture is self._shown or not self.is_wanted:
            return
        self.close()
        self._shown = picture
        if picture is None:
            return
        texels = (picture.shape[0] / shape[0], picture.shape[1] / shape[1])
        grey: dict[str, Any] = {}
        if picture.ndim == 2:
            limits, gamma = self._contrast or Contrast(robust_range(picture))
            grey = {"contrast_limits": limits, "gamma": gamma}
        self._layer = Image(
            picture,
            rgb=picture.ndim == 3,
            name=NAME,
            opacity=OPACITY,
            metadata={"napari_al": "overview"},
            **self._placement.kwargs(texels),
            **grey,
        )
        add_at_bottom(self._viewer, self._layer)

    def close(self) -> None:
        """Remove the layer."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self._shown = None
