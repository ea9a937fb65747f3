"""The page of a report: one HTML file that contains its figures and tables.

``report_page.html`` is the template; this module computes its values.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from napari_al.simulate.studies import headline, mean, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_al.simulate.studies import Line, Study
    from napari_al.simulate.tables import Table

TABLES_OF_FIGURES = {
    "curves": ("reach", "curves"), "classes": ("model_iou", "data_iou"), "asked": ("asked",),
    "regions": ("regions",), "sieve": ("sieve",), "corrections": ("corrections",),
}  # fmt: skip
"""Names of the tables that follow a figure, by its name; other tables come last."""


PACKAGES = ("napari-al", "torch", "numpy", "opencv-contrib-python", "scikit-image")
"""Whose versions results depend on."""


@dataclass(frozen=True)
class Section:
    """A study with its tables and figures.

    Attributes
    ----------
    study : Study
    tables : list of Table
    figures : dict of str to (str, bytes)
        By name: what the figure shows, and a PNG file.
    """

    study: Study
    tables: list[Table]
    figures: dict[str, tuple[str, bytes]]

    runs_head = ("method", "seed", "rounds", "training", "project")

    @property
    def headline(self) -> str:
        """What the study says, in a line."""
        return headline(self.study)

    @property
    def figures_and_tables(self) -> Iterable[tuple[str, str, list[Table]]]:
        """What a figure shows, its PNG in base 64, and the tables that follow it."""
        rest = {table.name: table for table in self.tables}
        for name, (what, png) in self.figures.items():
            names = [table for table in TABLES_OF_FIGURES.get(name, ()) if table in rest]
            yield what, base64.b64encode(png).decode(), [rest.pop(table) for table in names]
        yield "", "", list(rest.values())

    @property
    def runs_without_measures(self) -> Iterable[str]:
        """Why some figures are not known, once each."""
        return dict.fromkeys(
            run.without_measures
            for line in self.study.lines
            for run in line.runs
            if run.without_measures
        )

    @property
    def runs(self) -> Iterable[tuple[str, ...]]:
        """Rows of the table of runs."""
        for line in self.study.lines:
            for run in line.runs:
                seed, n_rounds = str(run.config.seed), str(len(run.rows))
                yield line.label, seed, n_rounds, _settings(line), str(run.path)


def page(sections: Sequence[Section], without_rounds: Sequence[Path]) -> str:
    """Return HTML text; ``without_rounds`` are runs that were left out."""
    loader = PackageLoader("napari_al.simulate", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["cells"] = _cells
    template = environment.get_template("report_page.html")
    lines = [line for section in sections for line in section.study.lines]
    several_seeds = any(len(line.runs) > 1 for line in lines)
    text = template.render(
        sections=sections,
        without_rounds=without_rounds,
        several_seeds=several_seeds,
        made=_made(),
    )
    return text + "\n"


def _made() -> str:
    """Say when the page was made, and with which versions."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    found = []
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return f"{now}; {', '.join(found)}; Python {python_version()}"


def _cells(table: Table) -> Iterable[list[str]]:
    return ([*texts, *map(_mean_and_spread, values)] for texts, values in table.rows)


def _settings(line: Line) -> str:
    config = line.runs[0].config
    training = config.training
    kept = "weights kept" if training.keep_weights else "fresh weights"
    budgets = ", ".join(map(str, dict.fromkeys((*config.first_budgets, config.budget))))
    return (
        f"{training.segmenter}, {training.steps} steps of {training.batch_size} crops of "
        f"{training.crop_px} px, {kept}; {budgets} clicks a round"
    )


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    deviation = spread(values)
    return _number(mean(values)) + ("" if deviation is None else f" ± {_number(deviation)}")


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
