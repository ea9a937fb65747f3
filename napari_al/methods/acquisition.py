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
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_al.core import acquisition, correction
from napari_al.errors import InputError
from napari_al.methods import coverage

if TYPE_CHECKING:
    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.settings import AcquisitionSettings
    from napari_al.methods.table import Method, QueryType

Columns = Mapping[str, NDArray[Any]]
Scores = NDArray[np.float64]
Score = Callable[[Columns, Any], Scores]
"""Columns and the project's config to a score a region."""
Totals = Callable[[Columns, Any], NDArray[Any]]
TOTALS = "totals of the pool"
"""Stands beside the columns of a block."""

ANY_COLUMNS = ("queried", "answered_as", "image", "model_round", "uniform")
"""Columns of whatever is asked about, without a model: whether it was answered (bool), with which
classes (P, C bool), the number of its image, the round of the model that scores (0: none), and a
number drawn from [0, 1)."""
REGION_COLUMNS = (
    "size", "mean_probs", "mean_bvsb", "class_histogram", "bvsb_by_class", "dominant",
)  # fmt: skip
"""Columns of a region, merged or not (``core.regions.RegionTable``)."""
ENCODER_COLUMNS = ("features",)
"""Columns of a region that a frozen segmenter's encoder gives, with or without a model, and no
table keeps: its features (P, D), means over its pixels (``learning.region_features``)."""
_NO_MODEL = frozenset((*ANY_COLUMNS, *ENCODER_COLUMNS))
ENSEMBLE_COLUMNS = ("disagreement",)
"""Columns of a region that only an ensemble has, and no table keeps: mean over the pixels of how
much its networks disagree (``learning.inference.predict_disagreement``)."""
CORRECTION_COLUMNS = (
    "size", "dominant", "mean_probs", "cil_representative", "lcil", "sim",
    "similarity_cil_by_class", "label_histogram",
)  # fmt: skip
"""Columns of a segment whose label may be corrected (``core.correction.CorrectionTable``)."""


class ScoringConfig(Protocol):
    """What the built-in functions read of a project's config."""

    @property
    def method(self) -> Method:
        """The row of the table of methods."""

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """All classes, in the order of their ids."""

    @property
    def acquisition(self) -> AcquisitionSettings:
        """Settings of scoring."""

    def budget_of(self, round_number: int) -> int:
        """Clicks of a round."""


@dataclass(frozen=True)
class AcquisitionFunction:
    """One row of the table.

    Attributes
    ----------
    columns : names of the columns it reads, of ``ANY_COLUMNS`` and ``REGION_COLUMNS`` (or
        ``CORRECTION_COLUMNS``).
    score : columns and config to a (P,) float64 array.
    without_model : name of the function in its place before there is a model, where it needs one.
    module : of a registered function, the module that a child process imports to have it, too.
    by_row : whether a region's score depends on its row alone, and on ``totals``, so that a pool of
        any size is scored block by block.
    totals : what it needs of the whole pool: an array, the sum of those of all blocks.
    """

    columns: tuple[str, ...]
    score: Score
    without_model: str = "random"
    module: str = ""
    by_row: bool = False
    totals: Totals | None = None


def random(columns: Columns, config: ScoringConfig) -> Scores:
    """At random, the same for every method with the same regions and the same seed."""
    return columns["uniform"].astype(np.float64)


def bvsb(columns: Columns, config: ScoringConfig) -> Scores:
    """BvSB: mean over the pixels of second-best probability / best (Kim et al. 2023, eq. 4, 5).

    The pixels' ratio is ``core.acquisition.bvsb``.
    """
    return columns["mean_bvsb"].astype(np.float64)


def classbal(columns: Columns, config: ScoringConfig) -> Scores:
    """ClassBal: BvSB times exp(-p), p the class's share of the regions (Cai et al. 2021, eq. 6)."""
    return _class_balanced(columns, _totals(columns, config, regions_of_class), config)


def classbal_pixels(columns: Columns, config: ScoringConfig) -> Scores:
    """ClassBal with p a class's share of the pixels (Kim et al. 2023, eq. 6, 7)."""
    return _class_balanced(columns, _totals(columns, config, pixels_of_class), config)


