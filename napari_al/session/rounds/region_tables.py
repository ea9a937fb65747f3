"""Region tables and confidence curves of a round, kept in ``cache/`` for inspection.

One file an image, written beside its prediction or its targets; 12 bytes a region and class. A file
that is missing, damaged or inconsistent reads as None.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_al.core.correction import CorrectionTable
from napari_al.core.regions import RegionTable
from napari_al.core.sieving import ConfidenceCurve
from napari_al.session.project.cache_files import read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


Table = RegionTable | CorrectionTable
_KINDS: Final[tuple[type[Table], ...]] = (RegionTable, CorrectionTable)

_DTYPES: Final = {
    "size": np.int64,
    "mean_probs": np.float32,
    "mean_bvsb": np.float32,
    "class_histogram": np.int32,
    "bvsb_by_class": np.float32,
    "dominant": np.int64,
    "representative": np.int64,
    "cil_representative": np.float32,
    "lcil": np.float32,
    "sim": np.float32,
    "similarity_cil_by_class": np.float32,
    "label_histogram": np.int64,
}
_N_COLUMNS: Final = {
    "mean_probs": 0,
    "class_histogram": 0,
    "bvsb_by_class": 0,
    "similarity_cil_by_class": 1,
    "label_histogram": 1,
}
"""Columns by class that have more entries than classes, and how many more."""


def write_table(path: Path, table: Table) -> None:
    """Write an image's table."""
    write_arrays(path, {f.name: getattr(table, f.name) for f in fields(table)}, ())


def read_table(path: Path) -> Table | None:
    """Read an image's table."""
    held = read_arrays(path)
    if held is None:
        return None
    arrays, _ = held
    means = arrays.get("mean_probs")
    if means is None or means.ndim != 2:
        return None
    n_rows, n_classes = means.shape
    for name, array in arrays.items():
        shape = (n_rows, n_classes + _N_COLUMNS[name]) if name in _N_COLUMNS else (n_rows,)
        if array.dtype != _DTYPES.get(name) or array.shape != shape:
            return None
    for kind in _KINDS:
        if {f.name for f in fields(kind)} == set(arrays):
            return kind(**arrays)
    return None


def write_curves(path: Path, curves: Mapping[str, ConfidenceCurve]) -> None:
    """Write the curves of an image's answers, by the answers' ids."""
    held = list(curves.values())
    arrays = {
        "values": np.concatenate([curve.values for curve in held]),
        "n_values": np.array([len(curve.values) for curve in held], np.int32),
        "knee": np.array([-1 if curve.knee is None else curve.knee for curve in held], np.int32),
    }
    write_arrays(path, arrays, tuple(curves))


def read_curves(path: Path) -> dict[str, ConfidenceCurve] | None:
    """Read the curves of an image's answers, by the answers' ids."""
    held = read_arrays(path)
    if held is None:
        return None
    arrays, ids = held
    try:
        n_values, knees = arrays["n_values"].tolist(), arrays["knee"].tolist()
        parts = np.split(arrays["values"].astype(np.float64), np.cumsum(n_values)[:-1])
        curves = {
            answer_id: ConfidenceCurve(values, None if knee < 0 else int(knee))
            for answer_id, values, knee in zip(ids, parts, knees, strict=True)
        }
    except (KeyError, ValueError, TypeError):
        return None
    whole = all(curve.knee is None or curve.knee < len(curve.values) for curve in curves.values())
    return curves if whole else None
