"""Previews of other choices in the image and round that are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.plugin.inspect.overlay_cache import Maker
    from napari_al.plugin.inspect.overlay_layers import InspectLayers
    from napari_al.session.inspection.overlays import Look
    from napari_al.session.inspection.previews import Comparison, Cutting, Merging

LAYERS: dict[str, tuple[str, ...]] = {
    "try_merging": ("try_merging",),
    "try_cut": ("try_cut",),
    "try_acquisition": ("try_heatmap", "try_batches"),
}
"""The pictures of each preview."""


class Tries:
    """Shows what other choices would have given, and follows to other images and rounds.

    Each signal carries what came of it, or a sentence why nothing did.

    Parameters
    ----------
    layers : InspectLayers
    maker : Maker
    """

    merged = Signal(object)
    """A ``Merging`` or a sentence."""
    cut = Signal(object)
    """A ``Cutting`` or a sentence."""
    compared = Signal(object)
    """A ``Comparison`` or a sentence."""

    def __init__(self, layers: InspectLayers, maker: Maker) -> None:
        self._layers, self._maker = layers, maker
        self._look: Look | None = None
        self._wished: dict[str, Callable[[Look], None]] = {}

    def look_at(self, look: Look) -> None:
        """Preview everything that is wished for in another image or round."""
        self._look = look
        for ask in list(self._wished.values()):
            ask(look)

    def close(self) -> None:
        """Wish for nothing any more."""
        self._look = None
        self._wished.clear()

    def merge(self, epsilon: float) -> None:
        """Preview the superpixels merged at another epsilon."""

        def make(look: Look) -> Merging:
            from napari_al.session.inspection.previews import merge_at  # loads OpenCV: in a thread

            return merge_at(look, epsilon)

        def show(merging: Merging) -> None:
            self._layers.show("try_merging", merging.cells)
            self.merged.emit(merging)

        self._wish("try_merging", make, show, self.merged.emit)

    def cut_into(self, n_per_image: int) -> None:
        """Preview superpixels of another size."""

        def make(look: Look) -> tuple[Cutting, Any]:
            from napari_al.core.geometry.adjacency import borders
            from napari_al.session.inspection.previews import cut_into

            cutting = cut_into(look, n_per_image)
            return cutting, borders(cutting.region_map)

        def show(made: tuple[Cutting, Any]) -> None:
            cutting, lines = made
            self._layers.show("try_cut", lines)
            self.cut.emit(cutting)

        self._wish("try_cut", make, show, self.cut.emit)

    def ask_by(self, name: str, with_scores: bool) -> None:
        """Preview what another acquisition function would have asked, and perhaps its scores."""

        def make(look: Look) -> Comparison:
            from napari_al.session.inspection.previews import compare_acquisitions

            return compare_acquisitions(look, name)

        def show(comparison: Comparison) -> None:
            if with_scores:
                self._layers.show("try_heatmap", comparison.heatmap)
            else:
                self._layers.hide("try_heatmap")
            self._layers.show("try_batches", comparison.batches)
            self.compared.emit(comparison)

        self._wish("try_acquisition", make, show, self.compared.emit)

    def end(self, slot: str) -> None:
        """Show a preview no longer."""
        self._wished.pop(slot, None)
        self._maker.drop(slot)
        self._hide(slot)

    def _wish(
        self,
        slot: str,
        make: Callable[[Look], Any],
        show: Callable[[Any], None],
        explain: Callable[[str], None],
    ) -> None:
        def why_not(reason: str) -> None:
            self._hide(slot)
            explain(reason)

        def ask(look: Look) -> None:
            self._maker.ask(slot, look, make, show, why_not)

        self._wished[slot] = ask
        if self._look is not None:
            ask(self._look)

    def _hide(self, slot: str) -> None:
        for key in LAYERS[slot]:
            self._layers.hide(key)
