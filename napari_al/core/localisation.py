"""Pixel-wise pseudo-labels from regions' sets of classes (Hwang et al. 2023, stage 2).

In a labelled region, each of its classes has a prototype: the pixel that is most likely of it. The
region's pixels get the class of the prototype they are most like, and so do pixels of the regions
around it that are like enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from napari_al.core import IGNORE
from napari_al.core.feature_map import FeatureMap, Similarity
from napari_al.core.geometry.adjacency import adjacency
from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

ExpansionRule = Literal["passing", "any"]
"""Which class a pixel of a neighbouring region gets. ``passing``: the most similar one among the
classes whose threshold it passes (equation 13). ``any``: the most similar one of all, if it passes
the threshold of any (the authors' code)."""

Conflicts = Literal["nearest", "last"]
"""Who has a pixel that several regions expand onto, of which the paper does not speak.
``nearest``: the one with the most similar prototype, the lowest region id on a tie. ``last``: the
one with the highest id (the authors' code)."""

ROUNDING = 1e-7
"""Similarities that differ by less are equal; the rounding error of float32 near 1 is 3e-8."""


def localise(
    features: Tensor,
    probs: Tensor,
    region_map: NDArray[np.integer[Any]],
    labelled: NDArray[np.integer[Any]],
    candidates: NDArray[np.bool_],
    *,
    stride: int = 1,
    expansion_rule: ExpansionRule = "passing",
    conflicts: Conflicts = "nearest",
    similarity: Similarity = "cosine",
) -> NDArray[np.uint8]:
    """Make pixel-wise pseudo-labels of an image (Hwang et al. 2023, equations 11 to 13).

    Labelled regions keep their own pseudo-labels; regions that touch them, also at a corner, may
    get some. The features stay as coarse as they are given: besides them and the probabilities,
    some 32 bytes a pixel are needed.

    Parameters
    ----------
    features : (D, ceil(H / stride), ceil(W / stride)) float tensor
        What entered the classifier, not necessarily of length 1.
    probs : (C, H, W) float tensor
        Probabilities by which prototypes are chosen: those of training for the paper's equation
        8; the softmax of the cosines without their temperature for the authors' code, which may
        choose other pixels.
    region_map : (H, W) int
        Region ids; -1 = in no region.
    labelled : (R,) int
        Ids of the labelled regions; those without a pixel are passed over.
    candidates : (R, C) bool
        The classes in each. A region without any stays without pseudo-labels.
    stride : int
        Pixels per feature.
    expansion_rule : {"passing", "any"}
        See ``ExpansionRule``.
    conflicts : {"nearest", "last"}
        See ``Conflicts``.
    similarity : {"cosine", "dot"}
        See ``feature_map.Similarity``.

    Returns
    -------
    (H, W) uint8
        Class ids, IGNORE elsewhere.

    Raises
    ------
    InputError
        If the shapes do not fit together, or a choice is unknown.
    """
    _check(probs, region_map, labelled, candidates, expansion_rule, conflicts, similarity)
    feature_map = FeatureMap(features, region_map.shape, stride=stride, similarity=similarity)
    scores = probs.detach().flatten(1)
    touching = _unlabelled_neighbours(region_map, labelled)
    pixels_of = _pixels_by_region(region_map, labelled, touching)

    class_map = np.full(region_map.size, IGNORE, np.uint8)
    nearest = np.full(region_map.size, -np.inf, np.float32)
    for row in np.argsort(labelled, kind="stable"):
        region_id, class_ids = int(labelled[row]), np.flatnonzero(candidates[row])
        own = pixels_of.get(region_id)
        if own is None or class_ids.size == 0:
            continue
        at = torch.from_numpy(own).to(scores.device)
        likeliest = [int(scores[c].index_select(0, at).argmax()) for c in class_ids]
        around = np.concatenate([own[:0], *(pixels_of[n] for n in touching[region_id])])
        alike = feature_map.similarities(own[likeliest], np.concatenate([own, around]))
        inside, outside = alike[:, : len(own)], alike[:, len(own) :]

        winners = _most_alike(inside)
        class_map[own] = class_ids[winners]
        passing = outside > thresholds(inside, winners)[:, None] + ROUNDING
        if expansion_rule == "passing":
            outside = np.where(passing, outside, -np.inf)
        winners, best = _most_alike(outside), outside.max(axis=0)
        taken = passing.any(axis=0)
        if conflicts == "nearest":
            taken &= best > nearest[around] + ROUNDING
        class_map[around[taken]] = class_ids[winners[taken]]
        nearest[around[taken]] = best[taken]
    return class_map.reshape(region_map.shape)


def thresholds(
    similarities: NDArray[np.floating[Any]], winners: NDArray[np.integer[Any]]
) -> NDArray[np.floating[Any]]:
    """How like a class's prototype a pixel outside has to be (Hwang et al. 2023, equation 12).

    Parameters
    ----------
    similarities : (K, n) float
        Of a region's n pixels to its K prototypes.
    winners : (n,) int
        The prototype that each pixel is most like.

    Returns
    -------
    (K,) float
        Median of the similarities of the pixels that a prototype won, the lower one of two;
        infinite where it won none.

    Examples
    --------
    >>> thresholds(np.array([[0.9, 0.8, 0.2], [0.1, 0.3, 1.0]]), np.array([0, 0, 1])).tolist()
    [0.8, 1.0]
    """
    out = np.full(len(similarities), np.inf, similarities.dtype)
    for k, row in enumerate(similarities):
        won = np.sort(row[winners == k])
        if won.size:
            out[k] = won[(won.size - 1) // 2]
    return out


def _most_alike(similarities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """(n,) prototype of the largest similarity (K, n), the first one on a tie."""
    winners: NDArray[np.int64] = (similarities >= similarities.max(axis=0) - ROUNDING).argmax(
        axis=0
    )
    return winners


def _unlabelled_neighbours(
    region_map: NDArray[np.integer[Any]], labelled: NDArray[np.integer[Any]]
) -> dict[int, list[int]]:
    """Of each labelled region, the ids of the unlabelled ones that touch it."""
    neighbours: dict[int, list[int]] = {int(region_id): [] for region_id in labelled}
    for a, b in adjacency(region_map, connectivity=8).tolist():
        if a in neighbours and b not in neighbours:
            neighbours[a].append(b)
        elif b in neighbours and a not in neighbours:
            neighbours[b].append(a)
    return neighbours


def _pixels_by_region(
    region_map: NDArray[np.integer[Any]],
    labelled: NDArray[np.integer[Any]],
    touching: dict[int, list[int]],
) -> dict[int, NDArray[np.int64]]:
    """Flat pixel indices of each labelled region and each that touches one, ascending."""
    ids = [*labelled.tolist(), *(n for around in touching.values() for n in around)]
    wanted = np.unique(np.array(ids, np.int64))
    highest = max(int(region_map.max()), *ids, 0)
    place = np.full(highest + 2, wanted.size)  # what -1 looks up is the last
    place[wanted] = np.arange(wanted.size)
    places = place[region_map.ravel()]
    pixels = np.flatnonzero(places < wanted.size)
    # sorting numbers of 16 bits is ten times as quick
    places = places[pixels].astype(np.min_scalar_type(wanted.size))
    pixels = pixels[np.argsort(places, kind="stable")]
    counts = np.bincount(places, minlength=wanted.size)
    ends = np.cumsum(counts)
    return {
        int(region_id): pixels[end - n : end]
        for region_id, n, end in zip(wanted, counts, ends, strict=True)
        if n
    }


def _check(
    probs: Tensor,
    region_map: NDArray[np.integer[Any]],
    labelled: NDArray[np.integer[Any]],
    candidates: NDArray[np.bool_],
    expansion_rule: str,
    conflicts: str,
    similarity: str,
) -> None:
    if probs.ndim != 3 or tuple(probs.shape[1:]) != region_map.shape:
        raise InputError(
            "localise: probabilities (C, H, W) and a region map (H, W) of one image were "
            f"expected, got {tuple(probs.shape)} and {region_map.shape}"
        )
    if candidates.shape != (len(labelled), probs.shape[0]):
        raise InputError(
            f"localise: candidates of {len(labelled)} labelled regions and {probs.shape[0]} "
            f"classes were expected, got {candidates.shape}"
        )
    if len(labelled) and labelled.min() < 0:
        raise InputError(f"localise: region ids of 0 or more were expected, got {labelled.min()}")
    for name, value, choices in (
        ("expansion_rule", expansion_rule, get_args(ExpansionRule)),
        ("conflicts", conflicts, get_args(Conflicts)),
        ("similarity", similarity, get_args(Similarity)),
    ):
        if value not in choices:
            raise InputError(f"{name}={value!r}: expected one of {', '.join(choices)}")
