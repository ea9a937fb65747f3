"""Where labels are likely wrong: ALC (Kim et al. 2024), acquisition of A2LC (Jeon et al. 2026).

A segment has labels already; a correction query asks for the class at its representative pixel.
``correction_table`` reduces one image's pixels to one row a segment. The rows are scores already
(CIL, LCIL, SIM), or become one together with the class counts of the pool (ABC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Representative = Literal["segment", "dominant-part"]
"""Where the representative pixel is looked for: in all of the segment (Kim et al. 2024, equation
4), or where the predicted class is the segment's dominant one (the authors' code)."""

Unlabelled = Literal["own", "predicted"]
"""Whose a pixel without a label is in sums by class: of a column of its own, or of its predicted
class (the authors' code)."""


@dataclass(frozen=True, slots=True)
class CorrectionTable:
    """The segments of one image, one row each; rows of segments without a pixel are zero.

    p(x) are a pixel's class probabilities, CIL(x) = 1 - p(x) of its current class (Kim et al.
    2024, equation 8; of its predicted class where it has none), f(m') the mean of p over the
    pixels of segment m that are predicted to be of its dominant class, cos the cosine of two
    probability vectors.

    Attributes
    ----------
    size : (R,) int64
        Pixels.
    dominant : (R,) int64
        The class most pixels are predicted to be (equation 5), the lowest one on a tie; IGNORE for
        a segment without pixels.
    representative : (R,) int64
        Flat index of the pixel x_r with the largest cos(p(x), f(m')) (equation 4), the first one
        on a tie; -1 for a segment without pixels.
    cil_representative : (R,) float32
        CIL(x_r), in [0, 1]: the score of acquisition "cil".
    lcil : (R,) float32
        Mean CIL (equation 10), in [0, 1]: the score of "lcil".
    sim : (R,) float32
        Sum of cos(p(x_r), p(x)) CIL(x) (equation 9), in [0, size]: the score of "sim".
    similarity_cil_by_class : (R, C + 1) float32
        Sum of cos(p(x), f(m')) CIL(x) over the pixels whose current class is c; last column: over
        those without a label. ``abc`` makes a score of it.
    label_histogram : (R, C + 1) int64
        Pixels whose current class is c; last column: without a label.
    mean_probs : (R, C) float32
        Mean of p: what the label correction module sees of a segment.
    """

    size: NDArray[np.int64]
    dominant: NDArray[np.int64]
    representative: NDArray[np.int64]
    cil_representative: NDArray[np.float32]
    lcil: NDArray[np.float32]
    sim: NDArray[np.float32]
    similarity_cil_by_class: NDArray[np.float32]
    label_histogram: NDArray[np.int64]
    mean_probs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.size)


def correction_table(
    probs: Tensor,
    segment_map: NDArray[np.integer[Any]],
    n_segments: int,
    class_map: NDArray[np.uint8],
    *,
    representative: Representative = "segment",
    unlabelled: Unlabelled = "own",
) -> CorrectionTable:
    """Reduce an image's probabilities and current labels to one row a segment.

    Works where ``probs`` is; only the table leaves the device. Needs some 60 bytes a pixel beside
    the probabilities.

    Parameters
    ----------
    probs : (C, H, W) float tensor
        Class probabilities.
    segment_map : (H, W) int
        Segment ids below ``n_segments``, -1 = in no segment. A segment may have several parts, or
        no pixel.
    n_segments : int
        R.
    class_map : (H, W) uint8
        Current labels: class ids, or IGNORE.
    representative : {"segment", "dominant-part"}
        See ``Representative``.
    unlabelled : {"own", "predicted"}
        See ``Unlabelled``; concerns ``similarity_cil_by_class`` alone.

    Raises
    ------
    InputError
        If the shapes differ, an id or a class is out of range, or a choice is unknown.
    """
    from napari_al.core import correction_passes as passes

    _check(probs, segment_map, n_segments, class_map, representative, unlabelled)
    pixels = passes.Pixels.of(probs, segment_map, n_segments, class_map)
    seen = passes.first_pass(pixels)
    sums, sums_of_part = passes.sum_probs(pixels, seen)
    alike = passes.similarity(pixels, seen, sums_of_part)
    eligible = alike
    if representative == "dominant-part":
        eligible = alike.where(seen.predicted == seen.dominant[pixels.ids], -1)
    at = passes.first_largest(eligible, pixels.ids, pixels.n_rows)
    present = at < len(pixels.ids)
    at = at.where(present, 0)
    histogram, cil, sim, by_class = passes.sum_cil(
        pixels, seen, alike, at, own_column=unlabelled == "own"
    )
    size = histogram.sum(dim=1)
    columns = {
        "size": size,
        "dominant": seen.dominant.where(present, IGNORE),
        "representative": at.where(present, -1),
        "cil_representative": passes.cil(pixels, seen, at)[0].where(present, 0),
        "lcil": cil / size.clamp(min=1),
        "sim": sim,
        "similarity_cil_by_class": by_class,
        "label_histogram": histogram,
        "mean_probs": (sums / size.clamp(min=1)).T,
    }
    return CorrectionTable(
        **{
            name: (values.float() if values.is_floating_point() else values)[:n_segments]
            .cpu()
            .numpy()
            for name, values in columns.items()
        }
    )


