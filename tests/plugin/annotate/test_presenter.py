"""The status line's words."""

from types import SimpleNamespace

import pytest
from qtpy.QtCore import Qt

from napari_al.methods.table import METHODS
from napari_al.plugin.annotate.presenter import (
    behind_text,
    interruption_text,
    job_text,
    ready_text,
)
from napari_al.session.rounds.job_function import JobProgress
from napari_al.session.session import Session


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (JobProgress("training", 20, 50), "Model 2: training, 40 %"),
        (JobProgress("scoring", 120, 367), "Scoring: 120 of 367"),
        (JobProgress("superpixels", 1, 3), "Cutting regions: 1 of 3"),
    ],
)
def test_how_far_a_job_is(progress, words):
    assert job_text(progress, 2) == words


@pytest.mark.parametrize(
    ("stage", "has_blocks", "words"),
    [
        ("superpixels", True, "Model 2. In the background: regions cut in 12 of 400 blocks."),
        ("scoring", False, "Model 2. In the background: scored 12 of 400 images."),
    ],
)
def test_what_goes_on_while_questions_are_answered(stage, has_blocks, words):
    progress = JobProgress(stage, 12, 400)
    assert behind_text("Model 2.", progress, has_blocks=has_blocks) == words
    assert behind_text("", progress, has_blocks=has_blocks) == words.removeprefix("Model 2. ")


def test_the_status_says_what_is_cut_behind_a_question(open_session):
    desk = open_session(budget=100, first_training=30)
    desk.until(lambda: not desk.session.is_busy)
    progress, page = JobProgress("superpixels", 2, 5), desk.dock.annotate
    desk.session.events.job_progress.emit(progress)
    assert page._status.text() == (
        "The first model is trained after 30 answers. "
        "In the background: regions cut in 2 of 5 images."
    )


def test_which_model_is_ready():
    asks, corrects = METHODS["classbal"], METHODS["a2lc"]
    config = SimpleNamespace(first_training=30, budget_of=lambda _: 100, method=asks)
    by_clicks = SimpleNamespace(first_training=None, budget_of=lambda _: 100, method=asks)
    assert ready_text(None, by_clicks, "P") == ""
    assert ready_text(None, config, "P") == "The first model is trained after 30 answers."
    assert ready_text(2, config, "J") == "Model 2 is ready: J shows what it predicts."
    config.method = corrects
    assert "trained at once" in ready_text(None, config, "P")


@pytest.mark.parametrize(
    ("last_round", "model_round", "is_interrupted"),
    [(3, 2, True), (0, None, True), (1, None, True), (2, 2, False), (None, 2, False)],
)
def test_a_training_that_was_interrupted_says_so(last_round, model_round, is_interrupted):
    steps = [{"round": last_round, "step": 40, "n_steps": 150}] if last_round is not None else []
    words = interruption_text(steps, model_round)
    if is_interrupted:
        assert f"model {last_round} was interrupted at step 40 of 150" in words
    else:
        assert words == ""


def test_a_project_opened_again_shows_losses_and_the_interruption(open_session):
    desk = open_session()
    project = desk.session.project
    for step in (1, 2, 3):
        project.append_training(
            {"round": 1, "stage": 1, "step": step, "n_steps": 9, "loss": 1.0 / step}
        )
    desk.dock.bench.close()
    desk.dock.bench.open(Session.open(project.path, dispatch=desk.dock.bench.dispatch))
    desk.until_asked()
    page = desk.dock.annotate
    assert page.model.loss.n_points == 3
    assert "interrupted at step 3 of 9" in page._message.text()
    assert "interrupted at step 3 of 9" in page.model._stage.text()


def test_answers_that_the_model_predicted_are_shown_and_where_they_came_from(open_session):
    desk = open_session("bvsb", budget=8, acquisition={"random_share": 1.0})
    for _ in range(8):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.until(lambda: desk.session.scores_round == 1 and not desk.session.is_busy)
    panel = desk.dock.annotate.model
    assert panel.predicted.n_points == 0
    for _ in range(4):
        desk.key(Qt.Key.Key_1)
        desk.until_asked()
    desk.dock.bench.opened.statistics.update()
    found = desk.session.prequential_accuracy()
    assert found.newest.n >= 3, "the first one was asked before there was a model"
    assert panel.predicted.n_points == found.newest.n
    assert f"of your last {found.newest.n} answers" in panel._predicted.text()
    assert f"Of {found.random.n} regions drawn at random" in panel._predicted.text()
    assert f">{found.by_class[0].n_right} of {found.by_class[0].n}<" in panel._by_class.text()
