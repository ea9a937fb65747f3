"""The loss column: cross entropy, and the losses on sets of classes of Hwang et al. 2023.

A region with one class says what its pixels are; a region with several says what they may be, and
that each of its classes is in it somewhere: ``partial_label_loss`` adds up three terms for that.
Where there is nothing to learn from, a loss is zero with a zero gradient. Logits are what the
softmax takes: those of a cosine classifier are divided by its temperature already.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_al.core import IGNORE
from napari_al.errors import InputError

if TYPE_CHECKING:
    from napari_al.learning.batches import Batch
    from napari_al.learning.training import BatchLoss
    from napari_al.methods.table import Loss

Pooling = Literal["region", "pixel"]
"""How costs become a loss. ``region``: mean over a region's pixels, then over regions (the paper's
equations 6, 7, 9). ``pixel``: as the authors' code does: sum over the batch's pixels (or pairs of
region and class) divided by their number plus one, so that large regions weigh more, with 1e-8
added to each probability."""

EPSILON = 1e-8


def loss_function(
    loss: Loss,
    *,
    weights: tuple[float, float, float] = (16.0, 8.0, 1.0),
    pooling: Pooling = "region",
) -> BatchLoss:
    """Return the function of the table's name that the training loop calls with a batch.

    Parameters
    ----------
    loss : {"cross-entropy", "multi-class"}
        On class maps, or on regions' sets of classes.
    weights, pooling
        Of ``partial_label_loss``.
    """
    if loss == "multi-class":
        return partial(_of_candidates, weights=weights, pooling=pooling)
    return _of_class_map


def _of_class_map(logits: Tensor, batch: Batch) -> Tensor:
    if batch.class_map is None:
        raise ValueError("the cross-entropy loss needs samples with a class_map")
    return cross_entropy(logits, batch.class_map)


def _of_candidates(
    logits: Tensor, batch: Batch, *, weights: tuple[float, float, float], pooling: Pooling
) -> Tensor:
    if batch.region_map is None or batch.candidates is None:
        raise ValueError("the multi-class loss needs samples with region_map and candidates")
    return partial_label_loss(
        logits, batch.region_map, batch.candidates, weights=weights, pooling=pooling
    )


def cross_entropy(logits: Tensor, class_map: Tensor, ignore: int = IGNORE) -> Tensor:
    """Mean cross entropy of the labelled pixels; zero where there are none.

    Parameters
    ----------
    logits : Tensor
        (N, C, H, W) float.
    class_map : Tensor
        (N, H, W) int64, class ids in [0, C) or ``ignore``.
    ignore : int
        Class id of pixels without a label.

    Returns
    -------
    Tensor
        Scalar float32, >= 0.
    """
    total = F.cross_entropy(logits.float(), class_map, ignore_index=ignore, reduction="sum")
    return total / (class_map != ignore).sum().clamp(min=1)


def partial_label_loss(
    logits: Tensor,
    region_map: Tensor,
    candidates: Tensor,
    *,
    weights: tuple[float, float, float] = (16.0, 8.0, 1.0),
    pooling: Pooling = "region",
) -> Tensor:
    """Learn from regions' sets of classes (Hwang et al. 2023, equation 10).

    Regions without a pixel in view and regions with an empty set of classes do not count.

    Parameters
    ----------
    logits : Tensor
        (N, C, H, W) float.
    region_map : Tensor
        (N, H, W) int64: rows of ``candidates``, -1 = no label. Ids are unique in the batch.
    candidates : Tensor
        (M, C) bool: the classes in each region.
    weights : (float, float, float)
        Of ``single_class_loss``, ``merged_positive_loss`` and ``prototypical_pixel_loss``; the
        default is that of the authors' experiments.
    pooling : {"region", "pixel"}
        See ``Pooling``.

    Returns
    -------
    Tensor
        Scalar float32, >= 0.

    Raises
    ------
    InputError
        If the shapes do not fit together, or for an unknown ``pooling``.
    """
    n, n_classes, height, width = logits.shape
    if region_map.shape != (n, height, width) or candidates.shape[1:] != (n_classes,):
        raise InputError(
            f"partial labels for logits {tuple(logits.shape)} need a region map "
            f"{(n, height, width)} and candidates (M, {n_classes}); got "
            f"{tuple(region_map.shape)} and {tuple(candidates.shape)}"
        )
    if pooling not in get_args(Pooling):
        raise InputError(f"pooling={pooling!r}: expected one of {', '.join(get_args(Pooling))}")
    log_probs, region_ids = labelled_pixels(logits, region_map)
    terms = (single_class_loss, merged_positive_loss, prototypical_pixel_loss)
    return torch.stack(
        [
            weight * term(log_probs, region_ids, candidates, pooling)
            for weight, term in zip(weights, terms, strict=True)
        ]
    ).sum()


def labelled_pixels(logits: Tensor, region_map: Tensor) -> tuple[Tensor, Tensor]:
    """What the three terms take: the pixels that are in a region.

    Parameters
    ----------
    logits : Tensor
        (N, C, H, W) float.
    region_map : Tensor
        (N, H, W) int64, -1 = no label.

    Returns
    -------
    log_probs : Tensor
        (P, C) float32, log of the softmax over the classes.
    region_ids : Tensor
        (P,) int64, >= 0.
    """
    region_ids = region_map.flatten()
    inside = (region_ids >= 0).nonzero()[:, 0]
    rows = logits.movedim(1, -1).flatten(0, 2).index_select(0, inside)
    return rows.float().log_softmax(dim=1), region_ids[inside]


def single_class_loss(
    log_probs: Tensor, region_ids: Tensor, candidates: Tensor, pooling: Pooling = "region"
) -> Tensor:
    """Cross entropy of the regions with one class (Hwang et al. 2023, equation 6).

    Parameters
    ----------
    log_probs, region_ids : Tensor
        Of ``labelled_pixels``.
    candidates : Tensor
        (M, C) bool.
    pooling : {"region", "pixel"}
    """
    single = (candidates.sum(dim=1) == 1)[region_ids]
    ids = region_ids[single]
    class_ids = candidates.int().argmax(dim=1)[ids]
    return _pool(log_probs[single].gather(1, class_ids[:, None])[:, 0], ids, pooling)


def merged_positive_loss(
    log_probs: Tensor, region_ids: Tensor, candidates: Tensor, pooling: Pooling = "region"
) -> Tensor:
    """Each pixel of a region with several classes is one of them (Hwang et al. 2023, equation 7).

    Parameters as of ``single_class_loss``.
    """
    several = (candidates.sum(dim=1) > 1)[region_ids]
    ids = region_ids[several]
    possible = log_probs[several].masked_fill(~candidates[ids], -torch.inf)
    return _pool(possible.logsumexp(dim=1), ids, pooling)


def prototypical_pixel_loss(
    log_probs: Tensor, region_ids: Tensor, candidates: Tensor, pooling: Pooling = "region"
) -> Tensor:
    """Each class of a region with several is that of its likeliest pixel (equations 8 and 9).

    Only the likeliest pixel of a class and region gets a gradient, the first one where several
    are alike. A pixel may stand for several classes. With ``pooling="pixel"`` a class whose
    probability is exactly zero everywhere in its region does not count.

    Parameters as of ``single_class_loss``.
    """
    several = (candidates.sum(dim=1) > 1)[region_ids]
    rows, ids = log_probs[several], region_ids[several]
    first = _likeliest(rows.detach(), ids, len(candidates))
    regions, class_ids = (candidates & (first < len(rows))).nonzero(as_tuple=True)
    prototypes = rows[first[regions, class_ids], class_ids]
    if pooling == "pixel":
        possible = prototypes.detach().exp() > 0
        prototypes, regions = prototypes[possible], regions[possible]
    return _pool(prototypes, regions, pooling)


def _likeliest(log_probs: Tensor, region_ids: Tensor, n_regions: int) -> Tensor:
    """(n_regions, C) row of the first largest entry of each class; P where there is none."""
    n_px, n_classes = log_probs.shape
    into = region_ids[:, None].expand(-1, n_classes)
    largest = log_probs.new_full((n_regions, n_classes), -torch.inf)
    largest = largest.scatter_reduce(0, into, log_probs, "amax")
    row = torch.arange(n_px, device=log_probs.device)[:, None]
    row = torch.where(log_probs == largest[region_ids], row, n_px)
    return row.new_full((n_regions, n_classes), n_px).scatter_reduce(0, into, row, "amin")


def _pool(log_probs: Tensor, region_ids: Tensor, pooling: Pooling) -> Tensor:
    """Mean of -log p of (P,) entries that belong to regions."""
    if pooling == "pixel":
        return -(log_probs.exp() + EPSILON).log().sum() / (len(log_probs) + 1)
    counts = torch.bincount(region_ids)
    total = -(log_probs / counts[region_ids]).sum()
    return total / (counts > 0).sum().clamp(min=1)
