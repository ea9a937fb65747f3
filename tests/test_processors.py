"""How many threads each process of a project uses."""

from __future__ import annotations

import pytest

from napari_al import processors
from napari_al.processors import threads_of_job


@pytest.mark.parametrize(
    ("chosen", "environment", "beside_window", "expected"),
    [
        (0, None, False, 4),
        (0, None, True, 3),  # the window has the fourth
        (0, "2", True, 2),
        (0, "many", False, 4),
        (1, "2", True, 1),
        (6, None, True, 6),  # as somebody wants it
    ],
)
def test_a_project_uses_no_more_threads_than_there_are_cores(
    monkeypatch, chosen, environment, beside_window, expected
):
    monkeypatch.setattr(processors, "n_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    assert threads_of_job(chosen, beside_window=beside_window) == expected


def test_a_single_core_is_shared(monkeypatch):
    monkeypatch.setattr(processors, "n_cores", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of_job(0, beside_window=True) == 1
