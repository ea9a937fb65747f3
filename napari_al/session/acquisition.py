"""The acquisition column of the method table: what each function reads and how it scores.

A function sees the whole pool's columns at once (rows = regions) and returns larger scores for
regions to ask sooner. Pixel sums by class in the columns let functions whose weights depend on the
whole pool (PixBal, ABC) do with one pass over the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_al.core import acquisition, correction
from napari_al.errors import InputError

if TYPE_CHECKING:
    from napari_al.methods.table import Method, QueryType
    from napari_al.session.project.config import ProjectConfig

Columns = Mapping[str, NDArray[Any]]
Score = Callable[[Columns, "ProjectConfig"], NDArray[np.float64]]

REGION_COLUMNS = (
    "size", "mean_probs", "mean_bvsb", "class_histogram", "bvsb_by_class", "dominant",
)  # fmt: skip
"""What there is of a region, merged or not (``core/regions.py``)."""
CORRECTION_COLUMNS = (
    "size", "dominant", "mean_probs", "cil_representative", "lcil", "sim",
    "similarity_cil_by_class", "label_histogram", "queried",
)  # fmt: skip
"""What there is of a segment whose label may be corrected (``core/correction.py``)."""


@dataclass(frozen=True)
class AcquisitionFunction:
    """One row.

    Attributes
    ----------
    columns : names of the ``RegionTable`` (or ``CorrectionTable``) columns it reads; ``queried``
        (bool) is true for regions that were answered.
    score : columns and settings to a (P,) float64 array.
    module : of one that was registered, the module that a child process imports to have it, too.
    """

    columns: tuple[str, ...]
    score: Score
    module: str = ""


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
"""``random`` is no row: it needs no model (``scoring.py``)."""
BUILT_IN = ("random", *ACQUISITIONS)


def register_acquisition(name: str, columns: tuple[str, ...]) -> Callable[[Score], Score]:
    """Add an acquisition function of your own to the table; used as a decorator.

    Then ``acquisition = name`` works in methods, settings, sweeps and the window, in every process
    that has imported the module with the function. Child processes import it by themselves, unless
    it is the main program.

    Parameters
    ----------
    name
        Its name in methods; one that was registered before is replaced.
    columns
        What it reads, one row a region of the whole pool: of ``REGION_COLUMNS``, or of
        ``CORRECTION_COLUMNS`` for methods that correct labels.

    Returns
    -------
    callable
        The decorator, which returns the function as it is: ``function(columns, config)`` gets a
        mapping of these names to arrays, and the project's settings; it returns a score a region,
        larger = ask sooner, -inf or NaN = never.

    Raises
    ------
    InputError
        If the name is taken by a built-in function, or there is no such column, or none is named.
    """
    known = dict.fromkeys((*REGION_COLUMNS, *CORRECTION_COLUMNS))
    if not name or name in BUILT_IN:
        raise InputError(f"acquisition function {name!r}: the name is taken; choose another")
    if not columns or not known.keys() >= set(columns):
        raise InputError(
            f"acquisition function {name!r}: a tuple of the columns {', '.join(known)} was "
            f"expected, got {columns!r}"
        )

    def add(score: Score) -> Score:
        def checked(values: Columns, config: ProjectConfig) -> NDArray[np.float64]:
            scores, n_regions = score(values, config), len(next(iter(values.values())))
            if np.shape(scores) != (n_regions,):
                raise InputError(
                    f"acquisition function {name!r}: a number for each of {n_regions} regions was "
                    f"expected, got an array of shape {np.shape(scores)}"
                )
            return np.asarray(scores, np.float64)

        ACQUISITIONS[name] = AcquisitionFunction(tuple(columns), checked, score.__module__)
        return score

    return add


def acquisitions_for(query: QueryType) -> tuple[str, ...]:
    """Names of the functions that can score what a query asks about; ``random`` last."""
    there = set(_columns_of(query))
    fitting = (name for name, row in ACQUISITIONS.items() if there.issuperset(row.columns))
    return (*fitting, "random")


def _columns_of(query: QueryType) -> tuple[str, ...]:
    return CORRECTION_COLUMNS if query == "correction" else REGION_COLUMNS


def acquisition_function(method: Method) -> AcquisitionFunction:
    """Return the row of a method that needs a model to score.

    Raises
    ------
    InputError
        If there is none of this name here, or it reads what the method's queries do not have.
    """
    name = method.acquisition
    if name not in ACQUISITIONS:
        known = ("random", *ACQUISITIONS)
        near = get_close_matches(name, known, n=1)
        raise InputError(
            f"there is no acquisition function {name!r}"
            f"{f'; did you mean {near[0]}?' if near else ''} (there are {', '.join(known)}). One "
            "of your own has to be registered first: `napari-al --import FILE.py ...`, or import "
            "its module (docs/extending.md)"
        )
    function = ACQUISITIONS[name]
    there = _columns_of(method.query)
    missing = [column for column in function.columns if column not in there]
    if missing:
        raise InputError(
            f"acquisition={name!r} reads {', '.join(missing)}, which {method.query} queries do "
            f"not have; they have {', '.join(there)}"
        )
    return function


def check_acquisition(method: Method) -> None:
    """Raise InputError if a method's regions cannot be scored here."""
    if method.acquisition != "random":
        acquisition_function(method)


def modules_of_registered() -> list[str]:
    """Modules that a child process imports to have the same functions."""
    modules = {function.module for function in ACQUISITIONS.values()}
    return sorted(modules - {"", "__main__"})
