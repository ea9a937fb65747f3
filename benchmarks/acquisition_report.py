"""What `acquisition.py` found, as Markdown with one figure for each data folder.

    python benchmarks/acquisition_report.py DIR --out docs/benchmarks

Intervals are of the mean over seeds (95 %, Student's t); areas and clicks are on a logarithmic axis
of clicks. Wins and losses are against `random` with the same seed, p by a sign test.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from napari_al.methods.settings import AcquisitionSettings
from napari_al.simulate.curves import DPI, Curve, draw_curves
from napari_al.simulate.studies import area_over_log_clicks, clicks_to_reach, sign_test

if TYPE_CHECKING:
    from collections.abc import Callable

BASELINE = "random"
ALL_LABELS = "all-labels"
SHARES = (0.5, 0.8, 0.9)
"""Of the model mIoU of all labels."""
N_RARE = 4
"""Classes, the rarest ones, whose IoU is shown."""
ROUNDS_OF_PHASE = 2
"""Rounds over which "what to use when" compares."""
LATER = 50
"""Clicks: the first answers can be all of one class."""
SECONDS = AcquisitionSettings().query_seconds
"""Of the first click of a query and of each further one: medians of Bearman et al., ECCV 2016, for
clicks on the first object of a class in an image and on further ones. Not measured here."""


@dataclass(frozen=True)
class Line:
    """One method (or its second stage) on one data folder: a curve a seed."""

    name: str
    curves: dict[int, list[tuple[float, float]]]
    """(clicks, mIoU) by round, by seed."""
    cells: dict[int, dict[str, Any]]
    prefix: str = ""

    def area(self, seed: int, first: float, last: float) -> float:
        clicks, reached = zip(*self.curves[seed], strict=True)
        return area_over_log_clicks(clicks, reached, first, last)

    def areas(self, first: float, last: float) -> dict[int, float]:
        return {seed: self.area(seed, first, last) for seed in self.curves}

    def at(self, clicks: float) -> list[float]:
        """mIoU of each seed with so many clicks."""
        values = []
        for curve in self.curves.values():
            x, y = zip(*curve, strict=True)
            values.append(float(np.interp(math.log(clicks), np.log(x), y)))
        return values

    def in_seconds(self, seconds: tuple[float, float]) -> Line:
        """The same against seconds of an annotator."""
        curves = {
            seed: _curve(self.cells[seed], self.prefix, lambda r: annotator_s(r, seconds))
            for seed in self.curves
        }
        return replace(self, curves=curves)

    def mean_curve(self) -> tuple[list[float], list[float]]:
        """Clicks and mIoU of each round that all seeds have, means."""
        rounds = list(zip(*self.curves.values(), strict=False))
        clicks = [statistics.fmean(x for x, _ in points) for points in rounds]
        return clicks, [statistics.fmean(y for _, y in points) for points in rounds]


@dataclass(frozen=True)
class Data:
    """All lines on one data folder."""

    note: dict[str, Any]
    lines: dict[str, Line]
    all_labels: list[float]
    budgets: list[int]

    @property
    def reference(self) -> float | None:
        return statistics.fmean(self.all_labels) if self.all_labels else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="the --out of acquisition.py")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="acquisition", help="of the files written")
    parser.add_argument("--first-click", type=float, default=SECONDS[0], help="seconds of a query")
    parser.add_argument("--further-click", type=float, default=SECONDS[1], help="seconds of each")
    options = parser.parse_args()
    folders = sorted(path.parent for path in options.runs.glob("cells/*/data.json"))
    found = [data for folder in folders if (data := read_data(folder)).lines]
    if not found:
        parser.error(f"no finished run below {options.runs}/cells")
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [_what_to_use(found)]
    for data in found:
        picture = f"{options.name}_{data.note['name']}.png"
        _figure(data).savefig(options.out / picture, dpi=DPI)
        parts.append(_section(data, picture, (options.first_click, options.further_click)))
    parts.append(_how(folders))
    page = options.out / f"{options.name}.md"
    page.write_text("\n\n".join(["# Which question pays", *parts]) + "\n", encoding="utf-8")
    print(page)


def read_data(folder: Path) -> Data:
    note = json.loads((folder / "data.json").read_text())
    lines, all_labels = {}, []
    for method in sorted(path for path in folder.iterdir() if path.is_dir()):
        cells = [json.loads(path.read_text()) for path in sorted(method.glob("seed*.json"))]
        if not cells:
            continue
        name = cells[0]["method"]
        if name == ALL_LABELS:
            all_labels = [cell["rounds"][-1]["miou"] for cell in cells]
            continue
        for prefix, suffix in (("", ""), ("stage2_", " (stage 2)")):
            curves = {
                cell["seed"]: _curve(cell, prefix, lambda r: max(r["clicks"], 1)) for cell in cells
            }
            held = {seed: curve for seed, curve in curves.items() if curve}
            if held:
                by_seed = {cell["seed"]: cell for cell in cells}
                lines[name + suffix] = Line(name + suffix, held, by_seed, prefix)
    budgets = _budgets(line for line in lines.values())
    order = sorted(lines.values(), key=lambda line: line.name != BASELINE)
    return Data(note, {line.name: line for line in order}, all_labels, budgets)


def _curve(
    cell: dict[str, Any], prefix: str, cost: Callable[[dict[str, Any]], float]
) -> list[tuple[float, float]]:
    """(cost, mIoU) of the rounds that have one."""
    column = f"{prefix}miou"
    return [(cost(r), r[column]) for r in cell["rounds"] if r[column] is not None]


def _budgets(lines: Any) -> list[int]:
    """The budgets of the runs, which all have: from the settings."""
    schedules = []
    for line in lines:
        for cell in line.cells.values():
            steps = cell["settings"]["first_budgets"]
            schedules.append(tuple(np.cumsum(steps).tolist()))
    return list(Counter(schedules).most_common(1)[0][0]) if schedules else []


def _phases(budgets: list[int]) -> list[tuple[int, int]]:
    """Budgets at which phases begin and end."""
    borders = [*budgets[:-1:ROUNDS_OF_PHASE], budgets[-1]]
    return list(pairwise(borders))


def _what_to_use(found: list[Data]) -> str:
    """The best methods by the area between clicks, on each data folder."""
    rows = []
    for data in found:
        for first, last in _phases(data.budgets):
            areas = {n: list(line.areas(first, last).values()) for n, line in data.lines.items()}
            ranked = sorted(areas, key=lambda name: -statistics.fmean(areas[name]))
            best = ranked[0]
            least = statistics.fmean(areas[best]) - _deviation(areas[best])
            near = [n for n in ranked[1:] if statistics.fmean(areas[n]) >= least]
            cells = [data.note["name"], f"{first}–{last}", _code(best), _value(areas[best])]
            cells += [", ".join(map(_code, near)) or "–", _value(areas.get(BASELINE, []))]
            rows.append(cells)
    head = ["data", "clicks", "best", "mIoU", "within one deviation of it", BASELINE]
    words = "Mean model mIoU between so many clicks (on a logarithmic axis), and its 95 % interval."
    return f"## What to use when\n\n{words}\n\n{_table(head, rows)}"


def _section(data: Data, picture: str, seconds: tuple[float, float]) -> str:
    note = data.note
    (h0, w0), (h1, w1) = note["shapes"]
    size = f"{w0}×{h0}" if (h0, w0) == (h1, w1) else f"{w0}×{h0} to {w1}×{h1}"
    n_seeds = max(len(line.curves) for line in data.lines.values())
    parts = [
        f"## {note['name']}",
        f"{note['n_train']} training and {note['n_val']} validation images of {size}, "
        f"{len(note['classes'])} classes; {n_seeds} seed{'s' if n_seeds > 1 else ''}."
        + (f" All labels: {_value(data.all_labels)}." if data.all_labels else ""),
        _headline(data),
        f"![Model mIoU against clicks on {note['name']}]({picture})",
        "Model mIoU" + (", mean over seeds ± 95 % interval:" if n_seeds > 1 else ":"),
        _miou_table(data),
        f"The same with so many seconds of an annotator, {seconds[0]:g} a query and "
        f"{seconds[1]:g} a further click:",
        _seconds_table(data, seconds),
        ("Clicks to reach a share of all labels' mIoU, area" if data.reference else "Area")
        + f" under the curve from {data.budgets[0]} to {data.budgets[-1]} clicks, and seeds in "
        f"which that is above and below `{BASELINE}`'s:",
        _area_table(data),
        "IoU of the rarest classes in the end (share of the pixels in brackets):",
        _class_table(data),
        "Cost in the end: seconds of an annotator, and of one processor a round:",
        _cost_table(data, seconds),
    ]
    return "\n\n".join(part for part in parts if part)


def _headline(data: Data) -> str:
    """The best method's clicks for a level that random reaches late, or not at all."""
    baseline = data.lines.get(BASELINE)
    others = [line for name, line in data.lines.items() if name != BASELINE]
    if baseline is None or not others:
        return ""
    level = statistics.fmean(baseline.at(data.budgets[-1]))
    needed = {line.name: _clicks(line, level) for line in others}
    reached = {name: clicks for name, clicks in needed.items() if clicks is not None}
    own = _clicks(baseline, level)
    if not reached:
        return f"**No other method reaches `{BASELINE}`'s {level:.2f}.**"
    best = min(reached, key=reached.__getitem__)
    return (
        f"**`{best}` reaches {level:.2f} with {_count(reached[best])} clicks, `{BASELINE}` needs "
        f"{_count(own)}.**"
    )


