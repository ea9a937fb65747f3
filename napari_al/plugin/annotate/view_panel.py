"""Settings of the view: surroundings, zoom, dimming, overlays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from napari_al.plugin.annotate.channels_box import ChannelsBox
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.widgets.form_parts import KeyCap, button, key_button, text

if TYPE_CHECKING:
    from napari_al.plugin.control.keys import ActionName
    from napari_al.plugin.layers.picture_store import PictureKind
    from napari_al.plugin.preferences import Preferences

_OVERLAYS: dict[PictureKind, tuple[ActionName | None, str]] = {
    "answers": ("answers", "the answers so far, in the classes' colours"),
    "targets": (None, "what the newest model was trained on (sieved, localised, corrected)"),
    "prediction": ("prediction", "the class that the model finds most likely at each pixel"),
    "heatmap": ("heatmap", "acquisition scores: bright regions are asked sooner"),
    "borders": ("borders", "outlines of all regions"),
}


class ViewPanel(QWidget):
    """Sliders and switches of the view; overlays by kind."""

    shown = Signal(str, bool)
    opacity_changed = Signal(str, float)
    context_changed = Signal(int)
    keep_zoom_changed = Signal(bool)
    dim_changed = Signal(float)
    bright_wanted = Signal()
    fold_wanted = Signal()
    keys_wanted = Signal()
    """The user wants to change keys."""

    def __init__(self) -> None:
        super().__init__()
        self._switches: dict[PictureKind, QCheckBox] = {}
        self._sliders: dict[PictureKind, QSlider] = {}
        self.context = _slider(2, 20, 5, "how much of the surroundings is seen around a region")
        self.context.valueChanged.connect(lambda value: self.context_changed.emit(value))
        self.dim = _slider(0, 90, 40, "how dark everything but the region is")
        self.dim.valueChanged.connect(lambda value: self.dim_changed.emit(value / 100))
        self.keep_zoom = _switch("keep the zoom from query to query")
        self.keep_zoom.setToolTip("the camera moves, but comes no nearer and goes no further away")
        self.keep_zoom.toggled.connect(self.keep_zoom_changed.emit)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.setVerticalSpacing(8)
        for row, (name, slider) in enumerate(
            (("Surroundings seen", self.context), ("Surroundings dimmed", self.dim))
        ):
            grid.addWidget(text(name, wrap=False), row, 0)
            grid.addWidget(slider, row, 1, 1, 2)
        grid.addWidget(self.keep_zoom, 2, 0, 1, 3)
        grid.addLayout(self._build_buttons(), 3, 0, 1, 3)
        grid.addWidget(text("Over the image", "title"), 4, 0, 1, 3)
        for row, kind in enumerate(_OVERLAYS, start=5):
            self._add_overlay(grid, row, kind)
        self.channels = ChannelsBox()
        column = QVBoxLayout(self)
        column.addLayout(grid)
        column.addWidget(self.channels)
        column.addWidget(
            button("Change keys…", "which key does what, also of classes", self.keys_wanted.emit)
        )
        column.addStretch()

    def _build_buttons(self) -> QHBoxLayout:
        bright, fold = "a dark picture, or show it as it was", "napari's own, or bring them back"
        row = QHBoxLayout()
        row.setSpacing(4)
        for made in (
            key_button("Brighten", bright, self.bright_wanted.emit, "brighten"),
            key_button("Fold panels", fold, self.fold_wanted.emit, "fold"),
        ):
            row.addWidget(made, 1)
        return row

    def _add_overlay(self, grid: QGridLayout, row: int, kind: PictureKind) -> None:
        action, tip = _OVERLAYS[kind]
        switch = _switch(NAMES[kind])
        switch.setToolTip(tip)
        switch.toggled.connect(lambda on: self.shown.emit(kind, on))
        slider = _slider(0, 100, 50, f"opacity: {NAMES[kind]}")
        slider.valueChanged.connect(lambda value: self.opacity_changed.emit(kind, value / 100))
        self._switches[kind], self._sliders[kind] = switch, slider
        grid.addWidget(switch, row, 0)
        grid.addWidget(slider, row, 1)
        if action is not None:
            grid.addWidget(KeyCap(action), row, 2)

    def set_preferences(self, preferences: Preferences) -> None:
        """Start with the user's preferences."""
        self.context.setValue(preferences.context)
        self.dim.setValue(preferences.dim)
        self.keep_zoom.setChecked(preferences.keep_zoom)

    def show_overlay(self, kind: PictureKind, wanted: bool, opacity: float) -> None:
        """Show a state that was changed elsewhere."""
        for widget in (self._switches[kind], self._sliders[kind]):
            widget.blockSignals(True)
        self._switches[kind].setChecked(wanted)
        self._sliders[kind].setValue(round(opacity * 100))
        for widget in (self._switches[kind], self._sliders[kind]):
            widget.blockSignals(False)

    @property
    def kinds(self) -> tuple[PictureKind, ...]:
        """Kinds of overlays."""
        return tuple(_OVERLAYS)


def _slider(low: int, high: int, value: int, tip: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setValue(value)
    slider.setToolTip(tip)
    slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return slider


def _switch(words: str) -> QCheckBox:
    switch = QCheckBox(words)
    switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return switch
