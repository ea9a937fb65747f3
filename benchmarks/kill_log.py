"""Kill a process that writes the annotation log, again and again, and look at what it left.

    python benchmarks/kill_log.py --trials 200

Each writer says a position only after the call that wrote it has returned. Whatever it said has to
be in the log, whatever is in the log has to be what the script of actions makes, and the next
writer goes on from there.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.methods.queries import Answer, Query, Region
from napari_al.session.log.log import AnnotationLog


def answer(number: int) -> Answer:
    """Return answer ``number`` of the script: always the same."""
    mask = Mask((0, 0, 40, 40), (number % 20, *(20,) * 79, 20 - number % 20))
    query = Query(Region(f"image_{number % 7}", (number,), mask), "dominant", 0.5, 1, 0)
    answer_id = uuid.UUID(int=number).hex
    return Answer(query, (number % 5,), Clicks(1), id=answer_id, time="2026-01-01T00:00:00+00:00")


def act(log: AnnotationLog) -> None:
    """Write the next entry of the script, which follows from the position alone."""
    seq = log.last_seq + 1
    if seq % 11 == 0 and log.can_undo:
        log.undo()
    elif seq % 13 == 0 and log.can_redo:
        log.redo()
    elif seq % 7 == 0 and log.active():
        log.amend(log.active()[0].id, answer(1000 * seq))
    else:
        log.append([answer(1000 * seq + i) for i in range(1 + seq % 3)])


def expected(folder: Path, n_entries: int) -> AnnotationLog:
    """Write the script undisturbed; the log to compare with."""
    log = AnnotationLog(folder / "expected.sqlite")
    while log.last_seq < n_entries:
        act(log)
    return log


def write_until_killed(path: Path, out: int) -> None:
    with AnnotationLog(path) as log:
        while True:
            act(log)
            os.write(out, log.last_seq.to_bytes(4, "big"))


def trial(path: Path, rng: random.Random) -> tuple[int, int]:
    """Return the last position that a killed writer said, and the log's."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(receiving)
            write_until_killed(path, sending)
        finally:
            os._exit(1)
    os.close(sending)
    said = 0
    for _ in range(rng.randrange(8)):
        said = int.from_bytes(os.read(receiving, 4), "big")
    end = time.perf_counter() + rng.random() * 0.01
    while time.perf_counter() < end:
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while word := os.read(receiving, 4096):
        said = int.from_bytes(word[-4:], "big")
    os.close(receiving)
    with AnnotationLog(path, read_only=True) as log:
        return said, log.last_seq


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    n_mid_call = 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "annotations.sqlite"
        AnnotationLog(path).close()
        for number in range(arguments.trials):
            said, found = trial(path, rng)
            if found < said:
                print(f"trial {number}: position {said} was said, {found} is there")
                return 1
            n_mid_call += found > said
        with AnnotationLog(path) as log, expected(Path(name), log.last_seq) as undisturbed:
            if log.active() != undisturbed.active():
                print("the log differs from an undisturbed one")
                return 1
            print(
                f"{arguments.trials} kills, {log.last_seq} entries, {len(log.active())} answers "
                f"in force: nothing lost ({n_mid_call} were killed between writing and saying so)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
