"""Choice of the segmenter: a collapsed box on the start page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QWidget

from napari_al.learning.networks.catalogue import (
    DEFAULT,
    DEFAULT_IF_SMALL,
    FEW_PX,
    SEGMENTERS,
    SMALL_PX,
    segmenter_info,
)
from napari_al.learning.networks.pretrained import PRETRAINED
from napari_al.plugin.widgets.form_parts import CollapsibleBox, choice, text

if TYPE_CHECKING:
    from napari_al.learning.networks.catalogue import SegmenterInfo
    from napari_al.session.project.config import TrainingSettings


BY_SIZE = ""
"""No row: the project's settings name none."""


class ModelChoice(CollapsibleBox):
    """The segmenter, its pretrained weights, and whether its backbone is frozen."""

    def __init__(self) -> None:
        super().__init__("Advanced: the model")
        rows = {BY_SIZE: "by the size of the images", **{name: name for name in SEGMENTERS}}
        self.segmenter = choice(rows, "the network that learns")
        self.segmenter.currentIndexChanged.connect(lambda _: self._refresh())
        self.weights = QLineEdit()
        self.weights.setPlaceholderText(PRETRAINED)
        self.weights.setToolTip(
            "of the backbone: empty for those of its package, or of the hub, fetched before with "
            "`napari-al download`; 'none' for random ones; or a folder in the hub's layout"
        )
        self.frozen = QCheckBox("keep the backbone as it is")
        self.frozen.setToolTip("small networks learn on what it gives: a round takes seconds")
        self._summary = text("", "muted")
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Network", self.segmenter)
        form.addRow(self._summary)
        form.addRow("Weights", self.weights)
        form.addRow(self.frozen)
        self.setContent(page)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.collapse(animate=False)
        self._refresh()

    def preset(self, training: TrainingSettings) -> None:
        """Show the settings of a config, whose network was named by somebody."""
        chosen = segmenter_info(training.segmenter)
        self.segmenter.setCurrentIndex(self.segmenter.findData(chosen.name))
        self.weights.setText("" if training.weights == PRETRAINED else training.weights)
        self.frozen.setChecked(training.frozen)

    def settings(self) -> dict[str, Any]:
        """Return what was chosen, as settings of the training."""
        chosen = self._chosen
        if chosen is None:
            return {}
        settings: dict[str, Any] = {"segmenter": chosen.name}
        if chosen.has_weights:
            settings["weights"] = self.weights.text().strip() or PRETRAINED
            settings["frozen"] = self.frozen.isChecked()
        return settings

    @property
    def _chosen(self) -> SegmenterInfo | None:
        return SEGMENTERS.get(self.segmenter.currentData())

    def _refresh(self) -> None:
        chosen = self._chosen
        has_weights = chosen is not None and chosen.has_weights
        self.weights.setEnabled(has_weights)
        self.frozen.setEnabled(has_weights)
        self.frozen.setChecked(chosen is None or chosen.frozen)
        if chosen is None:
            self._summary.setText(
                f"{DEFAULT_IF_SMALL} for images of up to {SMALL_PX:,} pixels "
                f"({FEW_PX // 10**6} million in all), else {DEFAULT}"
            )
            return
        licence = f"; weights: {chosen.licence}" if chosen.licence else ""
        fixed = "" if chosen.has_weights else "; it has no weights to choose or to keep"
        self._summary.setText(f"{chosen.summary}{licence}{fixed}")
