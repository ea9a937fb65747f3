"""Form to export labels, the trained model, or a script that repeats the session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

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
    "targets": "training labels",
    "predictions": "prediction",
    "answers": "answers alone",
}


class ExportPanel(QWidget):
    """Format, source and folder of an export, and how it ended."""

    export_wanted = Signal(str, str, Path)
    """Format, source, folder."""
    model_wanted = Signal(Path, bool)
    """Folder for the trained model; whether to write ONNX, too."""
    script_wanted = Signal(Path)
    """File for a script that repeats the session."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Path | None = None
        self._suggested = ""
        self.format = choice(FORMATS, "what other program is to read it")
        self.source = choice(
            SOURCES,
            "training labels: what the newest model was trained on, and answers since; prediction:"
            " what it says"
            " of every pixel; answers alone: nothing but what was answered",
        )
        self.format.currentIndexChanged.connect(lambda _: self._on_format())
        self.folder = QLineEdit()
        self.folder.setToolTip("files in it stay, but for those of an earlier export")
        choose = button("…", "choose a folder", self._choose)
        choose.setFixedWidth(28)
        self.export = button("Export", "write the files", self._export, role="main")
        self._result = text("", "muted")
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(choose)
        form = QFormLayout()
        form.addRow("Format", self.format)
        form.addRow("Labels", self.source)
        form.addRow("Folder", row)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.export)
        column.addWidget(self._result)
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
        self._on_format()
        self.show_result("")

    def show_busy(self) -> None:
        """Show that files are being written."""
        self.export.setEnabled(False)
        self._result.setText("Writing…")

    def show_result(self, result: str) -> None:
        """Show how the export ended."""
        self.export.setEnabled(True)
        self._result.setText(result)

    def _on_format(self) -> None:
        """Suggest a folder for the format, unless the user has chosen one."""
        is_model = self.format.currentData() in MODEL_FORMATS
        self.source.setEnabled(not is_model)
        if self._project is not None and self.folder.text() in ("", self._suggested):
            name = f"{self._project.name}-{'model' if is_model else 'labels'}"
            self._suggested = str(self._project.with_name(name))
            self.folder.setText(self._suggested)

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

    def _export(self) -> None:
        folder, format = self.folder.text().strip(), self.format.currentData()
        if not folder:
            self.show_result("Name a folder for the files.")
            return
        path = Path(folder).expanduser()
        if format in MODEL_FORMATS:
            self.model_wanted.emit(path, format == "onnx")
        else:
            self.export_wanted.emit(format, self.source.currentData(), path)
