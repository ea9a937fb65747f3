"""The runs of a sweep, from one TOML or JSON file (``docs/sweeps.md``).

A method is the name of a row, or a table of columns that makes a new one. Runs with the same seed
come first, so that a sweep that is stopped early has something to compare.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.formats.remote import address_in
from napari_al.methods.table import METHODS
from napari_al.session.project.settings import (
    image_rules,
    make_config,
    merged,
    parse_assignments,
    read_settings,
)
from napari_al.simulate.runner import check_run
from napari_al.simulate.supervised import SUPERVISED, supervised_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.settings import Settings

Rounds = Annotated[int, Field(ge=1)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
NOT_A_NAME = re.compile(r"[^\w.=+-]+")
ONE_THREAD = {"training": {"threads": 1}}
"""Runs side by side get further with a thread each than one after the other with all of them."""


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SweepData(_Fields):
    """A data folder of a sweep."""

    path: Path
    init: Literal["initial_labels", "noisy", "model"] = "initial_labels"
    rounds: Rounds | None = None
    seeds: Seeds | None = None
    settings: dict[str, Any] = {}


class SweepFile(_Fields):
    """The fields of a sweep's file."""

    data: Annotated[dict[str, SweepData], Field(min_length=1)]
    rounds: Rounds = 5
    seeds: Seeds = (0,)
    methods: Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)] = tuple(METHODS)
    supervised: bool = True
    settings: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        Of its folder: data, method, what the grid sets, seed.
    config : ProjectConfig
    n_rounds : int
    """

    name: str
    config: ProjectConfig
    n_rounds: int

    @property
    def last_round(self) -> int:
        """Number of its last round; one that asks nothing begins with round 0 and has as many."""
        return self.n_rounds - 1 if self.config.method == SUPERVISED else self.n_rounds

    @property
    def n_trainings(self) -> int:
        """Rounds that it trains, that before the first query included."""
        return self.last_round + self.config.method.starts_from_labels


def read_sweep(path: Path) -> tuple[PlannedRun, ...]:
    """Read a sweep's file and plan its runs.

    Every setting, data folder and ground truth is looked at, so that a run fails now or not at all
    for what is wrong with them.

    Raises
    ------
    InputError
        If anything in the file cannot be used.
    """
    try:
        file = SweepFile.model_validate(read_settings(path))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(map(str, problem["loc"]))
        raise InputError(f"{path}: {name}: {problem['msg']}, got {problem['input']!r}") from error
    for settings in (file.settings, file.grid, *(data.settings for data in file.data.values())):
        for key, instead in {"seed": "seeds", "method": "methods"}.items():
            if key in settings:
                raise InputError(f"{path}: {key!r} is set by {instead!r} in a sweep's file")
    runs: dict[str, PlannedRun] = {}
    for run in _planned(file, path.parent):
        # in lower case: for some disks "A" and "a" are the same
        if runs.setdefault(run.name.casefold(), run) != run:
            raise InputError(f"{path}: two runs are called {run.name}; give each method a name")
    return tuple(runs.values())


def _planned(file: SweepFile, folder: Path) -> Iterator[PlannedRun]:
    """Plan every combination; one supervised run may come several times."""
    folders = {
        name: DataFolder.open(
            Path(data.path) if address_in(data.path) else folder / data.path,
            skip_broken=bool(_settings(file, data).get("skip_broken")),
            rules=image_rules(_settings(file, data)),
        )
        for name, data in file.data.items()
    }
    seeds = sorted({seed for data in file.data.values() for seed in data.seeds or file.seeds})
    for seed, (name, data), changes in itertools.product(seeds, file.data.items(), _grid(file)):
        if seed not in (data.seeds or file.seeds):
            continue
        settings = merged(ONE_THREAD, _settings(file, data), parse_assignments(changes))
        settings["seed"] = seed
        if file.supervised:
            reference = [change for change in changes if change.startswith("training.")]
            config = supervised_config(folders[name], settings)
            yield _run(file, name, config, reference)
        for method in file.methods:
            config = _config(folders[name], settings, method, data.init)
            check_run(folders[name], config)
            yield _run(file, name, config, changes)


def _settings(file: SweepFile, data: SweepData) -> Settings:
    return merged(file.settings, data.settings)


def _grid(file: SweepFile) -> list[list[str]]:
    """Return all combinations of the grid's values, as assignments."""
    by_key = [[f"{key}={json.dumps(value)}" for value in file.grid[key]] for key in file.grid]
    return [list(changes) for changes in itertools.product(*by_key)]


def _config(
    data: DataFolder, settings: Settings, method: str | dict[str, Any], init: str
) -> ProjectConfig:
    if isinstance(method, dict):
        settings = merged({"method": method}, settings)
    config = make_config(data, settings, method if isinstance(method, str) else None)
    if not config.method.starts_from_labels:
        return config
    initial = config.initial.model_copy(update={"source": init})
    return config.model_copy(update={"initial": initial})


def _run(file: SweepFile, data: str, config: ProjectConfig, changes: list[str]) -> PlannedRun:
    parts = [data, config.method.name, *changes, f"seed{config.seed}"]
    name = NOT_A_NAME.sub("_", "-".join(part.replace('"', "") for part in parts))
    return PlannedRun(name, config, file.data[data].rounds or file.rounds)
