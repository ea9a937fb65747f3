"""The page of a report: one HTML file with its pictures and tables inside."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from napari_al.simulate.studies import mean, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_al.simulate.studies import Line, Study

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #111; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #555; }
.wide { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; } table, img { break-inside: avoid; } }
"""


def page(studies: Sequence[Study], pictures: Mapping[tuple[int, str], bytes]) -> str:
    """HTML text; ``pictures`` are PNG files by (index of the study, ``curves`` or ``costs``)."""
    sections = [
        f"<h2>{escape(study.name)}</h2>"
        + _image(pictures[index, "curves"], f"mIoU against clicks on {study.name}")
        + _rounds_table(study)
        + _image(pictures[index, "costs"], f"clicks by kind and seconds a round on {study.name}")
        + _class_table(study, "model_iou", "IoU of the model by class, after the last round")
        + _class_table(study, "data_iou", "IoU of the training labels by class")
        + _runs_table(study)
        for index, study in enumerate(studies)
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>napari-al report</title><style>{STYLE}</style></head><body>"
        "<h1>Active learning runs</h1><p>Figures are means over seeds ± one standard deviation; "
        "model mIoU is measured on the validation images, data mIoU on the current training "
        "labels, each from one confusion matrix over all pixels.</p>"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def _image(png: bytes, what: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<p><img alt="{escape(what)}" src="data:image/png;base64,{data}"></p>'


def _rounds_table(study: Study) -> str:
    columns = {
        "clicks": "clicks",
        "queries": "queries",
        "model mIoU": "model_miou",
        "stage 2 model mIoU": "stage2_model_miou",
        "data mIoU": "data_miou",
        "stage 2 data mIoU": "stage2_data_miou",
        "covered": "data_coverage",
        "train s": "train_s",
        "score s": "score_s",
    }
    known = {
        title: column
        for title, column in columns.items()
        if any(line.values(column, n) for line in study.lines for n in line.rounds())
    }
    rows = [
        [
            line.label,
            str(number),
            str(len(line.values("clicks", number))),
            *(_mean_and_spread(line.values(column, number)) for column in known.values()),
        ]
        for line in study.lines
        for number in line.rounds()
    ]
    return _table("Round by round", ["method", "round", "seeds", *known], rows)


def _class_table(study: Study, field: str, caption: str) -> str:
    rows = []
    for line in study.lines:
        by_run = [getattr(run, field) for run in line.runs if getattr(run, field)]
        if by_run:
            values = [
                [v for v in by_class if v is not None] for by_class in zip(*by_run, strict=True)
            ]
            rows.append([line.label, *(_mean_and_spread(known) for known in values)])
    return _table(caption, ["method", *study.class_names], rows) if rows else ""


def _runs_table(study: Study) -> str:
    rows = [
        [line.label, str(run.config.seed), str(len(run.rows)), _settings(line), str(run.path)]
        for line in study.lines
        for run in line.runs
    ]
    return _table("Runs", ["method", "seed", "rounds", "training", "project"], rows)


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
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3f}"


def _table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )
