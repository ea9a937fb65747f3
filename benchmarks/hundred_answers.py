"""A new user's first hundred answers: from a folder of images to labels, in a real window.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/hundred_answers.py DATA

DATA is a data folder with ground truth; the window gets a folder with its images alone. Names of
classes are typed, the button is clicked, every answer is a key event; ground truth says which key.
Reported:

- from the folder to the first question, with nothing waited for but the machine;
- what the first hundred answers took: on the clock, by the tool's own count, and without the pause
  that is left before each key (what a person would have had to wait);
- from key to the next region on screen (p50 / p95, `key_to_highlight.py` explains the rest), for
  these and a second hundred, by what the child process was doing, and over all: training is live,
  as the window has it by default, so the first model comes after 30 answers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from key_to_highlight import AT_REST, SETTLE_S, Probe, Typist, settle
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_al import DataFolder, Oracle
from napari_al.plugin.app import open_dock
from napari_al.plugin.control.answer_statistics import StatisticsAccumulator
from napari_al.plugin.viewers import close_all

if TYPE_CHECKING:
    from napari_al import Query
    from napari_al.plugin.dock import ActiveLearning

TICK_S = 0.005


class Expert(Typist):
    """Presses the key that ground truth says."""

    oracle: Oracle

    def key_of(self, query: Query) -> Qt.Key:
        class_ids = self.oracle.answer(query).class_ids
        key = self._bench.answering.class_keys[class_ids[0]] if class_ids else "I"
        return Qt.Key(ord(key))


def wait_for(holds, seconds: float = 300) -> None:
    end = time.perf_counter() + seconds
    while not holds():
        settle(TICK_S)
        if time.perf_counter() > end:
            raise SystemExit("what was waited for has not come")


def start(dock: ActiveLearning, images: Path, names: list[str]) -> None:
    """Choose a folder, type the classes, press the button; return with a question on screen."""
    page, bench = dock.start, dock.bench
    page.folder_wanted.emit(images)  # as the folder dialogue does
    wait_for(lambda: page.source is not None)
    QTest.keyClicks(page.class_list.entry, ", ".join(names))
    QTest.keyClick(page.class_list.entry, Qt.Key.Key_Return)
    QTest.mouseClick(page.start, Qt.MouseButton.LeftButton)
    wait_for(lambda: bench.query is not None and bench.stage.image)


def measure(options: argparse.Namespace, folder: Path) -> None:
    data = DataFolder.open(options.data)
    images = folder / "images"
    images.symlink_to(data.path.resolve() / "train" / "images")
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 720)
    dock = open_dock(viewer)
    settle(SETTLE_S)
    bench, probe = dock.bench, Probe()
    began = time.perf_counter()
    probe.stage = "opening"
    probe.start()
    start(dock, images, [info.name for info in data.classes])
    probe.stop()
    print(
        f"folder to first question: {time.perf_counter() - began:.1f} s, "
        f"stalls up to {1000 * max(probe.figures['opening'].stalls):.0f} ms"
    )

    probe.stage, canvas = AT_REST, viewer.window._qt_viewer.canvas
    expert = Expert(canvas.native, canvas._scene_canvas.events.draw, bench, probe, trains=False)
    expert.oracle = Oracle(data)
    if not bench.session.is_live:
        raise SystemExit("training is not live: see the preferences")
    probe.follow(bench.session)
    began = time.perf_counter()
    expert.answer(options.answers, options.apart)
    took_s = time.perf_counter() - began
    answers = bench.session.answers()
    statistics = StatisticsAccumulator().update(answers)
    print(
        f"{len(answers)} answers, {statistics.clicks.total} clicks: {took_s:.1f} s on the clock, "
        f"{statistics.active_s:.1f} s counted, "
        f"{took_s - options.answers * options.apart:.1f} s waiting"
    )
    expert.answer(options.answers, options.apart)
    print(f"{len(bench.session.rounds())} trainings; key to the next region on screen, p50 / p95")
    probe.print()
    close_all()
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--apart", type=float, default=0.5, help="seconds before each key")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
