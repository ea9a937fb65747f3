"""Choice of project, round and image, and the progress of the rebuild job."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QSlider, QVBoxLayout, QWidget

from napari_al.plugin.widgets.form_parts import button, choice, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_al.session.inspection.inspection import Inspection, RoundRecord
    from napari_al.session.rounds.job_function import JobProgress

_FIGURES = (
    ("model_miou", "model mIoU"),
    ("stage2_model_miou", "of stage 2"),
    ("data_miou", "data mIoU"),
)


class RoundBar(QWidget):
    """A slider over the rounds, a list of the images, a button to open another project."""

    folder_chosen = Signal(Path)
    round_chosen = Signal(int)
    image_chosen = Signal(str)
    stop_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rounds: tuple[int, ...] = ()
        self._name = text("", "title", wrap=False)
        self._round = text("", "question", wrap=False)
        self._summary = text("", "muted")
        self._message = text("", "message")
        self._message.setVisible(False)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("step through the rounds; the last one is still open")
        self.slider.setPageStep(1)
        self.slider.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.slider.valueChanged.connect(lambda at: self.round_chosen.emit(self._rounds[at]))
        self.images = choice({}, "the image, and how many of its regions were asked in this round")
        self.images.currentIndexChanged.connect(self._on_image_index)
        self._bar = QProgressBar()
        self._stop = button("Stop", "do not make it again", self.stop_wanted.emit)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        open_ = button("Open…", "a project folder: live or finished", self._choose_folder)
        self._add(column, self._name, None, open_)
        column.addWidget(self._message)
        before, after = (
            button(words, tip, partial(self._step, by))
            for words, tip, by in (("◀", "the round before", -1), ("▶", "the next round", 1))
        )
        self._add(column, self._round, before, self.slider, after)
        column.addWidget(self._summary)
        before, after = (
            button(words, tip, partial(self._step_image, by))
            for words, tip, by in (("◀", "the image before", -1), ("▶", "the next image", 1))
        )
        self._add(column, before, self.images, after)
        self._add(column, self._bar, self._stop)
        self.show_project(None)

    def _add(self, column: QVBoxLayout, *widgets: QWidget | None) -> None:
        row = QHBoxLayout()
        for widget in widgets:
            if widget is None:
                row.addStretch()
            else:
                row.addWidget(widget, int(widget in (self.slider, self.images, self._bar)))
        column.addLayout(row)

    # ---- showing

    def show_project(self, inspection: Inspection | None) -> None:
        """Name the project and its images; None: none is open."""
        for widget in (self._round, self.slider, self._summary, self.images):
            widget.setVisible(inspection is not None)
        for arrow in self.findChildren(type(self._stop)):
            arrow.setVisible(arrow.text() == "Open…" or inspection is not None)
        self.show_progress(None)
        blocker = QSignalBlocker(self.images)
        self.images.clear()
        if inspection is None:
            self._name.setText("No project is open")
            return
        name = inspection.project.path.resolve().name
        words = self._name.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, 230)
        self._name.setText(words)
        self._name.setToolTip(str(inspection.project.path))
        for image in inspection.data.train:
            self.images.addItem(image, image)
        del blocker

    def show_record(self, record: RoundRecord, rounds: Iterable[int]) -> None:
        """Show another round, and which rounds exist."""
        self._rounds = tuple(rounds)
        blocker = QSignalBlocker(self.slider)
        self.slider.setRange(0, len(self._rounds) - 1)
        self.slider.setValue(self._rounds.index(record.number))
        del blocker
        self._round.setText(f"Round {record.number}")
        self._summary.setText(summary(record))
        asked = Counter(answer.query.region.image for answer in record.answers)
        for index in range(self.images.count()):
            image = self.images.itemData(index)
            words = f"{image} · {asked[image]} asked" if image in asked else image
            if self.images.itemText(index) != words:
                self.images.setItemText(index, words)

    def show_image(self, image: str) -> None:
        """Select the image on screen."""
        blocker = QSignalBlocker(self.images)
        self.images.setCurrentIndex(self.images.findData(image))
        del blocker

    def show_progress(self, progress: JobProgress | None) -> None:
        """Show the progress of the rebuild job; None: none runs."""
        for widget in (self._bar, self._stop):
            widget.setVisible(progress is not None)
        if progress is not None:
            self._bar.setRange(0, max(1, progress.total))
            self._bar.setValue(progress.done)
            self._bar.setFormat(f"making it again: {progress.done} of {progress.total} images")

    def show_message(self, words: str) -> None:
        """Show a message; "" = none."""
        self._message.setText(words)
        self._message.setVisible(bool(words))

    # ---- choosing

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a project")
        if name:
            self.folder_chosen.emit(Path(name))

    def _step(self, by: int) -> None:
        self.slider.setValue(self.slider.value() + by)

    def _step_image(self, by: int) -> None:
        at = self.images.currentIndex() + by
        if 0 <= at < self.images.count():
            self.images.setCurrentIndex(at)

    def _on_image_index(self, index: int) -> None:
        if index >= 0:
            self.image_chosen.emit(self.images.itemData(index))


def summary(record: RoundRecord) -> str:
    """Return the summary of a round in one line."""
    clicks = sum(answer.clicks.total for answer in record.answers)
    words = [
        record.after.config.method.name,
        f"{len(record.answers)} asked for {clicks} clicks",
    ]
    if record.accepted or record.refused:
        words.append(f"{len(record.accepted)} corrected automatically")
    words += [
        f"{name} {float(record.row[key]):.3f}"
        for key, name in _FIGURES
        if record.row.get(key) is not None
    ]
    if not record.is_done:
        words.append("not trained yet")
    return " · ".join(words)
