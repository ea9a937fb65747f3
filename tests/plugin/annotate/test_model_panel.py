"""Texts of the model panel."""

from napari_al.core.stopping import GainEstimate
from napari_al.plugin.annotate.model_panel import gain_text


def test_the_expected_gain_is_given_in_points_with_its_interval():
    text = gain_text(GainEstimate(0.02, 0.012, -0.003, 0.027))
    assert text.startswith("The last round gained +2.0 points of mIoU per 100 clicks.")
    assert text.endswith("may gain +1.2 (-0.3 to +2.7).")


def test_stopping_is_suggested_when_little_is_left_to_gain():
    assert "you may stop" in gain_text(GainEstimate(0.0, 0.001, 0.0, 0.002))
    assert "stop" not in gain_text(GainEstimate(0.001))