def _miou_table(data: Data) -> str:
    rows = [
        [_code(name), *(_value(line.at(budget)) for budget in data.budgets)]
        for name, line in data.lines.items()
    ]
    return _table(["method", *(f"{budget}" for budget in data.budgets)], rows)


def _seconds_table(data: Data, seconds: tuple[float, float]) -> str:
    levels = [budget * seconds[0] for budget in data.budgets]
    rows = []
    for name, line in data.lines.items():
        timed = line.in_seconds(seconds)
        end = timed.mean_curve()[0][-1]
        rows.append([_code(name), *(_value(timed.at(s) if s <= end else []) for s in levels)])
    return _table(["method", *(f"{level:,.0f} s" for level in levels)], rows)


def _area_table(data: Data) -> str:
    rows = []
    first, last = data.budgets[0], data.budgets[-1]
    lows = [first, *([LATER] if first < LATER < last else [])]
    baseline = data.lines.get(BASELINE)
    levels = [share * data.reference for share in SHARES] if data.reference else []
    for name, line in data.lines.items():
        cells = [_code(name)]
        for level in levels:
            clicks = _clicks(line, level)
            is_first = clicks is not None and clicks <= line.mean_curve()[0][0]
            cells.append(("≤ " if is_first else "") + _count(clicks))
        areas = line.areas(first, last)
        cells.append(_value(list(areas.values())))
        cells += [_against(line, baseline, low, last) for low in lows]
        rows.append(cells)
    head = ["method", *(f"{share:.0%}" for share in SHARES[: len(levels)]), "area"]
    head += ["won/lost", f"from {LATER} clicks on"][: len(lows)]
    return _table(head, rows)


