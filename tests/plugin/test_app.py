"""A simulated annotator in a real window, as ``napari-al demo --simulated`` has it."""

from __future__ import annotations

import subprocess
import sys

import imageio.v3 as iio
from scenes import project_config

from napari_al.session.project.folder import Project

SCRIPT = """
import sys
from pathlib import Path
from napari_al.plugin.app import run_simulated
from napari_al.session.project.folder import Project
from napari_al.session.log.snapshot import open_data
from napari_al.simulate.oracle import Oracle

path = Path(sys.argv[1])
project = Project.open(path, read_only=True)
oracle = Oracle(open_data(project, project.read_config()))
rows = run_simulated(path, oracle.answer, 2, path / "screenshot.png", print)
assert [row["round"] for row in rows] == ["1", "2"], rows
"""


def test_a_simulated_annotator_works_in_a_window(data_path, tmp_path):
    path = tmp_path / "project"
    Project.create(path, project_config(data_path, budget=3))
    command = [sys.executable, "-c", SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("round")]  # napari warns
    assert told == ["round 1: 3 clicks", "round 2: 6 clicks"]
    assert iio.imread(path / "screenshot.png").std() > 10
