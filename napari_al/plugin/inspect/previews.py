"""Previews of other choices (epsilon, superpixel size, acquisition function) in image and round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.plugin.inspect.overlay_layers import InspectLayers
    from napari_al.plugin.inspect.overlay_requests import OverlayRequests
    from napari_al.session.inspection.overlays import RoundImage
    from napari_al.session.inspection.previews import Comparison, Cutting, Merging

LAYERS: dict[str, tuple[str, ...]] = {
    "try_merging": ("try_merging",),
    "try_cut": ("try_cut",),
    "try_acquisition": ("try_heatmap", "try_batches"),
}
"""Layers of each preview."""


class Previews:
    """Shows what other choices would have given; updated for other images and rounds.

    Each signal carries the result, or a message why there is none.

    Parameters
    ----------
    layers : InspectLayers
    requests : OverlayRequests
    look : RoundImage
        Image and round to begin with.
    """

    merged = Signal(object)
    """``Merging``, or a message."""
    cut = Signal(object)
    """``Cutting``, or a message."""
    compared = Signal(object)
    """``Comparison``, or a message."""

    def __init__(self, layers: InspectLayers, requests: OverlayRequests, look: RoundImage) -> None:
        self._layers, self._requests = layers, requests
        self._look = look
        self._active: dict[str, Callable[[RoundImage], None]] = {}

    def show(self, look: RoundImage) -> None:
        """Update all active previews for another image or round."""
        self._look = look
        for ask in list(self._active.values()):
            ask(look)

    def merge(self, epsilon: float) -> None:
        """Preview the superpixels merged at another epsilon."""

        def make(look: RoundImage) -> Merging:
            from napari_al.session.inspection.previews import merge_at  # loads OpenCV: in a thread

            return merge_at(look, epsilon)

        def show(merging: Merging) -> None:
            self._layers.show("try_merging", merging.cells)
            self.merged.emit(merging)

        self._start("try_merging", make, show, self.merged.emit)

    def cut_into(self, n_per_image: int) -> None:
        """Preview superpixels of another size."""

        def make(look: RoundImage) -> tuple[Cutting, Any]:
            from napari_al.core.geometry.adjacency import borders
            from napari_al.session.inspection.previews import cut_into

            cutting = cut_into(look, n_per_image)
            return cutting, borders(cutting.region_map)

        def show(made: tuple[Cutting, Any]) -> None:
            cutting, lines = made
            self._layers.show("try_cut", lines)
            self.cut.emit(cutting)

        self._start("try_cut", make, show, self.cut.emit)

    def compare(self, name: str, with_scores: bool) -> None:
        """Preview the batch of another acquisition function, and optionally its scores."""

        def make(look: RoundImage) -> Comparison:
            from napari_al.session.inspection.previews import compare_acquisitions

            return compare_acquisitions(look, name)

        def show(comparison: Comparison) -> None:
            if with_scores:
                self._layers.show("try_heatmap", comparison.heatmap)
            else:
                self._layers.hide("try_heatmap")
            self._layers.show("try_batches", comparison.batches)
            self.compared.emit(comparison)

        self._start("try_acquisition", make, show, self.compared.emit)

    def end(self, slot: str) -> None:
        """Stop a preview."""
        self._active.pop(slot, None)
        self._requests.drop(slot)
        self._hide(slot)

    def _start(
        self,
        slot: str,
        make: Callable[[RoundImage], Any],
        show: Callable[[Any], None],
        explain: Callable[[str], None],
    ) -> None:
        def explain_missing(reason: str) -> None:
            self._hide(slot)
            explain(reason)

        def ask(look: RoundImage) -> None:
            self._requests.request(slot, look, make, show, explain_missing)

        self._active[slot] = ask
        ask(self._look)

    def _hide(self, slot: str) -> None:
        for key in LAYERS[slot]:
            self._layers.hide(key)
