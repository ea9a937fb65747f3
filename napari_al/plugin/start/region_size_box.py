"""Slider for the size of regions and how they are cut, with a preview on one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from napari_al.plugin.widgets.form_parts import button, choice, text

if TYPE_CHECKING:
    from napari_al.methods.table import Regions
    from napari_al.plugin.start.region_preview import RegionCount

SUPERPIXELS = {"seeds": "SEEDS", "slic": "SLIC"}
SETTLE_MS = 120
"""After the slider has moved."""
_NO_SIZE = {
    "masks": "The objects of the data folder's masks; where it has none, the connected parts of "
    "the labels, large ones cut into superpixels.",
    "grid": "Squares of 32×32 pixels.",
}
_STEPS = (16, 32, 64, 100, 150, 200, 300, 400, 600, 800, 1200, 2000, 4000, 8000)
"""Superpixels an image, along the slider."""


class RegionSizeBox(QWidget):
    """A slider, what cuts superpixels, and a button for another image to try it on.

    Attributes
    ----------
    n_per_image : int
        Superpixels an image.
    image_index : int
        Of the previewed image; counts on beyond the last one.
    """

    changing = Signal()
    """Something is being changed; ``changed`` follows once the slider rests."""
    changed = Signal()
    """The preview is outdated."""

    def __init__(self) -> None:
        super().__init__()
        self.image_index = 0
        self._regions: Regions = "seeds"
        self.n_per_image = 0
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(SETTLE_MS)
        self._debounce.timeout.connect(self.changed.emit)
        self.size = QSlider(Qt.Orientation.Horizontal)
        self.size.setRange(0, len(_STEPS) - 1)
        self.size.setToolTip("superpixels an image; watch their outlines over the image")
        self.size.valueChanged.connect(self._on_size)
        self._text = text("", "muted")
        self.superpixels = choice(
            SUPERPIXELS,
            "what cuts superpixels: SEEDS as in the papers, of OpenCV's contrib modules; SLIC of "
            "scikit-image, which needs none of them",
        )
        self.superpixels.setMinimumContentsLength(6)
        self.superpixels.currentIndexChanged.connect(lambda _: self._show_size())
        row = QHBoxLayout()
        row.addWidget(self.size, 1)
        row.addWidget(button("Other image", "preview on another image", self._other_image))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        words = QHBoxLayout()
        words.addWidget(self._text, 1)
        words.addWidget(self.superpixels)
        column.addLayout(words)
        self.preset(200)

    @property
    def regions(self) -> Regions:
        """The kind of base regions: the method's, or the superpixels chosen."""
        chosen: Regions = self.superpixels.currentData()
        return chosen if self._regions in SUPERPIXELS else self._regions

    def preset(self, n_per_image: int, regions: Regions = "seeds") -> None:
        """Set superpixels per image (the slider shows the nearest step), and their kind."""
        if regions in SUPERPIXELS:
            self.superpixels.setCurrentIndex(self.superpixels.findData(regions))
        else:
            self.set_regions(regions)
        nearest = min(_STEPS, key=lambda step: abs(step - n_per_image))
        self.size.setValue(_STEPS.index(nearest))
        self.n_per_image = n_per_image
        self._show_size()

    def set_regions(self, regions: Regions) -> None:
        """Use the kind of region of a method."""
        self._regions = regions
        self.size.setEnabled(regions not in _NO_SIZE)
        self.superpixels.setVisible(regions in SUPERPIXELS)
        self._show_size()

    def show_count(self, count: RegionCount) -> None:
        """Show number and size of the regions in the preview."""
        self._text.setText(
            f"{count.n_regions} regions an image, of about {count.side_px}×{count.side_px} pixels"
        )

    def _on_size(self, step: int) -> None:
        self.n_per_image = _STEPS[step]
        self._show_size()

    def _show_size(self) -> None:
        about = f"about {self.n_per_image} regions an image"
        self._text.setText(_NO_SIZE.get(self._regions, about))
        self.changing.emit()
        self._debounce.start()

    def _other_image(self) -> None:
        self.image_index += 1
        self.changing.emit()
        self.changed.emit()
