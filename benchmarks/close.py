"""Close napari at random moments, again and again, and look at what it leaves.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/close.py --closings 50

Each napari opens the same project (the first one makes it), is answered by keys, trains, and is
closed like any window: on its way up, between two keys, while a model trains or scores. It has to
end by itself with status 0 and not a word on stderr, leave no process and no lock, and every answer
that was said to be on disk has to be there when the next one opens.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scenes import write_data

from napari_al.session.session import Session

MARK = "NAPARI_AL_CLOSED"
END_S = 180
HARMLESS = ("qt_event_loop.py", "theme_type=", "deprecated and will be removed", "XDG_RUNTIME_DIR")
"""What napari itself says on a screen like this one, and how each of its lines is known."""
PROGRAM = """
import sys
from pathlib import Path
import napari
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from napari_al.plugin import app, viewers

data, project, when, pause_ms = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
viewer = viewers.open_window()
dock = app.open_dock(viewer)
settings = {"budget": 8, "regions": {"n_per_image": 60},
            "training": {"segmenter": "filters", "steps": 2, "threads": 1}}
is_there = (project / "config.json").exists()
dock.opening.open(
    project if is_there else data, project=project, method="classbal", settings=settings
)
closing = QTimer()
closing.setSingleShot(True)
closing.timeout.connect(lambda: dock.docking.main_window().close())

def press():
    bench = dock.bench
    if bench.query is not None and bench.stage.image:
        n = len(bench.session.answers())
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_1)
        print("answers", len(bench.session.answers()), flush=True)
        if when == "answering" and not closing.isActive():
            closing.start(pause_ms)

keys = QTimer()
keys.timeout.connect(press)
keys.start(100)
if when == "early":
    closing.start(pause_ms)
napari.run()
"""


class Left(Exception):
    """Something was left that should be gone, or is gone that should be there."""


def close_once(data: Path, project: Path, rng: random.Random) -> int:
    """Start a napari and have it closed; return the number of answers it said to be on disk."""
    mark = uuid.uuid4().hex
    when = rng.choice(["early", "answering", "answering"])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(data), str(project), when, str(rng.randrange(3000))],
        env={**os.environ, MARK: mark},
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    words = [line for line in done.stderr.splitlines() if not any(w in line for w in HARMLESS)]
    if done.returncode or words:
        raise Left(f"closed {when}: status {done.returncode}\n" + "\n".join(words))
    if left := processes(mark):
        raise Left(f"closed {when}: processes {left} are still there")
    counts = re.findall(r"^answers (\d+)$", done.stdout, re.MULTILINE)
    said = int(counts[-1]) if counts else 0
    if (project / "config.json").exists():
        with Session.open(project) as session:  # no lock is left
            n_answers = len(session.answers())
        if n_answers < said:
            raise Left(f"closed {when}: {said} answers were said, {n_answers} are there")
    elif said:
        raise Left(f"closed {when}: {said} answers, and no project")
    return said


def processes(mark: str) -> list[str]:
    """Command lines of the processes that descend from one that was marked."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--closings", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data", n_train=12)
        n_answers = 0
        for number in range(options.closings):
            try:
                n_answers = max(n_answers, close_once(data, Path(name) / "p", rng))
            except Left as error:
                print(f"closing {number}: {error}")
                return 1
    print(f"{options.closings} closings, {n_answers} answers: nothing left, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
