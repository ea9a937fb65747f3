"""From a round's answers to the heatmap: the job that the window runs in its child process.

    python benchmarks/first_heatmap.py DATA --segmenters efficientnet-lite0 filters compact/120

Seconds are those of the processor on one thread (so that other programs do not count), from before
torch is imported: until the first image has scores, and until all have. The training split alone is
used: who begins to annotate has nothing to validate on. With `--encoded` the images have been
encoded before, as a window does while the first questions are answered.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_al.formats.dataset import DataFolder
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session

if TYPE_CHECKING:
    from napari_al.session.rounds.job_function import JobProgress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--segmenters", nargs="+", default=["efficientnet-lite0", "filters"])
    parser.add_argument("--encoded", action="store_true")
    parser.add_argument("--clicks", type=int, default=100)
    parser.add_argument("--job", nargs=2, metavar=("PROJECT", "LOG_SEQ"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(Path(options.job[0]), int(options.job[1]))
        return
    print("| segmenter/steps | trained, s | first image scored | all images |\n|-|-|-|-|")
    for segmenter in options.segmenters:
        name, _, steps = segmenter.partition("/")
        training = {"segmenter": name, "threads": 1, "device": "cpu"}
        if steps:
            training["steps"] = int(steps)
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            data.mkdir()
            for part in ("classes.json", "train"):
                (data / part).symlink_to((options.data / part).resolve())
            log_seq = answer(data, Path(folder) / "project", options.clicks, training)
            if options.encoded:
                from napari_al.session.rounds.round_jobs import encode_images

                args = job_args(Path(folder) / "project", log_seq)
                encode_images(args, lambda _: None, lambda: False)
            job = ["--job", str(Path(folder) / "project"), str(log_seq)]
            subprocess.run(
                [sys.executable, __file__, str(options.data), *job],
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "SEGMENTER": segmenter},
            )


def answer(data: Path, project: Path, clicks: int, training: dict[str, object]) -> int:
    """Answer a round by ground truth; return the log's last position."""
    from napari_al.simulate.oracle import Oracle

    config = make_config(DataFolder.open(data), {"budget": clicks, "training": training}, "bvsb")
    with Session.create(project, config) as session:
        oracle = Oracle(session.data)
        session.prepare()
        while (query := session.query()) is not None:
            session.submit(oracle.answer(query))
        return len(session.answers())


def job_args(project: Path, log_seq: int) -> dict[str, object]:
    """Arguments of the jobs of the first round."""
    row = {"round": 1}
    return {"project": str(project), "round": 1, "log_seq": log_seq, "row": row, "live": True}


def run_job(project: Path, log_seq: int) -> None:
    """Do the job, noting when each stage ends."""
    started = time.process_time()
    from napari_al.session.rounds.round_jobs import train_and_score

    ends: dict[str, float] = {}

    def note(step: JobProgress) -> None:
        now = time.process_time() - started
        if step.stage == "scoring":
            ends.setdefault("first", now)
        ends[step.stage] = now

    train_and_score(job_args(project, log_seq), note, lambda: False)
    cells = (f"{ends[stage]:.0f}" for stage in ("training", "first", "scoring"))
    print(f"| {os.environ['SEGMENTER']} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