def abc(
    similarity_cil_by_class: NDArray[np.floating[Any]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Adaptively balanced acquisition (Jeon et al. 2026): CIL weighed by similarity and rarity.

    Parameters
    ----------
    similarity_cil_by_class : (R, C + 1) float
        Of ``CorrectionTable``.
    weights : (C + 1,) float64
        Of ``class_weights``.

    Returns
    -------
    (R,) float64
        ABC(m) = sum of w_yh(x) cos(p(x), f(m')) CIL(x) over the pixels, in [0, size].

    Examples
    --------
    >>> abc(np.array([[1.0, 2.0, 0.0]]), np.array([1.0, 0.25, 1.0]))
    array([1.5])
    """
    scores: NDArray[np.float64] = similarity_cil_by_class.astype(np.float64) @ weights
    return scores


def class_weights(
    counts: NDArray[np.integer[Any]], *, present_only: bool = False
) -> NDArray[np.float64]:
    """How much a wrong label of each class counts: the rarer, the more (Jeon et al. 2026).

    w_c = r_c ^ (KL ^ 3) with the rarity r_c = min n / n_c and the imbalance KL of the classes: all
    alike while the classes are balanced, and far apart when they are not.

    Parameters
    ----------
    counts : (C + 1,) int
        Pixels by current class in the segments that may still be asked, last those without a
        label: ``label_histogram`` summed.
    present_only : bool
        False: the imbalance is that of all C classes; the rarity is relative to the rarest class
        that occurs; pixels without a label count in full. True: as the authors' code does, over
        the classes that occur, of which "no label" is one; weight 0 for those that do not.

    Returns
    -------
    (C + 1,) float64
        In [0, 1]; 1 for the rarest class that occurs.

    Examples
    --------
    >>> class_weights(np.array([800, 150, 50, 0])).round(6)
    array([0.727775, 0.881693, 1.      , 1.      ])
    """
    counted = np.flatnonzero(counts) if present_only else np.arange(len(counts) - 1)
    weights = np.zeros(len(counts)) if present_only else np.ones(len(counts))
    n = counts[counted].astype(np.float64)
    if not n.any():
        return weights
    rarity = n[n > 0].min() / np.maximum(n, 1)
    weights[counted] = np.minimum(rarity, 1) ** (class_imbalance(n) ** 3)
    return weights


def class_imbalance(counts: NDArray[Any]) -> float:
    """Kullback-Leibler divergence of class counts from equal ones, in nats.

    Parameters
    ----------
    counts : (K,) numbers >= 0, not all zero

    Returns
    -------
    float
        In [0, ln K].

    Examples
    --------
    >>> round(class_imbalance(np.array([800, 150, 50])), 6)
    0.485743
    """
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float((share * np.log(share * len(counts))).sum()))


def _check(
    probs: Tensor,
    segment_map: NDArray[np.integer[Any]],
    n_segments: int,
    class_map: NDArray[np.uint8],
    representative: str,
    unlabelled: str,
) -> None:
    shape = tuple(probs.shape[1:])
    if probs.ndim != 3 or segment_map.shape != shape or class_map.shape != shape:
        raise InputError(
            "corrections need probabilities (C, H, W), a segment map and a class map (H, W) of "
            f"one image; got {tuple(probs.shape)}, {segment_map.shape} and {class_map.shape}"
        )
    highest = int(segment_map.max(initial=-1))
    if highest >= n_segments:
        raise InputError(
            f"segment ids below {n_segments} were expected, got {highest}; was the map cut anew?"
        )
    highest = int(class_map.max(initial=0, where=class_map != IGNORE))
    if highest >= probs.shape[0]:
        raise InputError(
            f"class ids below {probs.shape[0]} (or {IGNORE} = no label) were expected in the "
            f"current labels, got {highest}; do classes.json and the label files belong together?"
        )
    for name, value, choices in (
        ("representative", representative, get_args(Representative)),
        ("unlabelled", unlabelled, get_args(Unlabelled)),
    ):
        if value not in choices:
            raise InputError(f"{name}={value!r}: expected one of {', '.join(choices)}")
