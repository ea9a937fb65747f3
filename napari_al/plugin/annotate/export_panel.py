"""Form to export labels, the trained model, or a script that repeats the session.

Labels are counted before they are written: the panel states what the files will hold, and writes
them on a second click.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_al.formats.exchange.export import holds_export
from napari_al.plugin.widgets.form_parts import button, choice, text

if TYPE_CHECKING:
    from napari_al.session.session import Session

FORMATS = {
    "png": "PNG of class ids",
    "coco": "COCO (RLE)",
    "voc": "Pascal VOC",
    "cityscapes": "Cityscapes",
    "yolo": "YOLO (outlines)",
    "labelme": "LabelMe",
    "geotiff": "GeoTIFF",
    "ngff": "OME-Zarr labels",
    "model": "the trained model",
    "onnx": "the trained model, also as ONNX",
}
MODEL_FORMATS = ("model", "onnx")
SOURCES = {
    "finished": "answers over prediction",
    "predictions": "prediction",
    "targets": "training labels",
    "answers": "answers alone",
}
State = Literal["idle", "busy", "asking"]


class ExportPanel(QWidget):
    """Format, source and folder of an export, what it will hold, and how it ended."""

    prepare_wanted = Signal(str, bool)
    """Source, and whether uncertainty maps go with it."""
    write_wanted = Signal(str, Path, bool)
    """Format, folder, and whether an earlier export in it is replaced."""
    model_wanted = Signal(Path, bool)
    """Folder for the trained model; whether to write ONNX, too."""
    stop_wanted = Signal()
    layer_wanted = Signal()
    script_wanted = Signal(Path)
    """File for a script that repeats the session."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Path | None = None
        self._suggested = ""
        self.format = choice(FORMATS, "what other program is to read it")
        self.source = choice(
            SOURCES,
            "answers over prediction: finished masks, each pixel as answered, else as the"
            " newest model predicts it; prediction: what the model says of every pixel; training"
            " labels: what it was trained on, and answers since; answers alone: nothing but these",
        )
        self.uncertainty = QCheckBox("with uncertainty maps")
        self.uncertainty.setToolTip("PNG: 0 = the model is sure, 255 = two classes are as likely")
        self.folder = QLineEdit()
        self.folder.setToolTip("files in it stay; an earlier export in it is asked about")
        choose = button("…", "choose a folder", self._choose)
        choose.setFixedWidth(28)
        self.export = button(
            "Export", "count first, then write the files", self._begin, role="main"
        )
        self._bar = QProgressBar()
        self._stop = button("Stop", "nothing is written", self.stop_wanted.emit)
        self._result = text("", "muted")
        self.write = button("Write the files", "as stated above", self._write, role="main")
        self._cancel = button("Cancel", "write nothing", lambda: self.show_result(""))
        self._layer = button(
            "Open as Labels layer",
            "the labels of the image on screen as a layer of yours",
            self.layer_wanted.emit,
        )
        self._build(choose)
        for box in (self.format, self.source):
            box.currentIndexChanged.connect(lambda _: self._on_changed())
        self.folder.textChanged.connect(lambda _: self._leave_question())
        self.uncertainty.toggled.connect(lambda _: self._leave_question())
        self._state: State = "idle"
        self._show_state("idle")
        self._layer.setVisible(False)

    def _build(self, choose: QWidget) -> None:
        row, ask = QHBoxLayout(), QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(choose)
        ask.addWidget(self.write, 1)
        ask.addWidget(self._cancel)
        form = QFormLayout()
        form.addRow("Format", self.format)
        form.addRow("Labels", self.source)
        form.addRow("", self.uncertainty)
        form.addRow("Folder", row)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.export)
        column.addLayout(ask)
        for widget in (self._bar, self._stop, self._layer, self._result):
            column.addWidget(widget)
        column.addWidget(
            button(
                "Save as script…",
                "a short Python file that does all of this again without a window",
                self._save_script,
            )
        )
        column.addStretch()

    def set_session(self, session: Session) -> None:
        """Suggest a folder."""
        self._project = session.project.path
        self.folder.clear()
        self._on_changed()
        self.show_result("")

    # ---- showing

    def show_busy(self, words: str) -> None:
        """Show that something is being counted or written."""
        self._show_state("busy")
        self._bar.setRange(0, 0)
        self._result.setText(words)

    def show_progress(self, done: int, total: int) -> None:
        """Show how many images are done."""
        self._bar.setRange(0, max(1, total))
        self._bar.setValue(done)

    def ask(self, stated: str) -> None:
        """State what an export will hold, and ask whether to write it."""
        self._result.setText(stated)
        self._show_state("asking")
        replaces = self._path is not None and holds_export(self._path, self._mark)
        if replaces:
            self._result.setText(
                f"{stated}\n{self._path} holds such an export already: it would be replaced."
            )
        self.write.setText("Replace the files" if replaces else "Write the files")

    def show_result(self, result: str, *, has_labels: bool = False) -> None:
        """Show how the export ended; ``has_labels``: they can be opened as a layer."""
        self._show_state("idle")
        self._result.setText(result)
        self._layer.setVisible(has_labels)

    def _show_state(self, state: State) -> None:
        self._state = state
        self.export.setVisible(state != "asking")
        self.export.setEnabled(state == "idle")
        for widget in (self._bar, self._stop):
            widget.setVisible(state == "busy")
        for widget in (self.write, self._cancel):
            widget.setVisible(state == "asking")
        if state != "idle":
            self._layer.setVisible(False)

    # ---- choosing

    @property
    def _path(self) -> Path | None:
        folder = self.folder.text().strip()
        return Path(folder).expanduser() if folder else None

    @property
    def _is_model(self) -> bool:
        return self.format.currentData() in MODEL_FORMATS

    @property
    def _mark(self) -> str:
        """What an export is known by in its folder."""
        return "model" if self._is_model else str(self.format.currentData())

    def _on_changed(self) -> None:
        """Suggest a folder for format and source, unless the user has chosen one."""
        self.source.setEnabled(not self._is_model)
        self.uncertainty.setEnabled(not self._is_model)
        if self._project is not None and self.folder.text() in ("", self._suggested):
            kind = "model" if self._is_model else f"{self._mark}-{self.source.currentData()}"
            self._suggested = str(self._project.with_name(f"{self._project.name}-{kind}"))
            self.folder.setText(self._suggested)
        self._leave_question()

    def _leave_question(self) -> None:
        """What was stated is not what is chosen now."""
        if self._state == "asking":
            self.show_result("")

    def _choose(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Export to", self.folder.text())
        if name:
            self.folder.setText(name)

    def _save_script(self) -> None:
        if self._project is None:
            return
        beside = str(self._project.with_name("again.py"))
        name, _ = QFileDialog.getSaveFileName(self, "Save as script", beside, "Python (*.py)")
        if name:
            self.script_wanted.emit(Path(name))

    def _begin(self) -> None:
        if self._path is None:
            self.show_result("Name a folder for the files.")
        elif not self._is_model:
            self.prepare_wanted.emit(self.source.currentData(), self.uncertainty.isChecked())
        elif holds_export(self._path, self._mark):
            self.ask("")
        else:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        format = self.format.currentData()
        if self._is_model:
            self.model_wanted.emit(self._path, format == "onnx")
        else:
            self.write_wanted.emit(format, self._path, holds_export(self._path, self._mark))
