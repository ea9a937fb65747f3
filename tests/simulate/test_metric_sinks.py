"""Curves in programs of others, and messages of the logging module: both only where asked for."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from scenes import write_data
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.session.project.folder import Project
from napari_al.simulate.metric_sinks import RunMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def simulate(tmp_path: Path, *more: str, before: tuple[str, ...] = ()) -> Any:
    data = tmp_path / "data"
    if not data.exists():
        write_data(data)
    small = {"training.steps": 3, "training.crop_px": 32, "regions.n_per_image": 12}
    settings = [part for name, value in small.items() for part in ("--set", f"{name}={value}")]
    return CliRunner().invoke(
        app,
        [*before, "simulate", str(data), "--method", "random", "--rounds", "2", "--budget", "3",
         "--segmenter", "filters", "--out", str(tmp_path / "run"), *settings, *more],
    )  # fmt: skip


@pytest.fixture
def quiet_again() -> Iterator[None]:
    """``--verbose`` sets levels and handlers of the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("napari_al")
    handlers, level = list(root.handlers), ours.level
    yield
    root.handlers[:] = handlers
    ours.setLevel(level)


def test_another_name_is_refused(tmp_path: Path) -> None:
    done = simulate(tmp_path, "--log-to", "paper")
    assert done.exit_code == 2
    assert "expected one of tensorboard, mlflow, wandb" in done.stderr


def test_a_package_that_is_missing_is_named_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    done = simulate(tmp_path, "--log-to", "mlflow")
    assert done.exit_code == 2
    assert "pip install mlflow" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_figures_of_the_project(tmp_path: Path) -> None:
    done = simulate(tmp_path, "--log-to", "tensorboard")
    assert done.exit_code == 0, done.output
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    rows = Project(tmp_path / "run").read_rounds()
    clicks = events.Scalars("round/clicks")
    assert [(e.step, e.value) for e in clicks] == [
        (int(r["round"]), int(r["clicks"])) for r in rows
    ]
    assert len(events.Scalars("training/loss")) >= 2


class Recorder(ModuleType):
    """Stands for mlflow and wandb, which are large and want a server."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.logged: list[tuple[dict[str, float], int | None]] = []
        self.calls: list[str] = []

    def start_run(self, run_name: str) -> None:
        self.calls.append(f"start {run_name}")

    def log_params(self, params: dict[str, str]) -> None:
        assert params["training.steps"] == "3"

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))

    def end_run(self) -> None:
        self.calls.append("end")

    def init(self, project: str, name: str, dir: str, config: dict[str, Any]) -> SimpleNamespace:
        assert (project, config["training.steps"]) == ("napari-al", 3)
        self.calls.append(f"start {name}")
        return SimpleNamespace(
            log=lambda values: self.logged.append((values, None)), finish=self.end_run
        )


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_each_round_and_loss_goes_to_the_program_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recorder = Recorder(name)
    monkeypatch.setitem(sys.modules, name, recorder)
    done = simulate(tmp_path, "--log-to", name)
    assert done.exit_code == 0, done.output
    assert recorder.calls == ["start run", "end"]
    rounds = [values for values, _ in recorder.logged if "round/clicks" in values]
    assert [values["round/clicks"] for values in rounds] == [3, 6]
    losses = [values["training/loss"] for values, _ in recorder.logged if "training/loss" in values]
    assert losses
    assert all(loss > 0 for loss in losses)


def test_a_run_that_goes_on_gives_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simulate(tmp_path).exit_code == 0
    recorder = Recorder("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", recorder)
    metrics = RunMetrics(tmp_path / "run", ["mlflow"])
    metrics.add_round(Project(tmp_path / "run").read_rounds()[-1])
    metrics.close()
    assert [list(values) for values, _ in recorder.logged if "training/loss" in values] == []
    assert [step for values, step in recorder.logged if "round/clicks" in values] == [2]


def test_the_library_is_quiet_and_verbose_says_what_is_done(
    tmp_path: Path, quiet_again: None, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import logging, napari_al; logging.getLogger('napari_al.session').error('heard?')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert simulate(tmp_path, before=("-v",)).exit_code == 0
    said = [r.getMessage() for r in caplog.records if r.name == "napari_al.simulate.runner"]
    assert [line.partition(" for ")[0][-16:] for line in said] == [
        "round 1: trained", "round 2: trained",
    ]  # fmt: skip
