"""The acquisition column: each published function by its name, and the table of them.

A function reads columns of the whole pool (one row a region; ``core/regions.py`` and
``core/correction.py`` make them in one pass over an image's pixels) and returns a score a region:
larger = ask sooner. Weights that depend on the whole pool (ClassBal, PixBal, ABC) need no second
pass, for the columns hold sums of pixels by class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_al.core import acquisition, correction
from napari_al.errors import InputError

if TYPE_CHECKING:
    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.settings import AcquisitionSettings
    from napari_al.methods.table import Method, QueryType

Columns = Mapping[str, NDArray[Any]]
Scores = NDArray[np.float64]
Score = Callable[[Columns, Any], Scores]
"""Columns and the project's config to a score a region."""

REGION_COLUMNS = (
    "size", "mean_probs", "mean_bvsb", "class_histogram", "bvsb_by_class", "dominant",
)  # fmt: skip
"""Columns of a region, merged or not (``core.regions.RegionTable``)."""
CORRECTION_COLUMNS = (
    "size", "dominant", "mean_probs", "cil_representative", "lcil", "sim",
    "similarity_cil_by_class", "label_histogram", "queried",
)  # fmt: skip
"""Columns of a segment whose label may be corrected (``core.correction.CorrectionTable``)."""


class ScoringConfig(Protocol):
    """What the built-in functions read of a project's config."""

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """All classes, in the order of their ids."""

    @property
    def acquisition(self) -> AcquisitionSettings:
        """Settings of scoring."""


@dataclass(frozen=True)
class AcquisitionFunction:
    """One row of the table.

    Attributes
    ----------
    columns : names of the ``RegionTable`` (or ``CorrectionTable``) columns it reads; ``queried``
        (bool) is true for regions that were answered.
    score : columns and config to a (P,) float64 array.
    module : of a registered function, the module that a child process imports to have it, too.
    """

    columns: tuple[str, ...]
    score: Score
    module: str = ""


def bvsb(columns: Columns, config: ScoringConfig) -> Scores:
    """BvSB: mean over the pixels of second-best probability / best (Kim et al. 2023, eq. 4, 5).

    The pixels' ratio is ``core.acquisition.bvsb``.
    """
    return columns["mean_bvsb"].astype(np.float64)


def classbal(columns: Columns, config: ScoringConfig) -> Scores:
    """ClassBal: BvSB times exp(-p), p the class's share of the regions (Cai et al. 2021, eq. 6)."""
    frequency = acquisition.class_frequency_of_regions(columns["dominant"], len(config.classes))
    return _class_balanced(columns, frequency, config)


def classbal_pixels(columns: Columns, config: ScoringConfig) -> Scores:
    """ClassBal with p a class's share of the pixels (Kim et al. 2023, eq. 6, 7)."""
    frequency = acquisition.class_frequency_of_pixels(
        columns["dominant"], columns["size"], len(config.classes)
    )
    return _class_balanced(columns, frequency, config)


def _class_balanced(
    columns: Columns, frequency: NDArray[np.float64], config: ScoringConfig
) -> Scores:
    return acquisition.class_balanced(
        columns["mean_bvsb"],
        columns["dominant"],
        frequency,
        scale=config.acquisition.frequency_scale,
    )


def pixbal(columns: Columns, config: ScoringConfig) -> Scores:
    """PixBal: BvSB of each pixel, weighed by the prior of its class (Hwang et al. 2023, eq. 4)."""
    prior = acquisition.class_prior(columns["mean_probs"], columns["size"])
    return acquisition.pixbal(
        columns["bvsb_by_class"], columns["size"], prior, config.acquisition.nu
    )


def cil(columns: Columns, config: ScoringConfig) -> Scores:
    """CIL: 1 - p(current class) at the representative pixel (Kim et al. 2024, eq. 8)."""
    return columns["cil_representative"].astype(np.float64)


def lcil(columns: Columns, config: ScoringConfig) -> Scores:
    """LCIL: mean CIL over the segment (Kim et al. 2024, eq. 10)."""
    return columns["lcil"].astype(np.float64)


def sim(columns: Columns, config: ScoringConfig) -> Scores:
    """SIM: sum of CIL by similarity to the representative pixel (Kim et al. 2024, eq. 9)."""
    return columns["sim"].astype(np.float64)


def abc(columns: Columns, config: ScoringConfig) -> Scores:
    """ABC: sum of CIL by similarity to the segment and rarity of the class (Jeon et al. 2026).

    Rarity is that of the current labels in the segments that were not asked about.
    """
    counts = columns["label_histogram"][~columns["queried"]].sum(axis=0)
    present_only = config.acquisition.abc_classes == "present"
    weights = correction.class_weights(counts, present_only=present_only)
    return correction.abc(columns["similarity_cil_by_class"], weights)


ACQUISITIONS: dict[str, AcquisitionFunction] = {
    "bvsb": AcquisitionFunction(("mean_bvsb",), bvsb),
    "classbal": AcquisitionFunction(("mean_bvsb", "dominant"), classbal),
    "classbal-pixels": AcquisitionFunction(("mean_bvsb", "dominant", "size"), classbal_pixels),
    "pixbal": AcquisitionFunction(("bvsb_by_class", "mean_probs", "size"), pixbal),
    "cil": AcquisitionFunction(("cil_representative",), cil),
    "lcil": AcquisitionFunction(("lcil",), lcil),
    "sim": AcquisitionFunction(("sim",), sim),
    "abc": AcquisitionFunction(("similarity_cil_by_class", "label_histogram", "queried"), abc),
}
"""``random`` is no row: it needs no model."""
BUILT_IN = ("random", *ACQUISITIONS)


def register_acquisition(name: str, columns: tuple[str, ...]) -> Callable[[Score], Score]:
    """Add an acquisition function of your own to the table; used as a decorator.

    From then on ``acquisition = name`` works in methods, settings, sweeps and the window, in every
    process that has imported the module with the function. Child processes import it by themselves,
    unless it is the main program.

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
        def checked(values: Columns, config: Any) -> Scores:
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
