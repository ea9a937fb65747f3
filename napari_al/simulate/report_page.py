"""The page of a report: one HTML file with its pictures and tables inside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from napari_al.simulate.studies import mean, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_al.simulate.studies import Line, Study
    from napari_al.simulate.tables import Table

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #111; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ccc; text-align: right; }
th.key, td.key { text-align: left; }
thead th { border-bottom: 2px solid #555; vertical-align: bottom; }
.wide { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; } table, img { break-inside: avoid; } }
"""

PLACES = {
    "reach": "curves", "curves": "curves", "model_iou": "classes", "data_iou": "classes",
    "asked": "asked", "regions": "regions", "sieve": "sieve", "corrections": "corrections",
}  # fmt: skip
"""After which figure a table comes, by names."""


@dataclass(frozen=True)
class Section:
    """A study with its tables, and its figures by name: what they show, and a PNG file."""

    study: Study
    tables: list[Table]
    figures: dict[str, tuple[str, bytes]]


def page(sections: Sequence[Section], without_rounds: Sequence[Path]) -> str:
    """HTML text; ``without_rounds`` are runs that were left out."""
    left_out = "".join(
        f"<p>{escape(str(path))} has no finished round yet and is left out.</p>"
        for path in without_rounds
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>napari-al report</title><style>{STYLE}</style></head><body>"
        "<h1>Active learning runs</h1><p>Figures are means over seeds ± one standard deviation; "
        "model mIoU is measured on the validation images, data mIoU on the current training "
        "labels, each from one confusion matrix over all pixels.</p>"
        + left_out
        + "\n".join(map(_section, sections))
        + "</body></html>\n"
    )


def _section(section: Section) -> str:
    study = section.study
    parts = [f"<h2>{escape(study.name)}</h2>", *map(_note, _reasons(study))]
    tables = {table.name: table for table in section.tables}
    for name, (what, png) in section.figures.items():
        parts.append(_image(png, f"{what}, {study.name}"))
        parts += [
            _html(tables.pop(t)) for t, after in PLACES.items() if after == name and t in tables
        ]
    parts += map(_html, tables.values())
    return "".join([*parts, _runs_table(study)])


def _reasons(study: Study) -> Iterable[str]:
    """Say why some figures are not known, once each."""
    return dict.fromkeys(
        f"Of some runs only rounds.csv is known: {run.without_measures}"
        for line in study.lines
        for run in line.runs
        if run.without_measures
    )


def _note(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _image(png: bytes, what: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<p><img alt="{escape(what)}" src="data:image/png;base64,{data}"></p>'


def _html(table: Table) -> str:
    rows = [[*texts, *map(_mean_and_spread, values)] for texts, values in table.rows]
    return _table(table.caption, [*table.keys, *table.columns], rows, len(table.keys))


def _runs_table(study: Study) -> str:
    rows = [
        [line.label, str(run.config.seed), str(len(run.rows)), _settings(line), str(run.path)]
        for line in study.lines
        for run in line.runs
    ]
    head = ["method", "seed", "rounds", "training", "project"]
    return _table("Runs", head, rows, len(head))


def _settings(line: Line) -> str:
    config = line.runs[0].config
    training = config.training
    kept = "weights kept" if training.keep_weights else "fresh weights"
    return (
        f"{training.segmenter}, {training.steps} steps of {training.batch_size} crops of "
        f"{training.crop_px} px, {kept}; {config.budget} clicks a round"
    )


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    deviation = spread(values)
    return _number(mean(values)) + ("" if deviation is None else f" ± {_number(deviation)}")


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]], n_keys: int) -> str:
    def line(tag: str, cells: Iterable[str]) -> str:
        marked = (
            f"<{tag}{' class=key' if place < n_keys else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>'
        f"<thead>{line('th', head)}</thead><tbody>{body}</tbody></table></div>"
    )
