"""The status line's words."""

from types import SimpleNamespace

import pytest

from napari_al.plugin.annotate.presenter import job_text, ready_text
from napari_al.session.rounds.job_function import JobProgress


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (JobProgress("training", 20, 50), "Model 2: training, 40 %"),
        (JobProgress("scoring", 120, 367), "Scoring 120 of 367"),
        (JobProgress("superpixels", 1, 3), "Superpixels 1 of 3"),
    ],
)
def test_how_far_a_job_is(progress, words):
    assert job_text(progress, 2) == words


def test_which_model_is_ready():
    config = SimpleNamespace(first_training=30, budget=100)
    assert ready_text(None, SimpleNamespace(first_training=None, budget=100)) == ""
    assert ready_text(None, config) == "The first model is trained after 30 answers."
    assert ready_text(2, config) == "Model 2 is ready: P shows what it predicts."
