"""From a class key to the next region on screen, in a real window, and how long the window stalls.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/key_to_highlight.py DATA [--overlays]

Answers queries of DATA through real key events: at rest, then while a child process trains and
scores, again and again (heatmaps and queries refresh image by image meanwhile). Reported by what
the child was doing:

- "handled": the key's handler has returned, the next query and its question are set;
- "painted": Qt has painted the next region. Without a graphics card the processor paints;
- "stalls": time between two ticks of a timer in the window's event loop, beyond its interval;
- "painted_cpu", "cpu" and "works": CPU time of the window's thread until "painted", of all that an
  answer causes, and between two ticks; what else runs on the machine hardly changes them.

The line "all" is over everything; its p95 and its largest stall are what the window promises.
``--live`` trains as the window does by itself (the first model after 30 answers, then again after
every 20) in the place of one training after another. ``--overlays`` shows heatmap and answers over
the image, which change with each answer. ``--check`` exits with 1 if the window's thread works for
50 ms (median) until the next region is painted, or for 100 ms between two ticks, in CPU time.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest

from napari_al.formats.dataset import DataFolder
from napari_al.plugin.app import open_dock
from napari_al.plugin.viewers import close_all
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_al.methods.queries import Query
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.session.rounds.job_function import JobProgress, JobResult

TICK_MS = 5
LONG_STALL_MS = 100
SETTLE_S = 3
AT_REST = "at rest"


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Path
    answers: int = 500
    apart: float = 0.3
    steps: int = 30
    method: str = "classbal"
    live: bool = False
    overlays: bool = False
    profile: bool = False
    check: bool = False


@dataclass
class Figures:
    """Of one stage; seconds."""

    handled: list[float] = field(default_factory=list)
    painted: list[float] = field(default_factory=list)
    painted_cpu: list[float] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    works: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.painted):4} answers"]
        for name in ("handled", "painted", "painted_cpu", "cpu"):
            p50, p95 = 1000 * np.percentile(getattr(self, name), [50, 95])
            parts.append(f"{name} {p50:5.1f} / {p95:5.1f} ms")
        for name in ("stalls", "works"):
            ms = 1000 * np.array(getattr(self, name))
            n_long = int((ms > LONG_STALL_MS).sum())
            parts.append(f"{name} up to {ms.max(initial=0):4.0f} ms, {n_long:2} over 100")
        return "  ".join(parts)


class Probe:
    """Ticks in the event loop, and notes under ``stage`` how late each tick is."""

    def __init__(self) -> None:
        self.figures: dict[str, Figures] = defaultdict(Figures)
        self.stage = AT_REST
        self._last = self._last_cpu = 0.0
        self._timer = _timer(TICK_MS, self._tick)

    def start(self) -> None:
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def note_stage(self, progress: JobProgress) -> None:
        self.stage = progress.stage

    def follow(self, session: Session) -> None:
        """Note what a session's jobs do, and when they have ended."""
        session.events.job_progress.connect(self.note_stage)
        session.events.job_finished.connect(self._note_end)

    def _note_end(self, _: JobResult) -> None:
        self.stage = AT_REST

    def print(self) -> None:
        """Print the figures of each stage, and of all together."""
        every = Figures()
        for figures in self.figures.values():
            for name in vars(every):
                getattr(every, name).extend(getattr(figures, name))
        for stage, figures in (*self.figures.items(), ("all", every)):
            if figures.painted:
                print(f"{stage:>11}  {figures}")

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.figures[self.stage].stalls.append(now - self._last - TICK_MS / 1000)
        self.figures[self.stage].works.append(cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu


class Typist:
    """Presses class keys over the canvas, one a pause, and times what follows."""

    def __init__(
        self, canvas: QWidget, draw: object, bench: Workbench, probe: Probe, *, trains: bool
    ) -> None:
        self._canvas, self._bench, self._probe = canvas, bench, probe
        self._trains = trains  # again, whenever nothing else runs but at the beginning
        self._rng = np.random.default_rng(0)
        self._n_keys = min(9, len(bench.session.config.classes))
        self._loop = QEventLoop()
        self._start: float | None = None
        self._handled = 0.0
        self._cpu = time.thread_time()
        draw.connect(self._on_drawn, position="last")

    def answer(self, n: int, apart_s: float) -> None:
        self._left = n
        self._next = _timer(int(1000 * apart_s), self._press, again=False)
        self._cpu = time.thread_time()
        self._next.start()
        self._probe.start()
        self._loop.exec_() if hasattr(self._loop, "exec_") else self._loop.exec()
        self._probe.stop()

    def key_of(self, _: Query) -> Qt.Key:
        return Qt.Key(Qt.Key.Key_1 + int(self._rng.integers(self._n_keys)))

    def _press(self) -> None:
        bench = self._bench
        if self._trains and self._probe.stage != AT_REST and not bench.session.is_busy:
            bench.opened.train()  # and the next key a pause later
            self._next.start()
            return
        if bench.query is None or bench.stage.image != bench.query.region.image:
            raise SystemExit(f"there is no query on screen ({bench.pause})")
        self._before, self._stage = bench.query, self._probe.stage
        key = self.key_of(bench.query)
        self._start, self._start_cpu = time.perf_counter(), time.thread_time()
        QTest.keyClick(self._canvas, key)
        self._handled = time.perf_counter()

    def _on_drawn(self, _: object) -> None:
        query = self._bench.query
        if self._start is None or query is None or query is self._before:
            return
        if self._bench.stage.image != query.region.image or not self._handled > self._start:
            return  # its image is still being made
        figures, cpu = self._probe.figures[self._stage], time.thread_time()
        figures.handled.append(self._handled - self._start)
        figures.painted.append(time.perf_counter() - self._start)
        figures.painted_cpu.append(cpu - self._start_cpu)
        figures.cpu.append(cpu - self._cpu)
        self._cpu, self._start = cpu, None
        self._left -= 1
        if self._left:
            self._next.start()
        else:
            QTimer.singleShot(0, self._loop.quit)


def _timer(interval_ms: int, on_timeout: Callable[[], None], *, again: bool = True) -> QTimer:
    made = QTimer()
    made.setTimerType(Qt.TimerType.PreciseTimer)
    made.setSingleShot(not again)
    made.setInterval(interval_ms)
    made.timeout.connect(on_timeout)
    return made


def settle(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()


def measure(options: Options, project: Path) -> Probe:
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1280, 720)
    bench = open_dock(viewer).bench
    settings = {"budget": 1_000_000, "training": {"steps": options.steps}}
    if options.live:
        settings |= {"first_training": 30, "retrain_after": 20}
    config = make_config(DataFolder.open(options.data), settings, options.method)
    session = Session.create(project, config, dispatch=bench.dispatch)
    session.prepare()
    bench.open(session)
    for kind in ("heatmap", "answers") if options.overlays else ():
        bench.stage.set_wanted(kind, True)
    probe = Probe()
    canvas = viewer.window._qt_viewer.canvas
    typist = Typist(
        canvas.native, canvas._scene_canvas.events.draw, bench, probe, trains=not options.live
    )
    settle(SETTLE_S)
    profile = cProfile.Profile(time.thread_time)
    if options.profile:
        profile.enable()
    if options.live:
        probe.follow(session)
    else:
        typist.answer(options.answers // 5, options.apart)
        session.events.job_progress.connect(probe.note_stage)
        probe.stage = "starting"
    typist.answer(options.answers, options.apart)
    if options.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(90)
    close_all()
    viewer.close()
    return probe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--answers", type=int, default=Options.answers)
    parser.add_argument(
        "--apart", type=float, default=Options.apart, help="seconds before each key"
    )
    parser.add_argument("--steps", type=int, default=Options.steps, help="of each training")
    parser.add_argument("--method", default=Options.method)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--overlays", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = Options(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        probe = measure(options, Path(folder) / "project")
    print("p50 / p95")
    probe.print()
    measured = [figures for figures in probe.figures.values() if figures.painted_cpu]
    slow = any(np.median(f.painted_cpu) >= 0.05 or max(f.works) >= 0.1 for f in measured)
    if options.check and (slow or len(measured) < 2):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
