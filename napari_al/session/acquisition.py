"""The acquisition column of the method table: what each function reads and how it scores.

A function sees the whole pool's columns at once (rows = regions) and returns larger scores for
regions to ask sooner. Pixel sums by class in the columns let functions whose weights depend on the
whole pool (PixBal, ABC) do with one pass over the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_al.core import acquisition, correction

if TYPE_CHECKING:
    from napari_al.session.config import ProjectConfig

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class AcquisitionFunction:
    """One row.

    Attributes
    ----------
    columns : names of the ``RegionTable`` (or ``CorrectionTable``) columns it reads; ``queried``
        (bool) is true for regions that were answered.
    score : columns and settings to a (P,) float64 array.
    """

    columns: tuple[str, ...]
    score: Callable[[Columns, ProjectConfig], NDArray[np.float64]]


def _bvsb(columns: Columns, config: ProjectConfig) -> NDArray[np.float64]:
    return columns["mean_bvsb"].astype(np.float64)


def _classbal(columns: Columns, config: ProjectConfig) -> NDArray[np.float64]:
    frequency = acquisition.class_frequency_of_regions(columns["dominant"], len(config.classes))
    return acquisition.class_balanced(columns["mean_bvsb"], columns["dominant"], frequency)


def _classbal_pixels(columns: Columns, config: ProjectConfig) -> NDArray[np.float64]:
    frequency = acquisition.class_frequency_of_pixels(
        columns["dominant"], columns["size"], len(config.classes)
    )
    return acquisition.class_balanced(columns["mean_bvsb"], columns["dominant"], frequency)


def _pixbal(columns: Columns, config: ProjectConfig) -> NDArray[np.float64]:
    prior = acquisition.class_prior(columns["mean_probs"], columns["size"])
    return acquisition.pixbal(
        columns["bvsb_by_class"], columns["size"], prior, config.acquisition.nu
    )


def _column(name: str) -> AcquisitionFunction:
    return AcquisitionFunction((name,), lambda columns, _: columns[name].astype(np.float64))


def _abc(columns: Columns, config: ProjectConfig) -> NDArray[np.float64]:
    counts = columns["label_histogram"][~columns["queried"]].sum(axis=0)
    weights = correction.class_weights(counts)
    return correction.abc(columns["similarity_cil_by_class"], weights)


ACQUISITIONS: dict[str, AcquisitionFunction] = {
    "bvsb": AcquisitionFunction(("mean_bvsb",), _bvsb),
    "classbal": AcquisitionFunction(("mean_bvsb", "dominant"), _classbal),
    "classbal-pixels": AcquisitionFunction(("mean_bvsb", "dominant", "size"), _classbal_pixels),
    "pixbal": AcquisitionFunction(("bvsb_by_class", "mean_probs", "size"), _pixbal),
    "cil": _column("cil_representative"),
    "lcil": _column("lcil"),
    "sim": _column("sim"),
    "abc": AcquisitionFunction(("similarity_cil_by_class", "label_histogram", "queried"), _abc),
}
"""``random`` is no row: it needs no model (``scores.random_scores``)."""
