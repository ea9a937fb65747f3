"""Choice of the segmenter: a collapsed box on the start page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QWidget

from napari_al.learning.networks.catalogue import SEGMENTERS, segmenter_info
from napari_al.learning.networks.pretrained import PRETRAINED
from napari_al.plugin.widgets.form_parts import CollapsibleBox, choice, text

if TYPE_CHECKING:
    from napari_al.session.project.config import TrainingSettings


class ModelChoice(CollapsibleBox):
    """The segmenter, its pretrained weights, and whether its backbone is frozen."""

    def __init__(self) -> None:
        super().__init__("Advanced: the model")
        self.segmenter = choice({name: name for name in SEGMENTERS}, "the network that learns")
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
        """Show the settings of a config."""
        chosen = segmenter_info(training.segmenter)
        self.segmenter.setCurrentIndex(self.segmenter.findData(chosen.name))
        self.weights.setText("" if training.weights == PRETRAINED else training.weights)
        self.frozen.setChecked(training.frozen)

    def settings(self) -> dict[str, Any]:
        """Return what was chosen, as settings of the training."""
        chosen = SEGMENTERS[self.segmenter.currentData()]
        settings: dict[str, Any] = {"segmenter": chosen.name}
        if chosen.has_weights:
            settings["weights"] = self.weights.text().strip() or PRETRAINED
            settings["frozen"] = self.frozen.isChecked()
        return settings

    def _refresh(self) -> None:
        chosen = SEGMENTERS[self.segmenter.currentData()]
        self.weights.setEnabled(chosen.has_weights)
        self.frozen.setEnabled(chosen.has_weights)
        self.frozen.setChecked(chosen.frozen)
        licence = f"; weights: {chosen.licence}" if chosen.licence else ""
        fixed = "" if chosen.has_weights else "; it has no weights to choose or to keep"
        self._summary.setText(f"{chosen.summary}{licence}{fixed}")
