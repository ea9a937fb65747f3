"""Texts of the model panel."""

from napari_al.core.stopping import GainEstimate
from napari_al.plugin.annotate.model_panel import MIN_STEPS_TIMED, ModelPanel, gain_text
from napari_al.session.rounds.job_function import JobProgress


def test_the_expected_gain_is_given_in_points_with_its_interval():
    text = gain_text(GainEstimate(0.02, 0.012, -0.003, 0.027))
    assert text.startswith("The last round gained +2.0 points of mIoU per 100 clicks.")
    assert text.endswith("may gain +1.2 (-0.3 to +2.7).")


def test_stopping_is_suggested_when_little_is_left_to_gain():
    assert "you may stop" in gain_text(GainEstimate(0.0, 0.001, 0.0, 0.002))
    assert "stop" not in gain_text(GainEstimate(0.001))


def test_no_time_is_estimated_before_enough_steps(qtbot):
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show_progress(JobProgress("training", 2, 100, loss=1.0, eta_s=2100.0))
    assert "left" not in panel._stage.text()
    panel.show_progress(JobProgress("training", MIN_STEPS_TIMED, 100, loss=1.0, eta_s=70.0))
    assert panel._stage.text() == "Training · 1 min left"
