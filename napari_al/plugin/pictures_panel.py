"""Which pictures of a round lie over the image: switches, in the order of a round's steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_al.plugin.classes_panel import swatch
from napari_al.plugin.inspect_kinds import legend
from napari_al.plugin.parts import text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qtpy.QtWidgets import QLabel

    from napari_al.formats.dataset import ClassInfo
    from napari_al.session.inspection import RoundRecord
    from napari_al.session.round_pictures import Picture, Step

STEPS: tuple[Step, ...] = ("asked", "answered", "trained on", "model", "truth")
N_IN_ROW = 3
"""Classes in a row of the legend."""


class PicturesPanel(QWidget):
    """A switch a picture, and a legend of each that has colours of its own."""

    wanted = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self._switches: dict[str, QCheckBox] = {}
        self._reasons: dict[str, QLabel] = {}
        self._titles: dict[Step, QLabel] = {}
        self._column = QVBoxLayout(self)
        self._column.setSpacing(3)

    def set_pictures(self, pictures: Mapping[str, Picture], classes: Sequence[ClassInfo]) -> None:
        """Offer these."""
        while (item := self._column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._switches.clear()
        self._reasons.clear()
        self._titles.clear()
        for step in STEPS:
            keys = [key for key, picture in pictures.items() if picture.step == step]
            if keys:
                self._titles[step] = text("", "title")
                self._column.addWidget(self._titles[step])
            for key in reversed(keys):
                self._add(key, pictures[key])
        self._column.addWidget(text("Classes", "title"))
        for start in range(0, len(classes), N_IN_ROW):
            named = [(info.name, info.color) for info in classes[start : start + N_IN_ROW]]
            self._column.addWidget(make_legend(named))
        self._column.addStretch()

    def _add(self, key: str, picture: Picture) -> None:
        switch = QCheckBox(picture.name)
        switch.setToolTip(picture.tip)
        switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        switch.toggled.connect(partial(self.wanted.emit, key))
        self._switches[key] = switch
        colors = legend(key)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(switch)
        if len(colors) == 1:
            mark = text("", wrap=False)
            mark.setPixmap(swatch(colors[0][1], 10))
            row.addWidget(mark)
        row.addStretch()
        line = QWidget()
        line.setLayout(row)
        self._column.addWidget(line)
        if len(colors) > 1:
            self._column.addWidget(make_legend(colors, indent_px=20))
        self._reasons[key] = text("", "muted")
        self._reasons[key].setContentsMargins(20, 0, 0, 0)
        self._reasons[key].setVisible(False)
        self._column.addWidget(self._reasons[key])

    def show_record(self, record: RoundRecord) -> None:
        """Name the steps of a round."""
        number, asked_by = record.number, record.asked_by
        has_model = asked_by > 0 or record.before.config.method.starts_from_labels
        model = f"by model {asked_by}" if has_model else "at random"
        trained = "" if record.is_done else " (not yet)"
        words: dict[Step, str] = {
            "asked": f"Asked {model}" if asked_by >= 0 else "Regions",
            "answered": f"Answered in round {number}",
            "trained on": f"Training labels of model {number}{trained}",
            "model": f"Model {number}{trained}",
            "truth": "Truth",
        }
        for step, title in self._titles.items():
            title.setText(words[step])

    def show_wanted(self, keys: Collection[str]) -> None:
        """Follow what was switched elsewhere."""
        for key, switch in self._switches.items():
            switch.blockSignals(True)
            switch.setChecked(key in keys)
            switch.blockSignals(False)
            if key not in keys:
                self._reasons[key].setVisible(False)

    def show_reason(self, key: str, reason: str) -> None:
        """Say why a picture is not there; "" = it is."""
        if key in self._reasons:
            self._reasons[key].setText(reason)
            self._reasons[key].setVisible(bool(reason) and self._switches[key].isChecked())


def make_legend(named: Sequence[tuple[str, str]], *, indent_px: int = 0) -> QWidget:
    """Return a row of colours and their names."""
    out = QWidget()
    row = QHBoxLayout(out)
    row.setContentsMargins(indent_px, 0, 0, 0)
    row.setSpacing(4)
    for name, color in named:
        mark = text("", wrap=False)
        mark.setPixmap(swatch(color, 10))
        row.addWidget(mark)
        row.addWidget(text(name, "muted", wrap=False))
        row.addSpacing(6)
    row.addStretch()
    return out
