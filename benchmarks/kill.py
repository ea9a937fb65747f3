"""Kill what works on a project, again and again, and look at what it leaves.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/kill.py --kills 240

A quarter each of the kills (SIGKILL, at random moments) goes to

- ``simulate``: it is started again until it is done; its ``rounds.csv`` has to be that of an
  unbroken run, but for the columns that measure seconds;
- the training child of an open session: the session has to go on, and every answer has to count;
- a process that annotates while a child of it trains: what it said after each answer was on disk
  has to be there, the project has to open, and the child has to be gone;
- the same in a real window, with keys pressed over the picture.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scenes import project_config, write_data, write_initial

from napari_al.session.project.folder import Project
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.simulate.runner import run_simulation

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("classbal", "a2lc", "multi-class", "adaptive-superpixel")
SETTINGS = {
    "regions": {"n_per_image": 20},
    "training": {"segmenter": "filters", "steps": 8, "threads": 1, "device": "cpu"},
}
N_ROUNDS = 3
WHILE_ANSWERING = 0.8
"""Share of the annotating processes that are killed after their first answer, not on their way."""
START_S = 120


class Lost(Exception):
    """Something was not as it should be."""


def check(holds: bool, message: str) -> None:
    if not holds:
        raise Lost(message)


# ---- simulate


def simulate(data: Path, method: str, out: Path) -> None:
    run_simulation(data, method, n_rounds=N_ROUNDS, out=out, budget=8, seed=1, settings=SETTINGS)


def figures(project: Path) -> list[dict[str, str]]:
    rows = Project(project).read_rounds()
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]


def kill_simulations(data: Path, folder: Path, n_kills: int, rng: random.Random) -> str:
    done = n_runs = 0
    while done < n_kills:
        method = METHODS[n_runs % len(METHODS)]
        whole = folder / f"whole-{method}"
        if not whole.exists():
            finish(lambda m=method, out=whole: simulate(data, m, out))
        broken = folder / f"broken-{n_runs}"
        within_s = 0.5
        while not ended_before(lambda m=method, out=broken: simulate(data, m, out), within_s, rng):
            done += 1
            within_s *= 1.5  # or it would never come to an end on a slow machine
        check(figures(broken) == figures(whole), f"{method}: other figures than an unbroken run's")
        n_runs += 1
    return f"simulate: {done} kills over {n_runs} runs, each ended with the unbroken rounds.csv"


def fork(work: Callable[[], object]) -> int:
    """Do it in a process of its own (torch is imported, which takes most of a start)."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def finish(work: Callable[[], object]) -> None:
    _, status = os.waitpid(fork(work), 0)
    check(status == 0, "an undisturbed run failed")


def ended_before(work: Callable[[], object], within_s: float, rng: random.Random) -> bool:
    """Whether it ended by itself before it was killed, at a random moment."""
    pid = fork(work)
    end = time.monotonic() + rng.random() * within_s
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return True
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    check(status in (0, signal.SIGKILL), f"it failed by itself (status {status})")
    return status == 0


# ---- the training child


def kill_training(data: Path, folder: Path, n_kills: int, rng: random.Random) -> str:
    done = n_trained = n_retried = 0
    with Session.create(folder / "trained", project_config(data, budget=4)) as session:
        session.prepare()
        oracle, warned, ended = Oracle(session.data), [], []
        session.events.warned.connect(warned.append)
        session.events.job_finished.connect(ended.append)
        while done < n_kills:
            if answer(session, oracle) is None:  # the budget is spent, or the pool is empty
                session.undo()
                answer(session, oracle)
            before = session.answers()
            if not session.is_busy:
                session.start_training()
            pause(rng.random() * 3)
            for pid in children():
                os.kill(pid, signal.SIGKILL)
                done += 1
            if rng.random() < 0.3:
                session.wait_for_job()
                check(not session.is_busy, "a job that has ended counts as running")
            check(session.answers() == before, "an answer is gone")
        session.wait_for_job()
        n_trained = sum(result.status == "done" for result in ended)
        n_retried = len(warned)
        session.start_training()
        session.wait_for_job()
        check(ended[-1].status == "done", f"the last training failed: {ended[-1].reason}")
        rows = [row["round"] for row in session.rounds()]
        check(rows == [str(n) for n in session.project.rounds_done()], f"rounds.csv has {rows}")
    return (
        f"training child: {done} kills, {n_retried} times tried again with a smaller batch, "
        f"{n_trained} trainings done in between; no answer lost, the session went on"
    )


def answer(session: Session, oracle: Oracle) -> object:
    query = session.query()
    if query is not None:
        session.submit(oracle.answer(query))
    return query


def children(of: int | None = None) -> list[int]:
    """Process ids of the children that run jobs."""
    found = []
    for tasks in Path(f"/proc/{of or os.getpid()}/task").glob("*/children"):
        for pid in tasks.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"napari_al.session.rounds.job_child" in command:
                found.append(int(pid))
    return found


