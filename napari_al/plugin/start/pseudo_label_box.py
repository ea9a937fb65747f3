"""Form for initial labels, by a trained model or from the classes' names: a collapsed box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_al.plugin.start.new_session import suggest_project
from napari_al.plugin.widgets.form_parts import CollapsibleBox, button, choice, text
from napari_al.tools.pseudo_label import PseudoLabelling

if TYPE_CHECKING:
    from napari_al.session.rounds.job_function import JobProgress

_DEFAULTS = PseudoLabelling.model_fields
_STAGES = {"loading": "Loading the models…", "pseudo-labels": "Labelling images"}


_MAKERS = {"names": "the classes' names (Grounded-SAM)", "model": "a trained model"}


class PseudoLabelBox(CollapsibleBox):
    """What makes the labels, its settings, buttons to start and to stop it, its progress."""

    make_wanted = Signal(object)
    """Fields of a ``PseudoLabelling``: a dict."""
    stop_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Make initial labels…")
        self.by = choice(_MAKERS, "what makes the labels that are corrected afterwards")
        self.by.currentIndexChanged.connect(lambda _: self._on_maker())
        self.model = _line(
            "a .safetensors file, a project, or an exported folder",
            "its classes are taken, or found among yours by their names",
        )
        self.fetch = QCheckBox("fetch the models (network)")
        self.fetch.setToolTip(
            "those that are not here, as `napari-al download` does; some GB, once"
        )
        self.detector = _line(
            _DEFAULTS["detector"].default,
            "Grounding DINO, which finds boxes for the classes' names: a hub id that was fetched "
            "before (`napari-al download`), or a folder",
        )
        self.mask_maker = _line(
            _DEFAULTS["mask_maker"].default,
            "SAM or SAM 2, which makes a mask of each box: a hub id fetched before, or a folder",
        )
        self.background = _line(
            "none", "the class of all that nothing was found in; not looked for"
        )
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 0.99)
        self.threshold.setSingleStep(0.05)
        self.threshold.setValue(_DEFAULTS["box_threshold"].default)
        self.threshold.setToolTip("boxes that score no higher are dropped")
        self.folder = _line("", "a new data folder: links to the images, with the labels made")
        self.make = button(
            "Make", "label all images; takes a while, and can be stopped", self._make
        )
        self.stop = button(
            "Stop", "what is made is kept; 'Make' goes on from there", self.stop_wanted.emit
        )
        self._bar = QProgressBar()
        self._state = text("", "muted")
        self._needs = text("Needs a folder of images: choose one above.", "muted")
        self._build()
        self._on_maker()
        self.set_source(None)
        self.show_idle()

    def _build(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        self._by_model, self._by_names = QWidget(), QWidget()
        by_model, by_names = QHBoxLayout(self._by_model), QFormLayout(self._by_names)
        for layout in (by_model, by_names):
            layout.setContentsMargins(0, 0, 0, 0)
        by_model.addWidget(self.model, 1)
        by_model.addWidget(button("Folder…", "a project, or an exported folder", self._folder))
        by_model.addWidget(button("File…", "a .safetensors file", self._file))
        by_names.addRow("Boxes", self.detector)
        by_names.addRow("Masks", self.mask_maker)
        by_names.addRow(self.fetch)
        by_names.addRow("Background", self.background)
        by_names.addRow("Threshold", self.threshold)
        form = QFormLayout()
        form.addRow("Made by", self.by)
        form.addRow(self._by_model)
        form.addRow(self._by_names)
        form.addRow("Folder", self.folder)
        column.addLayout(form)
        column.addWidget(self._needs)
        buttons = QHBoxLayout()
        buttons.addWidget(self.make, 1)
        buttons.addWidget(self.stop, 1)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        column.addWidget(self._state)
        self.setContent(page)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.collapse(animate=False)

    def _on_maker(self) -> None:
        by_model = self.by.currentData() == "model"
        self._by_model.setVisible(by_model)
        self._by_names.setVisible(not by_model)
        self._adjust_height()

    def _folder(self) -> None:
        self._choose(QFileDialog.getExistingDirectory(self, "A project, or an exported model"))

    def _file(self) -> None:
        self._choose(QFileDialog.getOpenFileName(self, "A model", "", "Model (*.safetensors)")[0])

    def _choose(self, name: str) -> None:
        if name:
            self.model.setText(name)

    def set_source(self, folder: Path | None) -> None:
        """Suggest a folder for the labels; None: there is no folder of images."""
        self._source = folder
        self.folder.setText(str(suggest_project(folder, "initial-labels")) if folder else "")
        self.make.setEnabled(folder is not None)
        self._needs.setVisible(folder is None)
        self._adjust_height()

    def show_busy(self) -> None:
        """Show that the job has started."""
        self._bar.setRange(0, 0)
        self._bar.setVisible(True)
        self._state.setText("Starting…")
        self.make.setEnabled(False)
        self.stop.setEnabled(True)
        self._adjust_height()

    def show_progress(self, progress: JobProgress) -> None:
        """Show the job's progress."""
        self._bar.setRange(0, progress.total if progress.done else 0)
        self._bar.setValue(progress.done)
        self._state.setText(f"{_STAGES[progress.stage]}: {progress.done} of {progress.total}")

    def show_idle(self, ended: str = "") -> None:
        """Show that no job runs, and how the last one ended."""
        self._bar.setVisible(False)
        self._state.setText(ended)
        self.make.setEnabled(self._source is not None)
        self.stop.setEnabled(False)
        self._adjust_height()

    def _adjust_height(self) -> None:
        """Adjust to the content: superqt fixes the height when the box is expanded."""
        if self.isExpanded():
            self.expand(animate=False)

    def _make(self) -> None:
        chosen: dict[str, Any] = {
            "data": str(self._source),
            "out": str(Path(self.folder.text().strip()).expanduser()),
        }
        if self.by.currentData() == "model":
            self._make_by_model(chosen)
            return
        chosen |= {
            "background": self.background.text().strip() or None,
            "box_threshold": self.threshold.value(),
            "fetch": self.fetch.isChecked(),
        }
        for name, line in (("detector", self.detector), ("mask_maker", self.mask_maker)):
            if line.text().strip():
                chosen[name] = line.text().strip()
        self.make_wanted.emit(chosen)

    def _make_by_model(self, chosen: dict[str, Any]) -> None:
        model = self.model.text().strip()
        if model:
            self.make_wanted.emit({**chosen, "model": str(Path(model).expanduser())})
        else:
            self.show_idle("Choose the model first: a file, a project, or an exported folder.")


def _line(placeholder: str, tip: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(placeholder)
    line.setToolTip(tip)
    return line
