"""Thousands of answers with many trainings in between: what grows?

    python benchmarks/soak.py --answers 5000 --every 250
    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/soak.py --window

After each training: memory, open files, threads, child processes, Qt objects, and the CPU time of
the answering thread by answer (median of the stretch) and of an undo. Without a window an answer is
submit, the next question and the six after it; with one, a key over the picture and all that it
causes until nothing more happens, and the model trains while answers go on.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scenes import project_config, write_data

from napari_al.session.project.config import RegionSettings, TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from napari_al.session.project.config import ProjectConfig


@dataclass(frozen=True)
class Figures:
    """What a process holds."""

    memory_mb: float
    files: int
    threads: int
    children: int
    qt_objects: int

    @classmethod
    def now(cls) -> Figures:
        gc.collect()
        status = Path("/proc/self/status").read_text().splitlines()
        memory = next(line for line in status if line.startswith("VmRSS"))
        tasks = Path("/proc/self/task").glob("*/children")
        return cls(
            int(memory.split()[1]) / 1024,
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            sum(len(task.read_text().split()) for task in tasks),
            n_qt_objects(),
        )


def n_qt_objects() -> int:
    """Everything that hangs on a window or on the application."""
    if "qtpy.QtWidgets" not in sys.modules:
        return 0
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance()
    if application is None:
        return 0
    roots = [application, *application.topLevelWidgets()]
    return sum(1 + len(root.findChildren(QObject)) for root in roots)


class Desk(Protocol):
    """Where answers are given."""

    session: Session

    def answer(self) -> bool:
        """Give one; False if there is nothing to ask until the model has been trained."""

    def train(self) -> None:
        """See to it that the round's model is there."""

    def undo(self) -> None:
        """Take the last answer back and put it in again."""


class Headless:
    """No window."""

    def __init__(self, project: Path, config: ProjectConfig) -> None:
        self.session = Session.create(project, config)
        self.session.prepare()
        self._oracle = Oracle(self.session.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def answer(self) -> bool:
        query = self.session.query()
        if query is not None:
            self.session.submit(self._oracle.answer(query))
            self.session.query()
            self.session.upcoming(6)
        return query is not None

    def train(self) -> None:
        self.session.start_training()
        self.session.wait_for_job()

    def undo(self) -> None:
        self.session.undo()
        self.session.redo()


class Window:
    """A real one; keys over the picture, as a person presses them."""

    def __init__(self, project: Path, config: ProjectConfig) -> None:
        import napari
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        from napari_al.plugin.app import open_dock

        self._viewer = napari.Viewer(show_welcome_screen=False)
        self._viewer.window.resize(1280, 720)
        self._bench = open_dock(self._viewer).bench
        self._application = QApplication.instance()
        canvas, key = self._viewer.window._qt_viewer.canvas.native, Qt.Key
        control = Qt.KeyboardModifier.ControlModifier
        shift = control | Qt.KeyboardModifier.ShiftModifier
        rng = np.random.default_rng(0)
        self._press = lambda: QTest.keyClick(canvas, key(key.Key_1 + int(rng.integers(4))))
        self._undo = lambda: QTest.keyClick(canvas, key.Key_Z, control)
        self._redo = lambda: QTest.keyClick(canvas, key.Key_Z, shift)
        self.session = Session.create(project, config, dispatch=self._bench.dispatch)
        self.session.prepare()
        self._bench.open(self.session)
        for kind in ("heatmap", "answers"):
            self._bench.stage.set_wanted(kind, True)
        self._settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        from napari_al.plugin.viewers import close_all

        close_all()
        self._viewer.close()
        self._process_events()

    def answer(self) -> bool:
        bench = self._bench
        while bench.query is None and bench.pause == "scoring":
            self._process_events()
        if bench.query is None:
            return False
        self._press()
        self._settle()
        return True

    def _process_events(self) -> None:
        self._application.processEvents()
        time.sleep(0.001)  # or this starves the child, which is polite

    def _settle(self) -> None:
        """Handle events until the next query is on screen and counted."""
        bench = self._bench
        while bench.opened.updates._later.isActive() or not (
            bench.query is None or bench.stage.image
        ):
            self._process_events()
        self._process_events()

    def train(self) -> None:
        """It has begun by itself when the budget was spent."""
        while self.session.is_busy:
            self._process_events()
        self._settle()

    def undo(self) -> None:
        self._undo()
        self._redo()
        self._settle()


def soak(desk: Desk, n_answers: int, every: int) -> list[Figures]:
    """Answer, train, and print what there is after each training."""
    figures: list[Figures] = []
    n_given = 0
    print("answers  MB  files threads children Qt objects   ms/answer  undo ms", flush=True)
    while n_given < n_answers:
        seconds = []
        while len(seconds) < every:
            started = time.thread_time()
            if not desk.answer():
                break
            seconds.append(time.thread_time() - started)
        if not seconds:
            raise SystemExit("the pool is empty; more images are needed")
        n_given += len(seconds)
        desk.train()
        started = time.thread_time()
        desk.undo()
        undo_s = time.thread_time() - started
        figures.append(Figures.now())
        now = figures[-1]
        print(
            f"{n_given:7} {now.memory_mb:4.0f} {now.files:5} {now.threads:6} {now.children:8} "
            f"{now.qt_objects:10} {1000 * np.median(seconds):11.2f} {1000 * undo_s:8.1f}",
            flush=True,
        )
    return figures


def soak_config(data: Path, every: int, n_per_image: int) -> ProjectConfig:
    return project_config(
        data,
        budget=every,
        regions=RegionSettings(n_per_image=n_per_image),
        training=TrainingSettings(segmenter="filters", steps=2, threads=1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--window", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data", n_train=options.images)
        config = soak_config(data, options.every, n_per_image=60)
        before = Figures.now()
        with (Window if options.window else Headless)(Path(name) / "p", config) as desk:
            soak(desk, options.answers, options.every)
        print(f"before: {before}\nclosed: {Figures.now()}")


if __name__ == "__main__":
    main()
