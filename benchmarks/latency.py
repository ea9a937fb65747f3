"""From an answer to the next question, without a window, while a model trains and while none does.

    python benchmarks/latency.py DATA --answers 500

Each answer is written to disk, and the next question and those after it are made, as a window does
between a key and the next picture. ``--pause`` is how long an annotator takes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_al.core.clicks import Clicks
from napari_al.formats.dataset import DataFolder
from napari_al.methods.queries import Answer
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--method", default="classbal")
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--ahead", type=int, default=6)
    options = parser.parse_args()
    data = DataFolder.open(options.data)
    config = make_config(data, {"budget": 10**6, "training": {"steps": 10**6}}, options.method)
    with (
        tempfile.TemporaryDirectory() as folder,
        Session.create(Path(folder) / "p", config) as session,
    ):
        if session.round == 0:
            raise SystemExit("a method that starts without a model, please")
        session.start_scoring()
        session.wait_for_job()
        print(f"{len(data.train)} images, {session.n_regions} regions")
        report("alone", measure(session, options))
        session.start_training()
        wait_until_training(session)
        report("with training", measure(session, options))


def wait_until_training(session: Session) -> None:
    begun: list[bool] = []
    session.events.job_progress.connect(lambda p: begun.append(p.stage == "training"))
    while not any(begun):
        time.sleep(0.05)


def measure(session: Session, options: argparse.Namespace) -> np.ndarray:
    """Seconds of each step, in ms: submit, query, what comes next; and CPU time of all."""
    times = []
    query = session.query()
    for _ in range(options.answers):
        time.sleep(options.pause)
        cpu = time.thread_time()
        marks = [time.perf_counter()]
        session.submit(Answer(query, (0,), Clicks(class_clicks=1)))
        marks.append(time.perf_counter())
        query = session.query()
        marks.append(time.perf_counter())
        session.upcoming(options.ahead)
        marks.append(time.perf_counter())
        times.append([*np.diff(marks), marks[2] - marks[0], time.thread_time() - cpu])
    return 1000 * np.array(times)


def report(name: str, times: np.ndarray) -> None:
    steps = ("submit", "query", "upcoming", "submit + query", "CPU of all")
    print(f"{name}: ms  p50 / p95 / max")
    for step, column in zip(steps, times.T, strict=True):
        p50, p95 = np.percentile(column, (50, 95))
        print(f"  {step:15} {p50:7.2f} {p95:7.2f} {column.max():7.2f}")


if __name__ == "__main__":
    main()
