"""Every method on every data set given: a table of what a round reached.

    python benchmarks/methods.py DATA… --out RUNS --rounds 3 --budget 400 --set training.steps=120

Runs that are there go on or are left alone, so it can be stopped at any time. Correction methods
start from the data folder's initial labels, or from noisy ones where it has none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from napari_al.methods import METHODS
from napari_al.session.project import Project


def simulate(data: Path, method: str, options: argparse.Namespace) -> Path:
    """Run one method on one data folder; return the run's folder."""
    out = options.out / f"{data.name}-{method}-{options.seed}"
    command = [sys.executable, "-m", "napari_al.cli", "simulate", str(data), "--method", method]
    command += ["--rounds", str(options.rounds), "--budget", str(options.budget)]
    command += ["--seed", str(options.seed), "--out", str(out)]
    if METHODS[method].starts_from_labels and not (data / "train" / "initial_labels").is_dir():
        command += ["--init", "noisy"]
    for assignment in options.set:
        command += ["--set", assignment]
    subprocess.run(command, check=False)
    return out


def table(runs: list[Path]) -> str:
    """Return a Markdown table of the runs' rounds."""
    lines = [
        "| data, method, seed | round | clicks | model mIoU | data mIoU | coverage | s a round |",
        "|-|-|-|-|-|-|-|",
    ]
    for run in runs:
        for row in Project(run).read_rounds():
            seconds = sum(float(row[k] or 0) for k in ("train_s", "score_s", "select_s"))
            model = _short(row["model_miou"])
            if row.get("stage2_model_miou"):
                model += f" (stage 2: {_short(row['stage2_model_miou'])})"
            lines.append(
                f"| {run.name} | {row['round']} | {row['clicks']} | {model} | "
                f"{_short(row['data_miou'])} | {_short(row['data_coverage'])} | {seconds:.0f} |"
            )
    return "\n".join(lines)


def _short(field: str) -> str:
    return f"{float(field):.3f}" if field else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    runs = [simulate(data, method, options) for data in options.data for method in options.methods]
    print(table(runs))


if __name__ == "__main__":
    main()
