"""The model panel: its texts, and when the model is trained again."""

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_al.core.stopping import GainEstimate, Share
from napari_al.formats.classes import default_classes
from napari_al.methods.prequential import PrequentialAccuracy
from napari_al.plugin.annotate.model_panel import (
    MIN_STEPS_TIMED,
    ModelPanel,
    by_class_table,
    gain_text,
    predicted_text,
)
from napari_al.session.rounds.job_function import JobProgress


def test_the_expected_gain_is_given_in_points_with_its_interval():
    text = gain_text(GainEstimate(0.02, 0.012, -0.003, 0.027))
    assert text.startswith("The last round gained +2.0 points of mIoU per 100 clicks.")
    assert text.endswith("may gain +1.2 (-0.3 to +2.7).")


def test_stopping_is_suggested_when_little_is_left_to_gain():
    assert "you may stop" in gain_text(GainEstimate(0.0, 0.001, 0.0, 0.002))
    assert "stop" not in gain_text(GainEstimate(0.001))


def test_live_and_by_rounds_are_switched_in_an_open_project(open_session):
    desk = open_session("bvsb", budget=50, first_training=None, retrain_after=None)
    page, box = desk.dock.annotate, desk.dock.annotate.model.retrain
    for _ in range(3):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    page.tabs.setCurrentIndex(1)
    assert (box.isVisible(), box.text()) == (True, "after each round")
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "40")
    assert desk.session.config.retrain_after is None, "not before the number is complete"
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert desk.session.project.read_config().retrain_after == 40
    desk.until(lambda: page._budget.format() == "3 of 40 answers")
    QTest.keyClick(box, Qt.Key.Key_Home)
    box.setValue(0)
    assert desk.session.project.read_config().retrain_after is None
    desk.until(lambda: page._budget.format() == "3 of 50 clicks")
    assert not page.model._validated.isVisible()


def test_how_often_the_model_is_measured_is_said(open_session):
    desk = open_session("bvsb", retrain_after=5, validate_every=5)
    desk.dock.annotate.tabs.setCurrentIndex(1)
    assert desk.dock.annotate.model._validated.isVisible()
    assert "every 5 trainings" in desk.dock.annotate.model._validated.text()


def test_no_time_is_estimated_before_enough_steps(qtbot):
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show_progress(JobProgress("training", 2, 100, loss=1.0, eta_s=2100.0))
    assert "left" not in panel._stage.text()
    panel.show_progress(JobProgress("training", MIN_STEPS_TIMED, 100, loss=1.0, eta_s=70.0))
    assert panel._stage.text() == "Training · 1 min left"


def test_the_share_of_predicted_answers_is_given_with_that_of_random_regions():
    found = PrequentialAccuracy(Share(47, 60), {1: Share(3, 4)}, Share(11, 12), [])
    assert predicted_text(found) == (
        "The model would have given 78% of your last 60 answers; hard regions are asked about. "
        "Of 12 regions drawn at random: 92% (65% to 99%)."
    )
    nothing = PrequentialAccuracy(Share(0, 0), {}, Share(0, 0), [])
    assert predicted_text(nothing).startswith("Once there is a model")
    enough = PrequentialAccuracy(Share(60, 60), {}, Share(0, 0), [])
    assert predicted_text(enough).endswith("you may stop.")


def test_predicted_answers_by_class_name_the_classes_answered():
    classes = default_classes(["sky", "a<b", "car"])
    table = by_class_table({1: Share(3, 4), 2: Share(0, 1)}, classes)
    assert "sky" not in table
    assert "a&lt;b</td><td align=right>3 of 4<" in table
    assert by_class_table({}, classes) == ""
