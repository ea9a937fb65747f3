"""Short forms of benchmarks/kill.py, close.py and soak.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("kind", ["simulate", "training", "annotator", "window"])
def test_killed_work_loses_nothing(kind: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "kill.py"), "--kills", "2", "--only", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_closed_window_leaves_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "close.py"), "--closings", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from scenes import write_data
    from soak import Figures, Headless, soak, soak_config

    before = Figures.now()
    data = write_data(tmp_path / "data")
    with Headless(tmp_path / "p", soak_config(data, 20, n_per_image=20)) as desk:
        first, last = soak(desk, n_answers=40, every=20)
    after = Figures.now()
    # the child lives on from round to round
    assert (last.files, last.threads, last.children) == (first.files, first.threads, 1)
    assert last.memory_mb - first.memory_mb < 20
    assert (after.files, after.threads, after.children) == (before.files, before.threads, 0)
