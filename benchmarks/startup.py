"""What the dock adds to napari's start, how long ``napari-al --help`` takes, and what each imports.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/startup.py --runs 7

Each run is a process of its own. CPU seconds hardly depend on what else runs; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

HEAVY = ("torch", "cv2", "transformers", "matplotlib", "skimage", "scipy")
REPORT = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
WINDOW = """
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
{dock}
for _ in range(10):
    QApplication.processEvents()
{report}
viewer.close()
"""
DOCK = "viewer.window.add_plugin_dock_widget('napari-al', 'Active learning')"
PROGRAMS = {
    "napari": WINDOW.format(dock="", report=REPORT),
    "napari with the dock": WINDOW.format(dock=DOCK, report=REPORT),
    "python": REPORT,
    "napari-al --help": "import sys; sys.argv = ['napari-al', '--help']\n"
    f"from napari_al.cli import main\ntry:\n    main()\nfinally:\n    {REPORT}",
}


@dataclass(frozen=True)
class Run:
    """One process, from its start to its end."""

    wall_s: float
    cpu_s: float
    heavy: str

    @classmethod
    def of(cls, code: str) -> Run:
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        wall_s, after = time.perf_counter() - started, os.times()
        cpu_s = after.children_user + after.children_system
        cpu_s -= before.children_user + before.children_system
        return cls(wall_s, cpu_s, done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    medians: dict[str, tuple[float, float]] = {}
    runs: dict[str, list[Run]] = {name: [] for name in PROGRAMS}
    for _ in range(options.runs):  # in turns, so that all meet the same neighbours
        for name, code in PROGRAMS.items():
            runs[name].append(Run.of(code))
    for name, of_one in runs.items():
        wall_s = statistics.median(run.wall_s for run in of_one)
        cpu_s = statistics.median(run.cpu_s for run in of_one)
        medians[name] = wall_s, cpu_s
        heavy = of_one[0].heavy or "nothing heavy"
        print(f"{name:>21}: {wall_s:.2f} s, {cpu_s:.2f} s of CPU; imports {heavy}")
    for name, base in (("napari with the dock", "napari"), ("napari-al --help", "python")):
        wall_s, cpu_s = (a - b for a, b in zip(medians[name], medians[base], strict=True))
        print(f"{name} - {base}: {wall_s:.2f} s, {cpu_s:.2f} s of CPU")


if __name__ == "__main__":
    main()