def _against(line: Line, baseline: Line | None, first: float, last: float) -> str:
    if baseline is None or line is baseline:
        return "–"
    seeds = sorted(set(line.curves) & set(baseline.curves))
    differences = [line.area(s, first, last) - baseline.area(s, first, last) for s in seeds]
    won, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if not differences:
        return "–"
    mean = statistics.fmean(differences)
    return f"{won}/{lost} ({mean:+.3f}, p {sign_test(won, lost):.2f})"


def _class_table(data: Data) -> str:
    shares = data.note["val_shares"]
    rare = sorted((i for i, share in enumerate(shares) if share > 0), key=lambda i: shares[i])
    rare = rare[:N_RARE]
    rows = []
    for name, line in data.lines.items():
        by_class = [
            cell["rounds"][-1][f"{line.prefix}iou"]
            for seed, cell in line.cells.items()
            if seed in line.curves and cell["rounds"][-1][f"{line.prefix}iou"]
        ]
        values = [[v[i] for v in by_class if v[i] is not None] for i in rare]
        rows.append([_code(name), *(_value(v) for v in values)])
    names = data.note["classes"]
    return _table(["method", *(f"{names[i]} ({shares[i]:.1%})" for i in rare)], rows)


def _cost_table(data: Data, seconds: tuple[float, float]) -> str:
    rows = []
    for name, line in data.lines.items():
        if line.prefix:
            continue
        ends = [cell["rounds"][-1] for cell in line.cells.values()]
        clicks = statistics.fmean(end["clicks"] for end in ends)
        queries = statistics.fmean(end["queries"] for end in ends)
        spent_s = statistics.fmean(annotator_s(end, seconds) for end in ends)
        cpu_s = [r["cpu_s"] for cell in line.cells.values() for r in cell["rounds"] if r["cpu_s"]]
        cells = [_code(name), f"{queries:,.0f}", f"{clicks:,.0f}", f"{spent_s:,.0f}"]
        rows.append([*cells, f"{statistics.median(cpu_s):.0f}" if cpu_s else "–"])
    return _table(["method", "queries", "clicks", "annotator s", "processor s a round"], rows)