def regions_of_class(columns: Columns, config: ScoringConfig) -> NDArray[np.float64]:
    """(C,) regions that each class dominates."""
    ones = np.ones(len(columns["dominant"]), np.int64)
    return acquisition.pixels_of_class(columns["dominant"], ones, len(config.classes))


def pixels_of_class(columns: Columns, config: ScoringConfig) -> NDArray[np.float64]:
    """(C,) pixels in regions that each class dominates."""
    return acquisition.pixels_of_class(columns["dominant"], columns["size"], len(config.classes))


def _class_balanced(
    columns: Columns, n_of_class: NDArray[np.float64], config: ScoringConfig
) -> Scores:
    return acquisition.class_balanced(
        columns["mean_bvsb"],
        columns["dominant"],
        acquisition.class_frequency(n_of_class),
        scale=config.acquisition.frequency_scale,
    )


def pixbal(columns: Columns, config: ScoringConfig) -> Scores:
    """PixBal: BvSB of each pixel, weighed by the prior of its class (Hwang et al. 2023, eq. 4)."""
    prior = acquisition.class_prior(_totals(columns, config, class_sums))
    return acquisition.pixbal(
        columns["bvsb_by_class"], columns["size"], prior, config.acquisition.nu
    )


def class_sums(columns: Columns, config: ScoringConfig) -> NDArray[np.float64]:
    """(C + 1,) sums of probabilities over pixels, and the number of pixels."""
    return acquisition.class_sums(columns["mean_probs"], columns["size"])


def power_bvsb(columns: Columns, config: ScoringConfig) -> Scores:
    """BvSB with noise that fades from model to model (ClaSP PE, TMLR 2026)."""
    n_models = max(int(columns["model_round"].max(initial=0)), 1)
    powers = config.acquisition.power
    beta = powers[min(n_models, len(powers)) - 1]
    return acquisition.power_noise(columns["mean_bvsb"], columns["uniform"], beta)


def bald(columns: Columns, config: ScoringConfig) -> Scores:
    """BALD: entropy of an ensemble's mean less the mean of its networks' (Houlsby et al. 2011)."""
    return columns["disagreement"].astype(np.float64)


def maxherding(columns: Columns, config: ScoringConfig) -> Scores:
    """MaxHerding: regions that cover the pool's features best (Bae et al., ECCV 2024)."""
    weights = np.ones(len(columns["features"]))
    return _by_coverage(columns, weights, config)


def uherding(columns: Columns, config: ScoringConfig) -> Scores:
    """UHerding: the same of uncertain regions, by BvSB (Bae et al., ICLR 2025)."""
    return _by_coverage(columns, columns["mean_bvsb"].astype(np.float64), config)


def _by_coverage(columns: Columns, weights: Scores, config: ScoringConfig) -> Scores:
    features, queried, uniform = (columns[name] for name in ("features", "queried", "uniform"))
    n = clicks_of_next(columns, config)
    return coverage.scores_by_coverage(features, weights, queried, uniform, n)


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
    counts = _totals(columns, config, open_labels)
    present_only = config.acquisition.abc_classes == "present"
    weights = correction.class_weights(counts, present_only=present_only)
    return correction.abc(columns["similarity_cil_by_class"], weights)


def open_labels(columns: Columns, config: ScoringConfig) -> NDArray[np.int64]:
    """(C + 1,) pixels of each current label in segments that were not asked about."""
    counts: NDArray[np.int64] = columns["label_histogram"][~columns["queried"]].sum(axis=0)
    return counts


def _totals(columns: Columns, config: ScoringConfig, of: Totals) -> NDArray[Any]:
    """Return what a function needs of the whole pool: given beside a block, or of these columns."""
    return columns[TOTALS] if TOTALS in columns else of(columns, config)


