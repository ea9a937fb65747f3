"""Form for labels that are there already: a collapsed box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLineEdit, QWidget

from napari_al.errors import InputError
from napari_al.plugin.widgets.form_parts import CollapsibleBox, button, choice, text

if TYPE_CHECKING:
    from napari_al.plugin.start.existing_labels import ExistingLabels, Use

_FORMATS = {
    "index": "images of class ids",
    "colours": "images in colours",
    "coco": "COCO",
    "voc": "Pascal VOC, CVAT",
    "labelme": "LabelMe",
    "yolo": "YOLO",
    "cityscapes": "Cityscapes",
    "geotiff": "GeoTIFF",
    "ngff": "OME-Zarr labels",
}
_UNUSED = "none"
_USES: dict[str, str] = {
    _UNUSED: "not used",
    "labels": "ground truth",
    "initial_labels": "labels to correct",
    "answers": "answers given already",
}


class ExistingLabelsBox(CollapsibleBox):
    """Which labels there are, and what becomes of them.

    In files for the images of a folder; for those of the viewer, its Labels layers.
    """

    changed = Signal()
    """Something else is to become of the labels."""
    found = Signal(object)
    """Labels were chosen: an ``ExistingLabels``; None: the viewer's layers."""

    def __init__(self) -> None:
        super().__init__("Start from existing labels…")
        self._in_viewer = False
        self.use = choice(
            _USES,
            "ground truth: to compare models with · labels to correct: asked about by 'Is the "
            "label right?' · answers: regions that are labelled are not asked any more",
        )
        self.use.currentIndexChanged.connect(lambda _: self._on_use())
        self.format = choice(_FORMATS, "the program that wrote the labels")
        self.format.currentIndexChanged.connect(lambda _: self._on_chosen())
        self.path = QLineEdit()
        self.path.setPlaceholderText("a folder of labels, or COCO's JSON file")
        self.path.setToolTip("labels have the names of their images")
        self.path.editingFinished.connect(self._on_chosen)
        self._layers = text(
            "The visible Labels layers of the images' shape: 1 is the first class, 0 is no label.",
            "muted",
        )
        self._files = QWidget()
        files = QFormLayout(self._files)
        files.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.path, 1)
        row.addWidget(button("Folder…", "choose a folder of labels", self._choose_folder))
        row.addWidget(button("File…", "choose COCO's JSON file", self._choose_file))
        files.addRow("Format", self.format)
        files.addRow(row)
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("They are", self.use)
        form.addRow(self._files)
        form.addRow(self._layers)
        self.setContent(page)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.collapse(animate=False)
        self.set_source(in_viewer=False)

    def set_source(self, *, in_viewer: bool) -> None:
        """Take files, or the viewer's Labels layers."""
        self._in_viewer = in_viewer
        self._files.setVisible(not in_viewer)
        self._layers.setVisible(in_viewer)
        if self.isExpanded():  # superqt fixes the height when the box is expanded
            self.expand(animate=False)

    @property
    def makes_labels_to_correct(self) -> bool:
        """Whether there will be labels to correct."""
        return bool(self.use.currentData() == "initial_labels")

    @property
    def use_of_layers(self) -> Use | None:
        """What becomes of the viewer's Labels layers."""
        use = self.use.currentData()
        return None if use == _UNUSED or not self._in_viewer else use

    def labels(self) -> ExistingLabels | None:
        """Return the labels in files; None if none are used.

        Raises
        ------
        InputError
            If they are to be used and are not chosen.
        """
        from napari_al.plugin.start.existing_labels import ExistingLabels

        use, words = self.use.currentData(), self.path.text().strip()
        if use == _UNUSED or self._in_viewer:
            return None
        if not words:
            raise InputError("Choose the labels to start from, or set them to 'not used'.")
        return ExistingLabels(self.format.currentData(), Path(words).expanduser(), use)

    def _on_use(self) -> None:
        self.changed.emit()
        self._on_chosen()

    def _on_chosen(self) -> None:
        if self.use_of_layers is not None:
            self.found.emit(None)
        elif self.path.text().strip() and (labels := self.labels()) is not None:
            self.found.emit(labels)

    def _choose_folder(self) -> None:
        self._choose(QFileDialog.getExistingDirectory(self, "A folder of labels"))

    def _choose_file(self) -> None:
        self._choose(QFileDialog.getOpenFileName(self, "Labels", "", "COCO (*.json)")[0])

    def _choose(self, name: str) -> None:
        if name:
            self.path.setText(name)
            self._on_chosen()
