"""Thousands of answers with many trainings in between: what grows?

    python benchmarks/soak.py --answers 5000 --every 250

Memory, open files, threads, child processes and the time of an answer (submit, the next question
and the six after it; median of the stretch) are printed after each training.
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

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scenes import project_config, write_data

from napari_al.session.config import RegionSettings, TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle


@dataclass(frozen=True)
class Figures:
    """What a process holds."""

    memory_mb: float
    files: int
    threads: int
    children: int

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
        )


def soak(project: Path, data: Path, n_answers: int, every: int, n_per_image: int) -> list[Figures]:
    config = project_config(
        data,
        budget=every,
        regions=RegionSettings(n_per_image=n_per_image),
        training=TrainingSettings(steps=2, batch_size=2, crop_px=32, threads=1),
    )
    figures = []
    with Session.create(project, config) as session:
        session.prepare()
        oracle = Oracle(session.data)
        print("answers  MB  files threads children   ms/answer  undo ms  recount ms")
        while len(session.answers()) < n_answers:
            seconds = []
            while (query := session.query()) is not None:
                answer = oracle.answer(query)
                started = time.thread_time()
                session.submit(answer)
                session.query()
                session.upcoming(6)
                seconds.append(time.thread_time() - started)
            if not seconds:
                raise SystemExit("the pool is empty; more images are needed")
            started = time.thread_time()
            session.undo()
            undo_s = time.thread_time() - started
            session.redo()
            started = time.thread_time()
            session.start_training()
            begin_s = time.thread_time() - started
            session.wait_for_job()
            figures.append(Figures.now())
            now = figures[-1]
            print(
                f"{len(session.answers()):7} {now.memory_mb:4.0f} {now.files:5} {now.threads:6} "
                f"{now.children:8} {1000 * np.median(seconds):11.2f} {1000 * undo_s:9.1f} "
                f"{1000 * begin_s:9.1f}",
                flush=True,
            )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--images", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data", n_train=options.images)
        before = Figures.now()
        soak(Path(name) / "p", data, options.answers, options.every, n_per_image=60)
        print(f"before: {before}\nclosed: {Figures.now()}")


if __name__ == "__main__":
    main()
