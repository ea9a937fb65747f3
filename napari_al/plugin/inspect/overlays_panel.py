"""Switches of a round's overlays, in the order of the round's steps."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QBuffer, QIODevice, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_al.plugin.inspect.layer_styles import legend
from napari_al.plugin.widgets.form_parts import swatch, text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qtpy.QtGui import QPixmap
    from qtpy.QtWidgets import QLabel

    from napari_al.formats.dataset import ClassInfo
    from napari_al.session.inspection.inspection import RoundRecord
    from napari_al.session.inspection.overlays import Picture, Step

STEPS: tuple[Step, ...] = ("asked", "answered", "trained on", "model", "truth")
N_IN_ROW = 3
"""Colours per row of a legend."""
INDENT_PX = 20
"""Of texts below a switch."""


class OverlaysPanel(QWidget):
    """One switch per overlay, with a legend where it has colours of its own."""

    toggled = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self._switches: dict[str, QCheckBox] = {}
        self._reasons: dict[str, QLabel] = {}
        self._titles: dict[Step, QLabel] = {}
        self._classes = make_legend([])
        self._column = QVBoxLayout(self)
        self._column.setSpacing(3)

    def set_overlays(self, pictures: Mapping[str, Picture]) -> None:
        """Offer these overlays."""
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
        self._classes = make_legend([])
        self._column.addWidget(self._classes)
        self._column.addStretch()

    def set_classes(self, classes: Sequence[ClassInfo]) -> None:
        """List the classes; for merged ones what they count as, deleted ones not at all."""
        listed = [info for info in classes if not info.is_deleted]
        names = [
            info.name
            if info.merged_into is None
            else f"{info.name} → {classes[info.merged_into].name}"
            for info in listed
        ]
        show_legend(self._classes, [(name, c.color) for name, c in zip(names, listed, strict=True)])

    def _add(self, key: str, picture: Picture) -> None:
        switch = QCheckBox(picture.name)
        switch.setToolTip(picture.tip)
        switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        switch.toggled.connect(partial(self.toggled.emit, key))
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
            names = make_legend(colors)
            names.setContentsMargins(INDENT_PX, 0, 0, 0)
            self._column.addWidget(names)
        self._reasons[key] = text("", "muted")
        self._reasons[key].setContentsMargins(INDENT_PX, 0, 0, 0)
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

    def show_switches(self, keys: Collection[str]) -> None:
        """Set the switches; what is not in ``keys`` is off."""
        for key, switch in self._switches.items():
            switch.blockSignals(True)
            switch.setChecked(key in keys)
            switch.blockSignals(False)
            if key not in keys:
                self._reasons[key].setVisible(False)

    def show_reason(self, key: str, reason: str) -> None:
        """Show why an overlay is missing; "" = it is there."""
        if key in self._reasons:
            self._reasons[key].setText(reason)
            self._reasons[key].setVisible(bool(reason) and self._switches[key].isChecked())


def make_legend(named: Sequence[tuple[str, str]], *, n_in_row: int = N_IN_ROW) -> QLabel:
    """Return colours and their names."""
    out = text("", "muted")
    show_legend(out, named, n_in_row=n_in_row)
    return out


def show_legend(
    label: QLabel, named: Sequence[tuple[str, str]], *, n_in_row: int = N_IN_ROW
) -> None:
    """Show (name, ``#rrggbb``) pairs in a label, a few per row; long names wrap."""
    cells = [
        f'<td style="padding-right: 4px">{_image(swatch(color, 10))}</td>'
        f'<td style="padding-right: 8px">{escape(name)}</td>'
        for name, color in named
    ]
    rows = (cells[start : start + n_in_row] for start in range(0, len(cells), n_in_row))
    label.setText("<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "</table>")


def _image(pixmap: QPixmap) -> str:
    """Return a picture within rich text."""
    png = QBuffer()
    png.open(QIODevice.OpenModeFlag.WriteOnly)
    pixmap.save(png, "PNG")
    return f'<img src="data:image/png;base64,{png.data().toBase64().data().decode()}">'
