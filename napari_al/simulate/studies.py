"""Runs grouped for a report.

Runs that differ only in the seed form one line with mean and standard deviation over seeds; runs on
different data are never mixed.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.errors import InputError
from napari_al.formats.classes import meanings
from napari_al.methods.table import METHODS
from napari_al.session.log.class_edits import read_config_in_force
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import flat_settings
from napari_al.simulate.curves import Curve
from napari_al.simulate.measures import measure
from napari_al.simulate.supervised import SUPERVISED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_al.session.project.config import ProjectConfig
    from napari_al.simulate.measures import Measures


BASELINE = "random"


@dataclass(frozen=True)
class Run:
    """One project.

    Attributes
    ----------
    path : Path
    config : ProjectConfig
    rows : tuple of dict
        Of ``rounds.csv``.
    model_iou, data_iou : list or None
        IoU by class id after the last round; None for what is not known.
    measures : Measures or None
    without_measures : str
        Why there are none.
    val_miou : dict of str to float
        mIoU of each validation image after the last round; empty if not known.
    """

    path: Path
    config: ProjectConfig
    rows: tuple[dict[str, str], ...]
    model_iou: list[float | None] | None = None
    data_iou: list[float | None] | None = None
    measures: Measures | None = None
    without_measures: str = ""
    val_miou: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """Runs that differ in their seed alone."""

    label: str
    runs: tuple[Run, ...]

    def rounds(self) -> list[int]:
        """Rounds that any run has, ascending."""
        return sorted({int(row["round"]) for run in self.runs for row in run.rows})

    def values(self, column: str, round_number: int) -> list[float]:
        """Known values of a column in a round, one a run."""
        return _known(
            row.get(column)
            for run in self.runs
            for row in run.rows
            if int(row["round"]) == round_number
        )

    def curve(
        self, column: str, style: int, suffix: str = "", x: Mapping[int, float] | None = None
    ) -> Curve | None:
        """Mean and spread of a column against clicks, or against ``x`` by round.

        None if nothing is known of it.
        """
        known = [number for number in self.rounds() if self.values(column, number)]
        if not known:
            return None
        return Curve(
            self.label + suffix,
            [mean(self.values("clicks", number)) if x is None else x[number] for number in known],
            [mean(self.values(column, number)) for number in known],
            [spread(self.values(column, number)) or 0.0 for number in known],
            style,
            dashed=bool(suffix),
        )

    @property
    def is_supervised(self) -> bool:
        """Whether all labels were there from the beginning."""
        return self.runs[0].config.method == SUPERVISED

    def measured(self, of_run: Callable[[Measures], Iterable[float] | None]) -> list[list[float]]:
        """Return what a function says of runs' measures: by column, the known values of all runs.

        [] where no run has any. A measure that is not a number is not known: recall of borders
        where there are none, say.
        """
        found = [of_run(run.measures) for run in self.runs if run.measures is not None]
        return [_known(column) for column in zip(*filter(None, found), strict=True)]

    def last(self, column: str) -> list[float]:
        """Known values of a column in each run's last row."""
        return _known(run.rows[-1].get(column) for run in self.runs)


@dataclass(frozen=True)
class Study:
    """All lines on one data folder."""

    name: str
    class_names: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def methods(self) -> tuple[Line, ...]:
        """Lines that ask something."""
        return tuple(line for line in self.lines if not line.is_supervised)

    def reference(self, line: Line) -> float | None:
        """Model mIoU of the same network, trained alike on all labels, in the end; None without."""
        for other in self.lines:
            alike = other.runs[0].config.training == line.runs[0].config.training
            if other.is_supervised and alike and (reached := other.last("model_miou")):
                return mean(reached)
        return None


def read_run(path: Path) -> Run:
    """Read what a report needs of a project."""
    project = Project.open(path, read_only=True)
    rows = tuple(project.read_rounds())
    done = project.rounds_done()
    record: dict[str, Any] = project.read_round(done[-1]) if done else {}
    measures, without = None, ""
    try:
        measures = measure(project) if done else None
    except InputError as error:
        without = str(error)
    config = read_config_in_force(project)
    model_iou, data_iou = (
        _by_class(record.get(field), len(config.classes)) for field in ("model_iou", "data_iou")
    )
    found = record.get("val_miou")
    val_miou = found if isinstance(found, dict) else {}
    return Run(path, config, rows, model_iou, data_iou, measures, without, val_miou)


def _by_class(known: list[float | None] | None, n_classes: int) -> list[float | None] | None:
    """Values of all classes: of one that was added after the last training None."""
    return known and [*known, *[None] * n_classes][:n_classes]


def studies_of(runs: Sequence[Run]) -> tuple[Study, ...]:
    """Group runs by data, and within it by settings; in the order of the table of methods.

    The same images with a class added or merged are other data: figures of classes would not match.
    """
    by_data: dict[tuple[Path, tuple[int, ...]], list[Run]] = defaultdict(list)
    for run in runs:
        folder = (run.path / run.config.data).resolve()
        by_data[folder, meanings(run.config.classes)].append(run)
    names = _short_names([folder for folder, _ in by_data])
    return tuple(
        Study(name, tuple(info.name for info in group[0].config.classes), _lines(group))
        for name, group in zip(names, by_data.values(), strict=True)
    )


