"""State of the model, its training, and how good it is: loss, predicted answers, mIoU."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_al.core.stopping import (
    MIN_ACCURACY,
    N_NEWEST,
    STEP_CLICKS,
    GainEstimate,
    Share,
    estimate_gain,
)
from napari_al.plugin.control.answer_statistics import count, duration
from napari_al.plugin.preferences import can_be_live
from napari_al.plugin.widgets.form_parts import button, text
from napari_al.plugin.widgets.line_chart import MAX_POINTS, LineChart
from napari_al.plugin.widgets.retrain_box import RetrainBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.prequential import PrequentialAccuracy
    from napari_al.plugin.preferences import Preferences
    from napari_al.plugin.widgets.theme import ThemeColors
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.rounds.job_function import JobProgress

STAGES = {
    "superpixels": "Cutting regions",
    "encoding": "Encoding images",
    "targets": "Making training labels",
    "training": "Training",
    "validation": "Validating",
    "pseudo-labels": "Making pseudo-labels",
    "scoring": "Scoring",
}
"""What a job does, in words."""


MIN_STEPS_TIMED = 10
"""The first steps of a training take longer than the rest: before these no time is estimated."""


class ModelPanel(QWidget):
    """State, buttons to train and to stop, progress, two charts."""

    train_wanted = Signal()
    stop_wanted = Signal()
    auto_changed = Signal(bool)
    retrain_changed = Signal(object)
    """Answers after which the model is trained again, or None: by rounds."""
    inspect_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._state = text()
        self.train = button(
            "Train now", "train on all answers so far; answering goes on", self.train_wanted.emit
        )
        self.stop = button("Stop", "end what is running; nothing is lost", self.stop_wanted.emit)
        self._auto = QCheckBox("train by itself")
        self._auto.setToolTip(
            "when a round has its answers or clicks; otherwise the next one waits for 'Train now'"
        )
        self._auto.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._auto.setChecked(True)
        self._auto.toggled.connect(self.auto_changed.emit)
        self.retrain = RetrainBox()
        self.retrain.valueChanged.connect(
            lambda _: self.retrain_changed.emit(self.retrain.retrain_after)
        )
        self._retrain = QWidget()
        self._validated = text("", "muted")
        self._bar = QProgressBar()
        self._stage = text("", "muted")
        self.loss = LineChart("Loss", "step", digits=2)
        self.predicted = LineChart(
            f"Answers predicted, of the last {N_NEWEST}", "answers", digits=2
        )
        self.predicted.setToolTip("by the model that asked; hard regions are asked about")
        self._predicted = text("", "muted")
        self._by_class = text("", "muted")
        self._by_class.setToolTip("predicted answers, by the class that you gave")
        self.miou = LineChart("Model mIoU on the validation images", "clicks", digits=2, dots=True)
        self._advice = text("", "muted")
        self._advice.setToolTip("a 90 % interval; mIoU taken to grow with the logarithm of clicks")
        buttons = QHBoxLayout()
        buttons.addWidget(self.train, 1)
        buttons.addWidget(self.stop, 1)
        column = QVBoxLayout(self)
        column.setSpacing(5)
        column.addWidget(self._state)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        column.addWidget(self._stage)
        column.addWidget(self._auto)
        row = QHBoxLayout(self._retrain)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(text("Train again", wrap=False))
        row.addWidget(self.retrain, 1)
        column.addWidget(self._retrain)
        column.addWidget(self.loss)
        column.addWidget(self.predicted)
        column.addWidget(self._predicted)
        column.addWidget(self._by_class)
        column.addWidget(self.miou)
        column.addWidget(self._validated)
        column.addWidget(self._advice)
        column.addWidget(
            button(
                "Inspect rounds…",
                "regions, answers, labels and predictions of each round, in a window of its own",
                self.inspect_wanted.emit,
            )
        )
        column.addStretch()
        self.show_idle()

    def set_preferences(self, preferences: Preferences) -> None:
        """Start with the user's preferences."""
        self._auto.setChecked(preferences.train_when_spent)

    def set_config(self, config: ProjectConfig, *, has_validation: bool) -> None:
        """Show when a project's model is trained again, and how often it is validated."""
        self._retrain.setVisible(can_be_live(config.method))
        with QSignalBlocker(self.retrain):
            self.retrain.setValue(config.retrain_after or 0)
        every = config.validate_every
        self._validated.setVisible(has_validation and every > 1)
        self._validated.setText(f"Measured after the first training and every {every} trainings.")

    def set_colors(self, colors: ThemeColors) -> None:
        """Use a theme's colours."""
        self.loss.set_colors(colors)
        self.predicted.set_colors(colors)
        self.miou.set_colors(colors)

    def show_state(self, state: str) -> None:
        """Show which model it is and how many answers it was not trained on."""
        self._state.setText(state)

    def show_idle(self, ended: str = "") -> None:
        """Show that nothing runs, and how the last job ended."""
        self._bar.setVisible(False)
        self._stage.setText(ended)
        self._stage.setVisible(bool(ended))
        self.train.setEnabled(True)
        self.stop.setEnabled(False)

    def show_busy(self, *, is_training: bool) -> None:
        """Show that a job runs; only training prevents another training."""
        if not self._bar.isVisibleTo(self):
            self._bar.setVisible(True)
            self._bar.setRange(0, 0)
            self._stage.setVisible(True)
            self._stage.setText("Starting…")
        self.train.setEnabled(not is_training)
        self.stop.setEnabled(True)

    def show_progress(self, progress: JobProgress) -> None:
        """Show how far the job is."""
        self._bar.setRange(0, max(1, progress.total))
        self._bar.setValue(progress.done)
        left = ""
        if progress.eta_s is not None and progress.done >= MIN_STEPS_TIMED:
            left = f" · {duration(progress.eta_s)} left"
        self._stage.setText(f"{STAGES[progress.stage]}{left}")
        if progress.stage == "training" and progress.loss is not None:
            if progress.done <= 1:
                self.loss.clear()
            self.loss.add(progress.done, progress.loss)

    def show_last_training(self, steps: Sequence[dict[str, Any]]) -> None:
        """Show the losses of a training of before (``Project.read_last_training``)."""
        self.loss.set_points([(s["step"], s["loss"]) for s in steps if s["loss"] is not None])

    def show_predicted(self, found: PrequentialAccuracy, classes: Sequence[ClassInfo]) -> None:
        """Show how many answers the models that asked would have given."""
        self.predicted.set_points(found.curve[:: 1 + len(found.curve) // MAX_POINTS])
        self._predicted.setText(predicted_text(found))
        self._by_class.setText(by_class_table(found.by_class, classes))

    def show_rounds(self, rows: Sequence[dict[str, str]]) -> None:
        """Show the learning curve."""
        points = [(float(r["clicks"]), float(r["model_miou"])) for r in rows if r["model_miou"]]
        self.miou.set_points(points)
        gain = estimate_gain(*zip(*points, strict=True)) if points else None
        self._advice.setText("" if gain is None else gain_text(gain))


def predicted_text(found: PrequentialAccuracy) -> str:
    """Return in sentences how many answers were predicted, and whether that is enough."""
    newest, drawn = found.newest, found.random
    if newest.value is None:
        return "Once there is a model: how many of your answers it would have given."
    words = (
        f"The model would have given {newest.value:.0%} of your last {count(newest.n, 'answer')}; "
        "hard regions are asked about."
    )
    if drawn.value is not None:
        low, high = drawn.interval
        words += (
            f" Of {count(drawn.n, 'region')} drawn at random: {drawn.value:.0%}"
            f" ({low:.0%} to {high:.0%})."
        )
    if newest.may_stop or drawn.may_stop:
        words += f" It is right {MIN_ACCURACY:.0%} of the time or more: you may stop."
    return words


def by_class_table(shares: dict[int, Share], classes: Sequence[ClassInfo]) -> str:
    """Return predicted answers by class as a table in rich text."""
    rows = [
        f"<tr><td>{escape(info.name)}</td><td align=right>{share.n_right} of {share.n}</td></tr>"
        for info in classes
        if (share := shares.get(info.id)) is not None
    ]
    return f"<table width='100%'>{''.join(rows)}</table>" if rows else ""


def gain_text(gain: GainEstimate) -> str:
    """Return an estimate as sentences, in points of mIoU (hundredths)."""
    words = f"The last round gained {100 * gain.last:+.1f} points of mIoU per {STEP_CLICKS} clicks."
    if gain.expected is None or gain.low is None or gain.high is None:
        return words
    words += (
        f" The next {STEP_CLICKS} may gain {100 * gain.expected:+.1f}"
        f" ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
    )
    return words + (" Little is left to gain: you may stop." if gain.may_stop else "")