_BY_ROW = partial(AcquisitionFunction, by_row=True)
ACQUISITIONS: dict[str, AcquisitionFunction] = {
    "bvsb": _BY_ROW(("mean_bvsb",), bvsb),
    "classbal": _BY_ROW(("mean_bvsb", "dominant"), classbal, totals=regions_of_class),
    "classbal-pixels": _BY_ROW(
        ("mean_bvsb", "dominant", "size"), classbal_pixels, totals=pixels_of_class
    ),
    "pixbal": _BY_ROW(("bvsb_by_class", "mean_probs", "size"), pixbal, totals=class_sums),
    "power-bvsb": _BY_ROW(("mean_bvsb", "uniform", "model_round"), power_bvsb),
    "bald": _BY_ROW(("disagreement",), bald),
    "maxherding": AcquisitionFunction(
        ("features", "queried", "uniform", "model_round"), maxherding
    ),
    "uherding": AcquisitionFunction(
        ("features", "mean_bvsb", "queried", "uniform", "model_round"), uherding, "maxherding"
    ),
    "cil": _BY_ROW(("cil_representative",), cil),
    "lcil": _BY_ROW(("lcil",), lcil),
    "sim": _BY_ROW(("sim",), sim),
    "abc": _BY_ROW(
        ("similarity_cil_by_class", "label_histogram", "queried"), abc, totals=open_labels
    ),
    "random": _BY_ROW(("uniform",), random),
}
BUILT_IN = tuple(ACQUISITIONS)


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
        What it reads, one row a region of the whole pool: of ``ANY_COLUMNS`` and
        ``REGION_COLUMNS``, or ``CORRECTION_COLUMNS`` for methods that correct labels.

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
    known = dict.fromkeys((*REGION_COLUMNS, *ENSEMBLE_COLUMNS, *CORRECTION_COLUMNS, *ANY_COLUMNS))
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

        ACQUISITIONS[name] = AcquisitionFunction(tuple(columns), checked, module=score.__module__)
        return score

    return add


def acquisitions_for(query: QueryType) -> tuple[str, ...]:
    """Names of the functions that can score what a query asks about, from what a round keeps."""
    there = set(_columns_of(query)).difference(ENSEMBLE_COLUMNS, ENCODER_COLUMNS)
    return tuple(name for name, row in ACQUISITIONS.items() if there.issuperset(row.columns))


def _columns_of(query: QueryType) -> tuple[str, ...]:
    if query == "correction":
        return (*CORRECTION_COLUMNS, *ANY_COLUMNS)
    return (*REGION_COLUMNS, *ENSEMBLE_COLUMNS, *ENCODER_COLUMNS, *ANY_COLUMNS)


def acquisition_function(method: Method) -> AcquisitionFunction:
    """Return the row of a method's function.

    Raises
    ------
    InputError
        If there is none of this name here, or it reads what the method's queries do not have.
    """
    name = method.acquisition
    if name not in ACQUISITIONS:
        near = get_close_matches(name, ACQUISITIONS, n=1)
        raise InputError(
            f"there is no acquisition function {name!r}"
            f"{f'; did you mean {near[0]}?' if near else ''} (there are {', '.join(ACQUISITIONS)})."
            " One of your own has to be registered first: `napari-al --import FILE.py ...`, or "
            "import its module (docs/extending.md)"
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
    acquisition_function(method)


def columns_to_score(config: ScoringConfig, *, by_model: bool = True) -> tuple[str, ...]:
    """Names of all columns that ``pool_scores`` reads, with a model or before there is one."""
    columns = list(function_of(config, by_model).columns)
    if by_model and config.method.selection == "equal-shares":
        columns += ["dominant", "queried"]
    if by_model and config.acquisition.search:
        columns += ["features", "queried", "answered_as", "uniform", "model_round"]
    if config.acquisition.max_per_image:
        columns += ["image", "queried"]
    return tuple(dict.fromkeys(columns))


def needs_model(config: ScoringConfig) -> bool:
    """Whether a pool is scored by what a model predicts, once there is one."""
    merges = config.method.merging == "adaptive"
    return merges or not _NO_MODEL.issuperset(columns_to_score(config))


def function_of(config: ScoringConfig, by_model: bool) -> AcquisitionFunction:
    """Return the function that scores, with a model or before there is one."""
    function = acquisition_function(config.method)
    if by_model or _NO_MODEL.issuperset(function.columns):
        return function
    return ACQUISITIONS[function.without_model]


def clicks_of_next(columns: Columns, config: ScoringConfig) -> int:
    """Clicks of the round that is asked next: more regions need not be chosen with care."""
    return config.budget_of(int(columns["model_round"].max(initial=0)) + 1)


def modules_of_registered() -> list[str]:
    """Modules that a child process imports to have the same functions."""
    modules = {function.module for function in ACQUISITIONS.values()}
    return sorted(modules - {"", "__main__"})
