"""Short forms of benchmarks/kill.py, close.py, soak.py and key_to_highlight.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("kind", ["simulate", "training", "annotator", "window"])
def test_killed_work_loses_nothing(kind: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "kill.py"), "--kills", "2", "--only", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_closed_window_leaves_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "close.py"), "--closings", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_windows_thread_is_never_busy_for_long(tmp_path: Path) -> None:
    """In CPU time, which does not depend on what else runs."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from key_to_highlight import Options, measure\n"
        "from napari_al.formats.sample import sample_data_path\n"
        "options = Options(sample_data_path(), answers=25, apart=0.1, steps=2, overlays=True)\n"
        "for figures in measure(options, Path(sys.argv[2])).figures.values():\n"
        "    if figures.painted_cpu:\n"
        "        print('measured', np.median(figures.painted_cpu), max(figures.works))\n"
    )
    command = [sys.executable, "-c", code, str(BENCHMARKS), str(tmp_path / "p")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("measured")]
    rows = [(float(painted_s), float(longest_s)) for _, painted_s, longest_s in lines]
    assert len(rows) >= 2, "at rest, and with a child at work"
    assert max(row[0] for row in rows) < 0.05
    assert max(row[1] for row in rows) < 0.1


def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from scenes import write_data
    from soak import Figures, Headless, soak, soak_config

    before = Figures.now()
    data = write_data(tmp_path / "data")
    with Headless(tmp_path / "p", soak_config(data, 20, n_per_image=20)) as desk:
        first, last = soak(desk, n_answers=40, every=20)
    after = Figures.now()
    assert (last.files, last.threads, last.children) == (first.files, first.threads, 0)
    assert last.memory_mb - first.memory_mb < 20
    assert (after.files, after.threads, after.children) == (before.files, before.threads, 0)
