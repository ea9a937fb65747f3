"""``rounds.csv``: one row of figures per round."""

from __future__ import annotations

import csv
import io
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROUND_COLUMNS: Final = (
    "round", "queries", "clicks", "class_clicks", "polygon_clicks", "intersection_clicks",
    "model_miou", "data_miou", "data_coverage", "n_regions", "train_s", "score_s", "select_s",
    "seed", "method",
)  # fmt: skip
"""Columns that every ``rounds.csv`` has; a row may add more."""
_WHOLE: Final = {
    "round", "queries", "clicks", "class_clicks", "polygon_clicks", "intersection_clicks", "seed",
}  # fmt: skip
_FIGURES: Final = {
    "model_miou", "data_miou", "data_coverage", "stage2_model_miou", "stage2_data_miou",
    "stage2_data_coverage", "train_s", "prequential_accuracy", "random_share_accuracy",
    "random_share_low", "random_share_high",
}  # fmt: skip


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of the table, [] while there is none; an empty field is ``""``.

    Raises
    ------
    InputError
        If the file is there but is no table with a column ``round``.
    """
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    try:
        table = csv.DictReader(io.StringIO(text), restkey="", restval="")
        rows = [{k: v for k, v in row.items() if k} for row in table if row.get("round")]
        for row in rows:
            _check_figures(row)
    except (csv.Error, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}); delete it, and it is written again when the project is "
            "opened"
        ) from error
    if text.strip() and "round" not in (table.fieldnames or ()):
        raise InputError(
            f"{path} has no column 'round': it was edited or damaged; put a copy of it back or "
            "delete it"
        )
    return rows


def write_row(path: Path, row: Mapping[str, object]) -> None:
    """Add a row; None is an empty field. A row of the same round is replaced."""
    new = {column: "" if value is None else str(value) for column, value in row.items()}
    rows = [old for old in read_rows(path) if old["round"] != new["round"]] + [new]
    columns = dict.fromkeys(ROUND_COLUMNS)
    columns.update(dict.fromkeys(column for old in rows for column in old))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode("utf-8"))


def _check_figures(row: Mapping[str, str]) -> None:
    for column, field in row.items():
        if column in _WHOLE | _FIGURES and field:
            value = number_or_text(field)
            if isinstance(value, str) or not math.isfinite(value or 0):
                raise ValueError(f"{column}: a number was expected, got {field[:60]!r}")
            if column in _WHOLE and not isinstance(value, int):
                raise ValueError(f"{column}: a whole number was expected, got {field[:60]!r}")


def number_or_text(field: str) -> int | float | str | None:
    """Read a field back; None is an empty one."""
    for read in (int, float):
        with suppress(ValueError):
            return read(field)
    return field or None
