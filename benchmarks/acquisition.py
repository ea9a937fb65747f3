"""Which question pays: methods x seeds x budgets on data folders, a JSON file a run.

    python benchmarks/acquisition.py DATA… --out DIR --methods random classbal multi-class
    python benchmarks/acquisition_report.py DIR --out docs/benchmarks

A run asks until each of the budgets is reached, and trains and validates there. Runs that are
finished (`DIR/cells/DATA/METHOD/seedN.json`) are never done again, others go on where they were, so
that it can be stopped at any time, and started again with more methods, seeds or data. Encodings
and superpixels are shared between the runs. `all-labels` is the same network trained on all labels.

A method is a row of `napari-al methods`, and may change columns and settings:
`classbal+merging=adaptive`, `multi-class+regions.n_per_image=400`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import sys
import threading
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

BUDGETS = (25, 50, 100, 200, 400, 800, 1600)
METHODS = ("random", "bvsb", "classbal", "adaptive-superpixel", "multi-class")
ALL_LABELS = "all-labels"


def main() -> int:
    options = _options()
    os.environ["OMP_NUM_THREADS"] = "1"  # read when a child imports torch
    waiting = [
        (data.resolve(), method, seed)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for data in options.data
        for method in (ALL_LABELS, *options.methods)
        if not cell_file(options.out, data, method, seed).exists()
    ]
    for data in options.data:
        note_data(options.out, data)
    n_failed = 0
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, initializer=_begin_worker) as pool:
        running = {pool.submit(run_cell, options, *cell): cell for cell in waiting}
        for n_done, future in enumerate(as_completed(running), start=1):
            data, method, seed = running[future]
            reached = future.result()
            n_failed += not reached
            print(
                f"[{n_done}/{len(waiting)}] {data.name} {method} seed {seed}: "
                f"{reached or 'failed'}",
                flush=True,
            )
    return 1 if n_failed else 0


def _begin_worker() -> None:
    """Leave the processors to others, and end with the process that started this one."""
    os.nice(5)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, help="data folders with ground truth")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS, help="clicks, ascending")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument(
        "--init",
        choices=("initial_labels", "noisy", "model"),
        default=None,
        help="where labels to correct come from, as of `napari-al simulate`",
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="for all runs")
    parser.add_argument("--keep", action="store_true", help="keep the project folders of the runs")
    return parser.parse_args()


def cell_file(out: Path, data: Path, method: str, seed: int) -> Path:
    return out / "cells" / data.resolve().name / _file_name(method) / f"seed{seed}.json"


def _file_name(method: str) -> str:
    return re.sub(r"[^\w.=+-]+", "_", method)


def run_cell(options: argparse.Namespace, data: Path, method: str, seed: int) -> str:
    """Do one run, in a child process; return a line on what it reached, "" if it failed."""
    file = cell_file(options.out, data, method, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    project = options.out / "runs" / f"{data.name}-{_file_name(method)}-seed{seed}"
    try:
        cell = _run(options, data, method, seed, project)
    except Exception:  # noqa: BLE001 - the other runs go on
        file.with_suffix(".error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        return ""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(cell, indent=1), encoding="utf-8")
    part.replace(file)
    file.with_suffix(".error.txt").unlink(missing_ok=True)
    if not options.keep:
        shutil.rmtree(project)
    last = cell["rounds"][-1]
    cpu_s = sum(figures["cpu_s"] for figures in cell["rounds"])
    return f"{last['miou']:.3f} with {last['clicks']} clicks, {cpu_s:.0f} s of the processor"


def _run(
    options: argparse.Namespace, data: Path, method: str, seed: int, project: Path
) -> dict[str, Any]:
    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.folder import Project
    from napari_al.session.project.settings import flat_settings, merged, parse_assignments
    from napari_al.session.project.shared_cache import SharedCache
    from napari_al.simulate.runner import holds_run, run_config

    name, *changes = method.split("+")
    settings = merged(
        {"training": {"threads": 1, "device": "cpu"}, "seed": seed},
        schedule(options.budgets),
        parse_assignments(options.set),
        parse_assignments(changes_as_settings(changes)),
    )
    folder = DataFolder.open(data)
    config = _config(folder, settings, name, method, options.init)
    shared = SharedCache(options.out / "shared", folder, config)
    if not holds_run(project, config):
        Project.create(project, config)
    shared.give(project / "cache")
    seconds_file = project.with_name(project.name + ".cpu.json")
    seconds = json.loads(seconds_file.read_text()) if seconds_file.exists() else {}
    started_s = [_cpu_s()]

    def on_round(row: dict[str, str]) -> None:
        now_s = _cpu_s()
        seconds[row["round"]] = round(now_s - started_s[0], 2)
        started_s[0] = now_s
        seconds_file.write_text(json.dumps(seconds))
        shared.take(project / "cache")

    n_rounds = 1 if name == ALL_LABELS else len(options.budgets)
    rows = run_config(folder, config, n_rounds, project, on_round=on_round)
    seconds_file.unlink(missing_ok=True)
    return {
        "data": data.name,
        "method": method,
        "seed": seed,
        "query": config.method.query,
        "classes": [info.name for info in folder.classes],
        "rounds": [_figures(project, row, seconds) for row in rows],
        "settings": {k: v for k, v in flat_settings(config).items() if k != "data"},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def schedule(budgets: list[int] | tuple[int, ...]) -> dict[str, Any]:
    """Settings with which the clicks of a run come up to each of the budgets."""
    steps = [budgets[0], *(later - earlier for earlier, later in pairwise(budgets))]
    return {"first_budgets": steps, "budget": steps[-1]}


def changes_as_settings(changes: list[str]) -> list[str]:
    """Columns of a method are settings of the group `method`."""
    return [change if "." in change.split("=")[0] else f"method.{change}" for change in changes]


def _config(folder: Any, settings: dict[str, Any], name: str, label: str, init: str | None) -> Any:
    from napari_al.methods.table import METHODS as TABLE
    from napari_al.session.project.settings import make_config
    from napari_al.simulate.supervised import supervised_config

    if name == ALL_LABELS:
        return supervised_config(folder, settings)
    if name in TABLE and label != name:
        settings = {**settings, "method": {**settings.get("method", {}), "name": label}}
    config = make_config(folder, settings, name)
    if config.method.starts_from_labels and init is not None:
        initial = config.initial.model_copy(update={"source": init})
        config = config.model_copy(update={"initial": initial})
    return config


def _figures(project: Path, row: dict[str, str], seconds: dict[str, float]) -> dict[str, Any]:
    """What is kept of a round."""
    record = json.loads((project / "models" / f"round_{int(row['round']):02d}.json").read_text())

    def number(column: str) -> float | None:
        return float(row[column]) if row.get(column) else None

    return {
        "clicks": int(row["clicks"]),
        "queries": int(row["queries"]),
        "miou": number("model_miou"),
        "iou": record["model_iou"],
        "stage2_miou": number("stage2_model_miou"),
        "stage2_iou": record.get("stage2_model_iou"),
        "data_miou": number("data_miou"),
        "data_coverage": number("data_coverage"),
        "cpu_s": seconds.get(row["round"], 0.0),
    }


def note_data(out: Path, data: Path) -> None:
    """Write what the report says about a data folder: sizes, classes, how frequent each is."""
    import numpy as np

    from napari_al.formats.dataset import DataFolder

    path = out / "cells" / data.resolve().name / "data.json"
    if path.exists():
        return
    folder = DataFolder.open(data)
    counts = np.zeros(256, np.int64)
    for name in folder.val:
        truth = folder.labels(name, "val")
        if truth is not None:
            counts += np.bincount(truth.ravel(), minlength=256)
    n_classes = folder.n_classes
    shares = counts[:n_classes] / max(1, counts[:n_classes].sum())
    shapes = sorted({folder.shape(name) for name in folder.train})
    note = {
        "name": data.resolve().name,
        "n_train": len(folder.train),
        "n_val": len(folder.val),
        "shapes": [shapes[0], shapes[-1]],
        "classes": [info.name for info in folder.classes],
        "val_shares": [round(float(share), 6) for share in shares],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(note, indent=1), encoding="utf-8")


def versions() -> dict[str, str]:
    names = ("napari-al", "torch", "numpy", "opencv-contrib-python", "scikit-image")
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:  # run from its source
            found[name] = ""
    return found


def _cpu_s() -> float:
    """Seconds of the processor, so that other programs do not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