def _figure(data: Data) -> Figure:
    """mIoU against clicks, mean and standard deviation over seeds."""
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots()
    curves = []
    for style, (name, line) in enumerate(data.lines.items()):
        clicks, reached = line.mean_curve()
        rounds = list(zip(*line.curves.values(), strict=False))
        spread = [_deviation([y for _, y in points]) for points in rounds]
        curves.append(Curve(name, clicks, reached, spread, style))
    levels = {} if data.reference is None else {"all labels": data.reference}
    axes.set_xscale("log")
    draw_curves(axes, curves, "model mIoU", levels=levels, x_label="clicks (logarithmic)")
    axes.set_xticks(data.budgets, [f"{budget:,}" for budget in data.budgets])
    axes.minorticks_off()
    axes.set_title(data.note["name"])
    return figure


def _how(folders: list[Path]) -> str:
    """Versions, dates and settings of the runs."""
    cells = [json.loads(p.read_text()) for folder in folders for p in folder.glob("*/seed*.json")]
    dates = sorted(cell["date"][:10] for cell in cells)
    versions = Counter(json.dumps(cell["versions"], sort_keys=True) for cell in cells)
    made = json.loads(versions.most_common(1)[0][0])
    words = ", ".join(f"{name} {number}" for name, number in made.items() if number)
    days = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return f"## How it was made\n\n{len(cells)} runs, {days}. {words}."


# ---- numbers


def annotator_s(done: dict[str, Any], seconds: tuple[float, float]) -> float:
    """Seconds of an annotator up to the end of a round: of each query, and further click."""
    further = max(done["clicks"] - done["queries"], 0)
    return max(seconds[0] * done["queries"] + seconds[1] * further, 1.0)


def _clicks(line: Line, level: float) -> float | None:
    """Clicks with which the mean curve comes up to a level, on a logarithmic axis."""
    clicks, reached = line.mean_curve()
    log_clicks = clicks_to_reach([math.log(x) for x in clicks], reached, level)
    return None if log_clicks is None else math.exp(log_clicks)


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _value(values: list[float]) -> str:
    """Mean, with a 95 % interval where there are several seeds."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    n = len(values)
    half = float(student.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)
    return f"{statistics.fmean(values):.3f} ± {half:.3f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _code(name: str) -> str:
    base, _, stage = name.partition(" (")
    return f"`{base}`" + (f" ({stage}" if stage else "")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
