"""Curves of a run in TensorBoard, MLflow or Weights & Biases, where one of them is asked for.

None of them is needed or imported otherwise: ``rounds.csv`` and ``training.jsonl`` hold the same
figures. Loss and learning rate are given for every step that a training reports, and the numbers of
a row of ``rounds.csv`` for every round.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from napari_al.errors import InputError
from napari_al.session.project.folder import Project
from napari_al.session.project.rounds_csv import number_or_text
from napari_al.session.project.settings import flat_settings
from napari_al.session.project.training_log import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_al.session.project.config import ProjectConfig

_LOSS_FIELDS: Final = ("loss", "learning_rate")


class MetricSink(Protocol):
    """Where figures go."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take figures of a step."""

    def close(self) -> None:
        """Write what is not written yet."""


class TensorBoardSink:
    """Event files in the folder ``tensorboard`` of a project."""

    def __init__(self, project: Path, config: ProjectConfig) -> None:
        self._writer = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(
            str(project / "tensorboard")
        )
        settings = "\n".join(f"    {k}={v}" for k, v in flat_settings(config).items())
        self._writer.add_text("settings", settings)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write the rest of the file."""
        self._writer.close()


class MLflowSink:
    """A run of MLflow, on the server or in the folder that its environment variables name."""

    def __init__(self, project: Path, config: ProjectConfig) -> None:
        self._mlflow = _imported("mlflow", "mlflow")
        self._mlflow.start_run(run_name=project.name)
        settings = flat_settings(config)
        self._mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


class WandbSink:
    """A run of Weights & Biases; ``WANDB_MODE=offline`` keeps it on this machine."""

    def __init__(self, project: Path, config: ProjectConfig) -> None:
        wandb = _imported("wandb", "wandb")
        settings = flat_settings(config)
        self._run = wandb.init(
            project="napari-al", name=project.name, dir=str(project), config=settings
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve; trainings and rounds count their steps apart."""
        counter = "round" if any(name.startswith("round/") for name in values) else "step"
        self._run.log({**values, counter: step})

    def close(self) -> None:
        """End the run."""
        self._run.finish()


SINKS: Final[Mapping[str, Callable[[Path, ProjectConfig], MetricSink]]] = {
    "tensorboard": TensorBoardSink,
    "mlflow": MLflowSink,
    "wandb": WandbSink,
}


def check_sinks(names: Sequence[str]) -> None:
    """Find out before a run begins whether what is asked for is installed.

    Raises
    ------
    InputError
        For another name than those of ``SINKS``, or if its package is missing.
    """
    for name in names:
        if name not in SINKS:
            raise InputError(f"--log-to {name}: expected one of {', '.join(SINKS)}")
        _imported(name, name)


class RunMetrics:
    """Passes on what a project writes while it is run; nothing without names.

    Parameters
    ----------
    path : Path
        The project folder; need not be there before the first round has ended.
    names : sequence of str
        Keys of ``SINKS``.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        check_sinks(names)
        self._project, self._names = Project(path), names
        self._n_records = len(read_records(self._project.training_file))
        self._sinks: list[MetricSink] = []

    def add_round(self, row: Mapping[str, str]) -> None:
        """Pass on a row of ``rounds.csv`` and the losses since the row before."""
        if self._names and not self._sinks:
            config = self._project.read_config()
            self._sinks = [SINKS[name](self._project.path, config) for name in self._names]
        records = read_records(self._project.training_file)
        numbers = {name: number_or_text(field) for name, field in row.items()}
        for sink in self._sinks:
            for step, record in enumerate(records[self._n_records :], start=self._n_records):
                found = {name: record.get(name) for name in _LOSS_FIELDS}
                sink.log(_finite(found, "training/"), step)
            sink.log(_finite(numbers, "round/"), int(row["round"]))
        self._n_records = len(records)

    def close(self) -> None:
        """End all of them."""
        for sink in self._sinks:
            sink.close()


def _finite(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return the numbers among the values, by a name with the prefix."""
    return {
        prefix + name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and name not in ("round", "seed")
    }


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"--log-to {package} needs the package {package} ({error}): pip install {package}"
        ) from error