def _lines(runs: Sequence[Run]) -> tuple[Line, ...]:
    groups: dict[tuple[tuple[str, str], ...], list[Run]] = defaultdict(list)
    for run in runs:
        fields = flat_settings(run.config)
        key = tuple((k, repr(v)) for k, v in fields.items() if k not in ("seed", "data"))
        groups[key].append(run)
    lines = [
        Line(_label(key, list(groups)), tuple(sorted(group, key=lambda run: run.config.seed)))
        for key, group in groups.items()
    ]
    known = {name: place for place, name in enumerate(METHODS)}
    return tuple(
        sorted(
            lines,
            key=lambda line: (
                line.is_supervised,
                known.get(line.runs[0].config.method.name, len(known)),
            ),
        )
    )


def _label(key: tuple[tuple[str, str], ...], others: Sequence[tuple[tuple[str, str], ...]]) -> str:
    """Name of the method, with the settings that distinguish it from others of the same name."""
    fields = dict(key)
    same = [dict(other) for other in others if dict(other)["method.name"] == fields["method.name"]]
    telling = [
        f"{name}={value}"
        for name, value in fields.items()
        if any(other.get(name) != value for other in same)
    ]
    name = fields["method.name"].strip("'")
    return f"{name} ({', '.join(telling)})" if telling else name


def _short_names(folders: Sequence[Path]) -> list[str]:
    """Last informative part of each path; numbered where two are equal."""
    names: list[str] = []
    for folder in folders:
        short = folder.parent.name if folder.name == "data" else folder.name
        name, number = short, 2
        while name in names:
            name, number = f"{short}-{number}", number + 1
        names.append(name)
    return names


def clicks_to_reach(
    clicks: Sequence[float], reached: Sequence[float], target: float
) -> float | None:
    """Clicks at which a curve first comes up to ``target``, with straight lines between rounds.

    None if it never does.
    """
    points = list(zip(clicks, reached, strict=True))
    if points and points[0][1] >= target:
        return points[0][0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 < target <= y1:
            return x0 + (x1 - x0) * (target - y0) / (y1 - y0)
    return None


def area_over_log_clicks(
    clicks: Sequence[float], reached: Sequence[float], first: float, last: float
) -> float:
    """Mean of a curve from ``first`` to ``last`` clicks on a logarithmic axis of clicks.

    Straight lines on that axis between rounds; level before the first of them and after the last.
    So doubling the clicks weighs the same everywhere, as it does for whoever pays for them.

    Parameters
    ----------
    clicks
        More than 0, ascending.
    reached
        Of each.
    first, last
        More than 0, ``last`` the larger.

    Returns
    -------
    float
        In the units of ``reached``.
    """
    inside = [math.log(x) for x in clicks if first < x < last]
    grid = np.array([math.log(first), *inside, math.log(last)])
    values = np.interp(grid, np.log(np.asarray(clicks, float)), reached)
    area = ((values[1:] + values[:-1]) / 2 * np.diff(grid)).sum()
    return float(area / (grid[-1] - grid[0]))


def sign_test(n_won: int, n_lost: int) -> float:
    """Chance that at least as many of ``n_won + n_lost`` tosses of a coin come out alike.

    Two-sided; ties are left out before. 1 without any pair.
    """
    n = n_won + n_lost
    tail = sum(math.comb(n, k) for k in range(min(n_won, n_lost) + 1))
    return min(1.0, 2 * tail / float(2**n))


def headline(study: Study) -> str:
    """Say in a line which method comes up to the end of `random`, and with how many clicks.

    Without a run of `random`: the best method in the end. "" without any model mIoU.
    """
    curves = [
        curve
        for line in study.methods
        if not line.runs[0].config.method.starts_from_labels  # that is another starting point
        and (curve := line.curve("model_miou", 0)) is not None
    ]
    if not curves:
        return ""
    best = max(curves, key=lambda curve: curve.mean[-1])
    baseline = next((curve for curve in curves if curve.label == BASELINE), None)
    if baseline is None:
        reached, spent = f"{best.mean[-1]:.2f}", f"{best.x[-1]:,.0f}"
        return f"{best.label} reaches a model mIoU of {reached} with {spent} clicks."
    level = baseline.mean[-1]
    own = clicks_to_reach(baseline.x, baseline.mean, level) or baseline.x[-1]
    needed = {
        curve.label: clicks
        for curve in curves
        if curve is not baseline
        and (clicks := clicks_to_reach(curve.x, curve.mean, level)) is not None
    }
    if not needed:
        others = "" if len(curves) == 1 else "; no other method does"
        return f"{BASELINE} reaches a model mIoU of {level:.2f} with {own:,.0f} clicks{others}."
    first = min(needed, key=needed.__getitem__)
    return (
        f"{first} reaches a model mIoU of {level:.2f} with {needed[first]:,.0f} clicks, {BASELINE} "
        f"needs {own:,.0f}."
    )


def _known(values: Iterable[str | float | None]) -> list[float]:
    """Numbers among values of a table or of measures."""
    numbers = [float(value) for value in values if value not in (None, "")]
    return [number for number in numbers if math.isfinite(number)]


def mean(values: Sequence[float]) -> float:
    """Mean of at least one value."""
    return statistics.fmean(values)


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None
