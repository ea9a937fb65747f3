"""Short forms of benchmarks/kill.py, close.py and soak.py; the bench of acquisition."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_killed_work_loses_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "kill.py"), "--kills", "8"]  # two of each kind
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^[a-z ]+: \d+ kills", done.stdout, re.MULTILINE)) == 4, done.stdout


def test_a_closed_window_leaves_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "close.py"), "--closings", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from scenes import write_data
    from soak import Figures, Headless, soak, soak_config

    before = Figures.now()
    data = write_data(tmp_path / "data")
    with Headless(tmp_path / "p", soak_config(data, 20, n_per_image=20)) as desk:
        first, last = soak(desk, n_answers=40, every=20)
    after = Figures.now()
    # the child lives on from round to round, beside what other tests have left in this process
    expected = (first.files, first.threads, before.children + 1)
    assert (last.files, last.threads, last.children) == expected
    assert last.memory_mb - first.memory_mb < 20
    assert (after.files, after.threads, after.children) == (
        before.files,
        before.threads,
        before.children,
    )


def cell(method: str, seed: int, mious: list[float]) -> dict[str, object]:
    """What a run of benchmarks/acquisition.py leaves."""
    budgets = [25, 100, 400]
    return {
        "data": "d",
        "method": method,
        "seed": seed,
        "rounds": [
            {
                "clicks": clicks,
                "queries": clicks,
                "miou": miou,
                "iou": [miou, None],
                "stage2_miou": None,
                "stage2_iou": None,
                "cpu_s": 3.0,
            }
            for clicks, miou in zip(budgets, mious, strict=False)
        ],
        "settings": {"first_budgets": [25, 75, 300]},
        "date": "2026-01-01T00:00:00+00:00",
        "versions": {"python": "3"},
    }


def test_report_of_the_acquisition_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import acquisition
    import acquisition_report

    data = tmp_path / "d"
    curves = {
        "random": [[0.2, 0.3, 0.4], [0.2, 0.3, 0.4]],
        "power-equal+regions.n_per_image=9": [[0.2, 0.4, 0.5], [0.2, 0.4, 0.7]],
        "multi-class": [[0.2, 0.3, 0.4]],
        "all-labels": [[0.8], [0.8]],
    }
    for method, by_seed in curves.items():
        for seed, mious in enumerate(by_seed):
            file = acquisition.cell_file(tmp_path / "runs", data, method, seed)
            file.parent.mkdir(parents=True, exist_ok=True)
            made = cell(method, seed, mious)
            if method == "multi-class":  # two clicks a query: 40.5, 165 and 660 s
                for done in made["rounds"]:
                    done["queries"] = done["clicks"] // 2
            file.write_text(json.dumps(made))
    note = {"name": "d", "n_train": 3, "n_val": 2, "shapes": [[5, 6], [5, 6]]}
    note |= {"classes": ["a", "b"], "val_shares": [0.9, 0.1]}
    (tmp_path / "runs" / "cells" / "d" / "data.json").write_text(json.dumps(note))
    command = ["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    acquisition_report.main()
    text = (tmp_path / "out" / "acquisition.md").read_text()
    method = "`power-equal+regions.n_per_image=9`"
    assert f"**{method} reaches 0.40 with 100 clicks, `random` needs 400.**" in text
    assert f"| d | 25–400 | {method} | 0.400 ± 0.318 | – | 0.300 ± 0.000 |" in text
    assert f"| {method} | ≤ 25 |" not in text, "half of 0.8 is reached later"
    assert "2/0 (+0.100, p 0.50)" in text
    assert "| method | 60 s | 240 s | 960 s |" in text
    assert "| `random` | 0.200 ± 0.000 | 0.300 ± 0.000 | 0.400 ± 0.000 |" in text
    assert "| `multi-class` | 0.228 | 0.327 | – |" in text
    assert "| b (10.0%) | a (90.0%) |" in text
    assert f"| {method} | – | 0.600 ± 1.271 |" in text
    assert (tmp_path / "out" / "acquisition_d.png").stat().st_size > 10_000


def test_budgets_and_changes_of_the_acquisition_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from acquisition import changes_as_settings, schedule

    assert schedule([25, 50, 100, 400]) == {"first_budgets": [25, 25, 50, 300], "budget": 300}
    changes = ["merging=adaptive", "acquisition.nu=3", "acquisition=bald"]
    assert changes_as_settings(changes) == [
        "method.merging=adaptive", "acquisition.nu=3", "method.acquisition=bald",
    ]  # fmt: skip
