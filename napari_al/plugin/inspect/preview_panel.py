"""Previews of other choices: epsilon, the size of superpixels, the acquisition function."""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from napari_al.methods.acquisition import acquisitions_for
from napari_al.plugin.inspect.layer_styles import legend
from napari_al.plugin.inspect.overlays_panel import make_legend
from napari_al.plugin.widgets.form_parts import choice, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.session.inspection.previews import Comparison, Cutting, Merging
    from napari_al.session.project.config import ProjectConfig

EPSILON_STEP = 0.01
MAX_EPSILON = 0.84
"""The Jensen-Shannon distance reaches sqrt(ln 2) = 0.8326: there, all that touch are merged."""
SIZE_STEPS = 40
SMALLEST, LARGEST = 10, 4000
"""Superpixels an image, on a logarithmic slider."""


class PreviewPanel(QWidget):
    """Three switches, each with its control and its result."""

    merging_wanted = Signal(float)
    cutting_wanted = Signal(int)
    acquisition_wanted = Signal(str, bool)
    """The function, and whether to show its scores, too."""
    ended = Signal(str)
    """A preview was switched off; its name."""

    def __init__(self) -> None:
        super().__init__()
        self.epsilon = _slider(round(MAX_EPSILON / EPSILON_STEP), "merge below this JS distance")
        self.n_per_image = _slider(SIZE_STEPS, "superpixels asked for")
        self.acquisition = choice({}, "the function that would have ranked the regions")
        self._values = {"try_merging": text(wrap=False), "try_cut": text(wrap=False)}
        self._results = {
            name: text("", "muted") for name in ("try_merging", "try_cut", "try_acquisition")
        }
        self.switches: dict[str, QCheckBox] = {}
        self._ask: dict[str, Callable[[], None]] = {
            "try_merging": lambda: self.merging_wanted.emit(self.chosen_epsilon),
            "try_cut": lambda: self.cutting_wanted.emit(self.chosen_size),
            "try_acquisition": self._ask_acquisition,
        }
        column = QVBoxLayout(self)
        column.setSpacing(4)
        self._groups = {
            "try_merging": self._add(column, "try_merging", "Merge at another ε", self.epsilon),
            "try_cut": self._add(column, "try_cut", "Cut into other superpixels", self.n_per_image),
            "try_acquisition": self._add(
                column, "try_acquisition", "Ask by another acquisition function", self.acquisition
            ),
        }
        self._codes = make_legend(legend("try_batches"), n_in_row=1)
        self.with_scores = QCheckBox("its scores, too")
        self.with_scores.setToolTip("bright regions would have been asked first")
        self.with_scores.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.with_scores.toggled.connect(lambda _: self._on_moved("try_acquisition"))
        for widget in (self._codes, self.with_scores):
            widget.setVisible(False)
            column.addWidget(widget)
        column.addStretch()
        self.epsilon.valueChanged.connect(lambda _: self._on_moved("try_merging"))
        self.n_per_image.valueChanged.connect(lambda _: self._on_moved("try_cut"))
        self.acquisition.currentIndexChanged.connect(lambda _: self._on_moved("try_acquisition"))

    def _add(self, column: QVBoxLayout, name: str, words: str, control: QWidget) -> QWidget:
        switch = self.switches[name] = QCheckBox(words)
        switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        switch.toggled.connect(lambda on: self._on_switched(name, on))
        control.setEnabled(False)
        row = QHBoxLayout()
        row.addWidget(control, 1)
        if name in self._values:
            row.addWidget(self._values[name])
        group = QWidget()
        inside = QVBoxLayout(group)
        inside.setContentsMargins(0, 0, 0, 8)
        inside.setSpacing(3)
        inside.addWidget(switch)
        inside.addLayout(row)
        inside.addWidget(self._results[name])
        column.addWidget(group)
        return group

    def set_project(self, config: ProjectConfig) -> None:
        """Start with a project's settings; offer what fits its method."""
        has_superpixels = config.method.regions in ("seeds", "slic")
        merges = has_superpixels and config.method.query != "correction"
        for name, fits in (("try_merging", merges), ("try_cut", has_superpixels)):
            self._groups[name].setVisible(fits)
        blockers = [QSignalBlocker(w) for w in (self.epsilon, self.n_per_image, self.acquisition)]
        self.epsilon.setValue(round(config.acquisition.epsilon / EPSILON_STEP))
        self.n_per_image.setValue(_step_of(config.regions.n_per_image))
        self.acquisition.clear()
        own = config.method.acquisition
        for other in acquisitions_for(config.method.query):
            if other != own:
                self.acquisition.addItem(f"{other} instead of {own}", other)
        del blockers
        for name, switch in self.switches.items():
            switch.setChecked(False)
            self._show_value(name)

    @property
    def chosen_epsilon(self) -> float:
        """Value of the slider."""
        return round(int(self.epsilon.value()) * EPSILON_STEP, 4)

    @property
    def chosen_size(self) -> int:
        """Superpixels per image, the value of the slider."""
        share = int(self.n_per_image.value()) / SIZE_STEPS
        return round(SMALLEST * exp(share * log(LARGEST / SMALLEST)))

    def _ask_acquisition(self) -> None:
        if self.acquisition.currentData():
            other = str(self.acquisition.currentData())
            self.acquisition_wanted.emit(other, self.with_scores.isChecked())

    def _on_switched(self, name: str, on: bool) -> None:
        control = {
            "try_merging": self.epsilon,
            "try_cut": self.n_per_image,
            "try_acquisition": self.acquisition,
        }[name]
        control.setEnabled(on)
        if on:
            self._ask[name]()
        else:
            self._results[name].setText("")
            self.ended.emit(name)
            if name == "try_acquisition":
                self._show_codes(False)

    def _on_moved(self, name: str) -> None:
        self._show_value(name)
        if self.switches[name].isChecked():
            self._ask[name]()

    def _show_value(self, name: str) -> None:
        if name == "try_merging":
            self._values[name].setText(f"ε = {self.chosen_epsilon:.2f}")
        elif name == "try_cut":
            self._values[name].setText(f"{self.chosen_size} an image")

    def _show_codes(self, visible: bool) -> None:
        for widget in (self._codes, self.with_scores):
            widget.setVisible(visible)

    # ---- results

    def show_merging(self, result: Merging | str) -> None:
        """Show the result of merging, or why there is none."""
        words = result
        if not isinstance(result, str):
            words = (
                f"{result.n_before} superpixels become {result.n_after} regions, "
                f"the largest of {result.largest}."
            )
        self._results["try_merging"].setText(str(words))

    def show_cutting(self, result: Cutting | str) -> None:
        """Show the result of cutting."""
        words = result
        if not isinstance(result, str):
            words = f"{result.n_regions} superpixels."
            if result.accuracy is not None:
                words += f" Achievable accuracy in this image {result.accuracy:.3f}."
        self._results["try_cut"].setText(str(words))

    def show_comparison(self, result: Comparison | str) -> None:
        """Show how far the two functions agree."""
        self._show_codes(not isinstance(result, str))
        words = result
        if not isinstance(result, str):
            words = (
                f"Rank correlation {result.correlation:.2f} over {result.n_open} open regions. "
                f"{result.overlap:.0%} of this round's batch of {result.n_batch} would have been "
                "asked, too."
            )
        self._results["try_acquisition"].setText(str(words))


def _slider(n_steps: int, tip: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, n_steps)
    slider.setToolTip(tip)
    slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return slider


def _step_of(n_per_image: int) -> int:
    """Return the slider's step nearest to a number of superpixels."""
    return round(SIZE_STEPS * log(max(n_per_image, 1) / SMALLEST) / log(LARGEST / SMALLEST))
