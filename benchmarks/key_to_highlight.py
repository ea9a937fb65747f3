"""From a class key to the next region on screen, in a real window, with and without training.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/key_to_highlight.py DATA [N]

Answers N queries (100) of DATA through real key events, half a second apart, twice: at rest and
while a child process trains. "handled": the key's handler has returned and the next query's
picture, camera and question are set; "painted": Qt has painted them. Without a graphics card the
painting is done by the processor.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_al.formats.dataset import DataFolder
from napari_al.plugin.app import open_dock
from napari_al.plugin.viewers import close_all
from napari_al.session.session import Session
from napari_al.session.settings import make_config

APART_S = 0.5


def wait(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def _note(times: list[float], _: object) -> None:
    times.append(time.perf_counter())


def answer(canvas, bench, n: int, rng: np.random.Generator) -> np.ndarray:
    """Answer n queries; return (n, 2) seconds: handled, painted."""
    paints: list[float] = []
    painted = partial(_note, paints)
    canvas._vispy_canvas.events.draw.connect(painted, position="last")
    times = []
    for _ in range(n):
        wait(APART_S)
        before = bench.query
        key = Qt.Key(Qt.Key.Key_1 + int(rng.integers(min(9, len(bench.session.config.classes)))))
        paints.clear()
        start = time.perf_counter()
        QTest.keyClick(canvas, key)
        handled = time.perf_counter()
        while not paints:
            QApplication.processEvents()
        QApplication.processEvents()
        times.append((handled - start, paints[-1] - start))
        if bench.query is before:
            raise RuntimeError("the next query is not there")
    canvas._vispy_canvas.events.draw.disconnect(painted)
    return np.array(times)


def report(name: str, times: np.ndarray) -> None:
    for column, what in enumerate(("handled", "painted")):
        p50, p95 = np.percentile(1000 * times[:, column], [50, 95])
        print(f"{name:>8}  {what}  p50 {p50:5.1f} ms  p95 {p95:5.1f} ms  n {len(times)}")


def main(data: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 720)
    bench = open_dock(viewer).bench
    canvas = viewer.window._qt_viewer.canvas.native
    with tempfile.TemporaryDirectory() as folder:
        settings = {"budget": 100_000, "training": {"steps": 100_000}}
        config = make_config(DataFolder.open(data), settings, "classbal")
        session = Session.create(Path(folder) / "project", config, dispatch=bench.dispatch)
        session.prepare()
        bench.open(session)
        wait(3)
        report("at rest", answer(canvas, bench, n, rng))
        bench.train()
        while not session.is_busy:
            wait(0.1)
        wait(8)
        report("training", answer(canvas, bench, n, rng))
        close_all()
    viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100)
