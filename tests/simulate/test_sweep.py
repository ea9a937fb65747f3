"""Sweeps: what is planned, that it goes on after any stop, and that a failing run ends alone."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scenes import write_data
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.errors import InputError
from napari_al.methods.table import METHODS
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import differences
from napari_al.simulate.runner import run_simulation
from napari_al.simulate.sweep import default_jobs
from napari_al.simulate.sweep_plan import read_sweep

FILE = """
rounds = 2
seeds = [0, 1]
methods = ["random", "alc", {name = "merged", merging = "adaptive"}]
[settings.training]
steps = 3
[grid]
"acquisition.epsilon" = [0.1, 0.2]
[data.a]
path = "first"
seeds = [1]
init = "noisy"
[data.b]
path = "second"
rounds = 3
settings.budget = 7
init = "model"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        write_data(tmp_path / name)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "sweep.toml").write_text(text)
    return folder / "sweep.toml"


def test_every_combination_is_planned_once(folder: Path) -> None:
    runs = {run.name: run for run in read_sweep(write(folder, FILE))}
    assert list(runs) == [
        f"{data}-{method}-seed{seed}"
        for seed, data in ((0, "b"), (1, "a"), (1, "b"))
        for method in (
            "supervised",
            *(
                f"{name}-acquisition.epsilon={epsilon}"
                for epsilon in (0.1, 0.2)
                for name in ("random", "alc", "merged")
            ),
        )
    ]
    run = runs["b-merged-acquisition.epsilon=0.2-seed1"].config
    assert (run.seed, run.budget, run.acquisition.epsilon) == (1, 7, 0.2)
    assert (run.method.merging, run.training.steps, run.training.threads) == ("adaptive", 3, 1)
    assert runs["a-alc-acquisition.epsilon=0.1-seed1"].config.initial.source == "noisy"
    assert runs["a-random-acquisition.epsilon=0.1-seed1"].config.initial.source != "noisy"
    assert runs["a-supervised-seed1"].n_trainings == 2
    assert runs["b-supervised-seed1"].n_trainings == 3
    assert runs["a-alc-acquisition.epsilon=0.1-seed1"].n_trainings == 3


def test_a_sweep_has_all_methods_if_none_are_named(folder: Path) -> None:
    runs = read_sweep(write(folder, '[data.a]\npath = "first"\ninit = "noisy"\n'))
    assert [run.config.method.name for run in runs] == ["supervised", *METHODS]


def test_the_file_in_the_docs_can_be_run(folder: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    runs = read_sweep(write(folder, example.replace("../sample_data/data", "first")))
    assert len(runs) == 2 * (1 + 3 * 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rounds = 2", "round = 2", "round: Extra inputs"),
        ("rounds = 2", "rounds = 0", "rounds: .*greater than or equal to 1"),
        ('"random"', '"randon"', "did you mean random"),
        ("steps = 3", "stepz = 3", "did you mean training.steps"),
        ("acquisition.epsilon", "acquisition.epsilom", "did you mean acquisition.epsilon"),
        ("[0.1, 0.2]", "[0.1, -1]", "acquisition.epsilon: .*got -1"),
        ('path = "first"', 'path = "third"', "third does not exist"),
        ('"merged"', '"alc"', "two runs are called b-alc"),
        ("[settings.training]", "[settings]\nseed = 3\n[settings.training]", "set by 'seeds'"),
        ('"acquisition.epsilon"', "seed", "set by 'seeds'"),
        ('init = "noisy"', "", "no train/initial_labels"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_runs(
    folder: Path, old: str, new: str, message: str
) -> None:
    assert old in FILE
    with pytest.raises(InputError, match=message):
        read_sweep(write(folder, FILE.replace(old, new, 1)))


SMALL = """
methods = ["random"]
rounds = 2
[settings]
budget = 6
[settings.training]
segmenter = "filters"
steps = 3
batch_size = 2
crop_px = 32
[settings.regions]
n_per_image = 20
[grid]
"training.learning_rate" = [1e-3, 1e30]
[data.a]
path = "first"
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    return [
        {key: value for key, value in row.items() if not key.endswith("_s")}
        for row in Project(path).read_rounds()
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_a_stopped_sweep_goes_on_and_a_failing_run_ends_alone(folder: Path) -> None:
    file, out = write(folder, SMALL), folder / "out"
    command = ["sweep", str(file), "--out", str(out), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_al.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("[1/4]")
    process.send_signal(signal.SIGINT)
    assert "the same command goes on" in process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 130

    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert result.output.count(" done") == 2
    assert result.output.count("failed, training broke down") == 2
    assert "2 of 4 runs failed" in result.output
    good = out / "runs" / "a-random-training.learning_rate=0.001-seed0"
    config = Project(good).read_config()
    settings = config.model_dump(include={"budget", "training", "regions"})
    run_simulation(folder / "first", "random", n_rounds=2, out=folder / "alone", settings=settings)
    assert differences(Project(folder / "alone").read_config(), config) == []
    assert rows_of(good) == rows_of(folder / "alone")

    supervised = rows_of(out / "runs" / "a-supervised-training.learning_rate=0.001-seed0")
    assert [row["round"] for row in supervised] == ["0", "1"]
    assert all(row["clicks"] == "0" and float(row["data_miou"]) == 1 for row in supervised)
    assert all(float(row["data_coverage"]) == 1 for row in supervised)
    with (out / "report" / "curves.csv").open() as table:
        assert {row["method"] for row in csv.DictReader(table)} == {"random", "supervised"}


@pytest.mark.parametrize(("threads", "jobs"), [(1, 8), (3, 2), (0, 1), (16, 1)])
def test_runs_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int, jobs: int
) -> None:
    (run, *_) = read_sweep(write(folder, SMALL + f"settings.training.threads = {threads}\n"))
    monkeypatch.setattr("napari_al.simulate.sweep.n_cores", lambda: 8)
    assert default_jobs([run.config]) == jobs