def pause(seconds: float) -> None:
    time.sleep(seconds)


# ---- the annotating process


def annotate_until_killed(project: Path, out: int) -> None:
    """Answer, and say each answer once it is on disk; train all the time."""
    with Session.open(project) as session:
        oracle = Oracle(session.data)
        if not session.has_scores:
            session.prepare()
        while True:
            query = session.query()
            if query is None:
                session.undo()
                os.write(out, b"undo\n")
                continue
            given = oracle.answer(query)
            session.submit(given)
            os.write(out, f"{given.id}\n".encode())
            if not session.is_busy:
                session.start_training()


def annotate_in_window_until_killed(project: Path, out: int) -> None:
    """Press keys in a window; say each answer as soon as the window may show the next query."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_al.plugin.app import open_dock

    viewer = napari.Viewer(show_welcome_screen=False)
    canvas = viewer.window._qt_viewer.canvas.native
    bench = open_dock(viewer).bench
    session = Session.open(project, dispatch=bench.dispatch)
    session.events.answered.connect(
        lambda answers: os.write(out, "".join(f"{answer.id}\n" for answer in answers).encode())
    )
    session.events.undone.connect(lambda _: os.write(out, b"undo\n"))
    bench.open(session)
    while True:
        QApplication.processEvents()
        pause(0.002)
        if bench.query is None and bench.pause == "done":
            QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        elif bench.query is not None:
            QTest.keyClick(canvas, Qt.Key.Key_1)
            if not session.is_busy:
                bench.opened.train()


def replay(said: list[str]) -> list[str]:
    ids: list[str] = []
    for word in said:
        ids.pop() if word == "undo" else ids.append(word)
    return ids


def kill_annotators(
    data: Path,
    folder: Path,
    n_kills: int,
    rng: random.Random,
    annotate: Callable[[Path, int], None] = annotate_until_killed,
) -> str:
    path = folder / "annotated"
    Session.create(path, project_config(data, budget=10_000)).close()
    n_answers = n_children = n_unsaid = 0
    in_force: list[str] = []
    for number in range(n_kills):
        receiving, sending = os.pipe()
        pid = fork(lambda sending=sending: annotate(path, sending))
        os.close(sending)
        if rng.random() < WHILE_ANSWERING:
            select.select([receiving], [], [], START_S)
        pause(rng.random() * 3)
        orphans = children(pid)
        n_children += len(orphans)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        check(status == signal.SIGKILL, f"kill {number}: it had failed by itself")
        with os.fdopen(receiving) as pipe:
            said = [line.strip() for line in pipe if line.endswith("\n")]
        expected = replay([*in_force, *said])
        with Session.open(path) as session:
            found = [given.id for given in session.answers()]
            session.query()
            for model_round in session.project.rounds_done():
                json.loads(session.project.round_file(model_round).read_text())
                session.project.load_model(model_round)
        wait_until_gone(orphans)
        # What was killed on its way to the disk may show only once no orphan reads the log.
        with Session.open(path) as session:
            in_force = [given.id for given in session.answers()]
        for answers in (found, in_force):
            if not follows(answers, expected):
                raise Lost(gone(number, said, expected, answers))
        n_answers += len(said)
        n_unsaid += in_force != expected
    return (
        f"annotating process: {n_kills} kills, {n_answers} answers were said to be on disk and "
        f"were there ({n_unsaid} kills between writing and saying so); {n_children} children "
        "were training then and ended by themselves"
    )


def follows(in_force: list[str], expected: list[str]) -> bool:
    """Whether these are the answers that were said, or one answer or undo more."""
    return in_force == expected or in_force == expected[:-1] or in_force[:-1] == expected


def gone(number: int, said: list[str], expected: list[str], in_force: list[str]) -> str:
    """Say where what is there begins to differ from what was said to be there."""
    pairs = zip(expected, in_force, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(in_force)))
    return (
        f"kill {number}: answers are gone: {len(expected)} expected, {len(in_force)} there, "
        f"different from {at} on; {said.count('undo')} undone of {len(said)} said: {said[-6:]}"
    )


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 15
    for pid in pids:
        while Path(f"/proc/{pid}").exists() and not is_zombie(pid):
            check(time.monotonic() < end, f"the child {pid} of a killed process still runs")
            pause(0.02)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


KINDS: dict[str, Callable[..., str]] = {
    "simulate": kill_simulations,
    "training": kill_training,
    "annotator": kill_annotators,
    "window": partial(kill_annotators, annotate=annotate_in_window_until_killed),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    kinds = {options.only: KINDS[options.only]} if options.only else KINDS
    n_each = -(-options.kills // len(kinds))
    with tempfile.TemporaryDirectory() as name:
        data = write_initial(write_data(Path(name) / "data"))
        for kind, kill in kinds.items():
            folder = Path(name) / kind
            folder.mkdir()
            try:
                print(kill(data, folder, n_each, random.Random(options.seed)), flush=True)
            except Lost as error:
                print(f"{kind}: {error}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
