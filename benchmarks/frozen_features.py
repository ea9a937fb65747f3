"""Segmenters against each other: model mIoU per click, and seconds of the processor per round.

    python benchmarks/frozen_features.py DATA… --out RUNS --segmenters efficientnet-lite0 filters

runs `simulate` with each segmenter on one thread and prints Markdown tables; `NAME/STEPS` changes
the number of steps of a round. Runs that are there are left alone, so it can be stopped at any
time. Seconds are those of the processor (so that other programs do not count): of a whole round,
superpixels, validation and reading included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from napari_al.session.project.folder import Project


def simulate(data: Path, segmenter: str, seed: int, options: argparse.Namespace) -> Path:
    """Run one segmenter on one data folder, round by round; return the run's folder."""
    out = _folder(data, segmenter, seed, options)
    name, _, steps = segmenter.partition("/")
    notes = out / "cpu_s.json"
    seconds = json.loads(notes.read_text()) if notes.exists() else []
    for n_rounds in range(len(seconds) + 1, options.rounds + 1):
        before = _cpu_s()
        command = [sys.executable, "-m", "napari_al.cli", "simulate", str(data), "--out", str(out)]
        command += ["--method", options.method, "--rounds", str(n_rounds), "--seed", str(seed)]
        command += ["--budget", str(options.budget), "--segmenter", name]
        command += ["--set", "training.threads=1", "--device", "cpu"]
        if steps:
            command += ["--set", f"training.steps={steps}"]
        for assignment in options.set:
            command += ["--set", assignment]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        seconds.append(round(_cpu_s() - before, 1))
        notes.write_text(json.dumps(seconds))
    return out


def _folder(data: Path, segmenter: str, seed: int, options: argparse.Namespace) -> Path:
    return options.out / f"{data.name}-{segmenter.replace('/', '-')}-{seed}"


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(data: Path, options: argparse.Namespace) -> str:
    """Return a Markdown table: means over the seeds."""
    lines = [
        f"\n{data.name}, {options.method}, seeds {options.seeds}\n",
        "| segmenter | clicks | model mIoU (each seed) | data mIoU | CPU s of the round |",
        "|-|-|-|-|-|",
    ]
    for segmenter in options.segmenters:
        runs = [_folder(data, segmenter, seed, options) for seed in options.seeds]
        rounds = [Project(run).read_rounds() for run in runs]
        seconds = [json.loads((run / "cpu_s.json").read_text()) for run in runs]
        for index in range(options.rounds):
            rows = [run[index] for run in rounds]
            scores = [float(row["model_miou"]) for row in rows]
            each = ", ".join(f"{score:.3f}" for score in scores)
            lines.append(
                f"| {segmenter} | {_mean(rows, 'clicks'):.0f} "
                f"| **{statistics.mean(scores):.3f}** ({each}) | {_mean(rows, 'data_miou'):.3f} "
                f"| {statistics.mean(run[index] for run in seconds):.0f} |"
            )
    return "\n".join(lines)


def _mean(rows: list[dict[str, str]], column: str) -> float:
    return statistics.mean(float(row[column]) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--segmenters", nargs="+", default=["efficientnet-lite0", "filters", "compact/120"]
    )
    parser.add_argument("--method", default="classbal")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    for data in options.data:
        for seed in options.seeds:
            for segmenter in options.segmenters:
                simulate(data, segmenter, seed, options)
        print(table(data, options), flush=True)


if __name__ == "__main__":
    main()
