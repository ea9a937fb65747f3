"""The correction column: label correction module of A2LC (Jeon et al. 2026) and its guards.

A small network learns from the segments that a round asked about to tell a segment's class from
its mean probabilities. It may then change the labels of other segments. Guards keep it from
spreading classes that it has hardly seen, from wiping out the rarest one, and from undoing answers.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_al.core import IGNORE
from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_al.methods.settings import TargetSettings

CorrectionLoss = Literal["cross-entropy", "softmax-twice"]
"""``cross-entropy``: of the network's probabilities, weighed by class. ``softmax-twice``: the
authors' code, which takes the softmax of the probabilities again, so that the loss of a certain
and right answer is ln(1 + (C - 1) / e) instead of 0 and confidence grows more slowly."""

N_FOLDS = 5
"""Parts of the answers that are held out one after the other."""
WIDTHS = (256, 128, 64)


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the module says of (n,) segments.

    Attributes
    ----------
    accepted : (n,) bool
        Segments whose label becomes ``class_ids``.
    class_ids : (n,) int64
    confidence : (n,) float64
    """

    accepted: NDArray[np.bool_]
    class_ids: NDArray[np.int64]
    confidence: NDArray[np.float64]


def correct_automatically(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    protected: NDArray[np.bool_],
    answered: NDArray[np.integer[Any]],
    answers: NDArray[np.integer[Any]],
    before: NDArray[np.integer[Any]],
    settings: TargetSettings,
    *,
    round_number: int,
    seed: int,
) -> Corrected:
    """Learn from a round's answers, and correct the segments that were not asked about.

    Parameters
    ----------
    features : (n, C) float
        Mean probabilities of all segments.
    labels : (n,) int
        The commonest current class in each.
    protected : (n,) bool
        Segments asked about in any round.
    answered, answers : (m,) int
        Row of each answer's segment (-1: there is none) and the class given.
    before : (m,) int
        The class that each answered segment had before.
    settings
        Loss, confidence by round, share of tail classes, and the least precision.
    round_number : int
        1 = the first.
    seed : int
    """
    counts = np.bincount(answers, minlength=features.shape[1])
    known = answered >= 0
    taus = settings.lcm_confidence
    tau = taus[min(round_number, len(taus)) - 1]
    corrected = _learn_and_correct(
        (features[answered[known]], answers[known], counts),
        (features, labels, protected),
        settings,
        tau=tau,
        seed=seed + round_number,
    )
    if settings.lcm_precision and corrected.accepted.any():
        n_right, n_changed = held_out_corrections(
            features[answered[known]],
            answers[known],
            before[known],
            settings,
            tau=tau,
            seed=seed + round_number,
        )
        if n_right < settings.lcm_precision * n_changed or not n_changed:
            corrected.accepted[:] = False
    return corrected


def _learn_and_correct(
    learnt: tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    segments: tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]], NDArray[np.bool_]],
    settings: TargetSettings,
    *,
    tau: float,
    seed: int,
) -> Corrected:
    """Learn from (features, classes, answers by class), correct (features, labels, protected)."""
    learnt_features, classes, counts = learnt
    features, labels, protected = segments
    module = train_correction_module(
        learnt_features, classes, counts, seed=seed, loss=settings.lcm_loss
    )
    class_ids, confidence = predict_corrections(module, features)
    accepted = automatic_corrections(
        labels,
        class_ids,
        confidence,
        protected,
        counts,
        tau=tau,
        tail_fraction=settings.lcm_tail,
    )
    return Corrected(accepted, class_ids, confidence)


def held_out_corrections(
    features: NDArray[np.floating[Any]],
    answers: NDArray[np.integer[Any]],
    before: NDArray[np.integer[Any]],
    settings: TargetSettings,
    *,
    tau: float,
    seed: int,
) -> tuple[int, int]:
    """Corrections that would be right, and all that would be made, of segments with an answer.

    A module learns from four fifths of the answers and corrects the others' segments as they were
    before, five times. Which segments were asked about was no accident: they were likely to be
    wrong, so that the share of right ones is rather too high than too low.

    Parameters
    ----------
    features : (m, C) float
        Mean probabilities of the answered segments.
    answers, before : (m,) int
        The class given, and the one before.
    settings
        Loss and share of tail classes.
    tau : float
        Least confidence.
    seed : int

    Returns
    -------
    n_right, n_changed : int
    """
    fold = np.random.default_rng(seed).permutation(len(answers)) % N_FOLDS
    n_right = n_changed = 0
    for held_out in range(N_FOLDS):
        test, learnt = fold == held_out, fold != held_out
        if not test.any() or not learnt.any():
            continue
        counts = np.bincount(answers[learnt], minlength=features.shape[1])
        corrected = _learn_and_correct(
            (features[learnt], answers[learnt], counts),
            (features[test], before[test], np.zeros(int(test.sum()), bool)),
            settings,
            tau=tau,
            seed=seed,
        )
        changed = corrected.accepted
        n_changed += int(changed.sum())
        n_right += int((corrected.class_ids == answers[test])[changed].sum())
    return n_right, n_changed


def train_correction_module(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    class_counts: NDArray[np.integer[Any]],
    *,
    seed: int,
    epochs: int = 100,
    batch_size: int = 8,
    learning_rate: float = 1e-4,
    loss: CorrectionLoss = "cross-entropy",
) -> nn.Module:
    """Learn to tell a segment's class from its mean probabilities.

    Runs on the CPU, where the same arguments give the same network.

    Parameters
    ----------
    features : (n, C) float
        ``CorrectionTable.mean_probs`` of the segments asked about.
    targets : (n,) int
        The class each has now; segments that are IGNORE are left out.
    class_counts : (C,) int
        Segments by answered class, which the loss is balanced by: a class counts in inverse
        proportion, one without any not at all.
    seed : int
        Of the first weights and of the order.
    epochs, batch_size, learning_rate
        Of Adam.
    loss : {"cross-entropy", "softmax-twice"}
        See ``CorrectionLoss``.

    Returns
    -------
    nn.Module
        (n, C) probabilities to (n, C) logits.

    Raises
    ------
    InputError
        If the sizes do not fit together, or for an unknown loss.
    """
    n_classes = len(class_counts)
    if features.shape != (len(targets), n_classes):
        raise InputError(
            f"a correction module for {n_classes} classes and {len(targets)} targets needs "
            f"features ({len(targets)}, {n_classes}), got {features.shape}"
        )
    if loss not in get_args(CorrectionLoss):
        raise InputError(f"loss={loss!r}: expected one of {', '.join(get_args(CorrectionLoss))}")
    known = targets != IGNORE
    x = torch.from_numpy(features[known].astype(np.float32))
    y = torch.from_numpy(targets[known].astype(np.int64))
    weights = torch.from_numpy(balancing_weights(class_counts)).float()
    module = _network(n_classes, seed)
    adam = torch.optim.Adam(module.parameters(), learning_rate, fused=True)
    rng = np.random.default_rng(seed)
    with _one_thread():
        for _ in range(epochs):
            order = torch.from_numpy(rng.permutation(len(y)))
            for batch in torch.split(order, batch_size):
                adam.zero_grad()
                torch.autograd.backward(correction_loss(module(x[batch]), y[batch], weights, loss))
                adam.step()
    return module.eval()


def predict_corrections(
    module: nn.Module, features: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Class of each segment, and how certain that is.

    Parameters
    ----------
    module : nn.Module
        Of ``train_correction_module``.
    features : (n, C) float
        ``CorrectionTable.mean_probs``.

    Returns
    -------
    class_ids : (n,) int64
    confidence : (n,) float64
        Probability of that class; in float64 because thresholds come as close to 1 as 1 - 1e-7.
    """
    with torch.inference_mode():
        logits = module(torch.from_numpy(features.astype(np.float32)))
        confidence, class_ids = logits.double().softmax(dim=1).max(dim=1)
        return class_ids.numpy(), confidence.numpy()


def automatic_corrections(
    old: NDArray[np.integer[Any]],
    predicted: NDArray[np.integer[Any]],
    confidence: NDArray[np.floating[Any]],
    protected: NDArray[np.bool_],
    class_counts: NDArray[np.integer[Any]],
    *,
    tau: float,
    tail_fraction: float = 0.5,
) -> NDArray[np.bool_]:
    """Which segments get the predicted class.

    Those where it is another class than the segment's, certain enough, and not a tail class, while
    the segment's class is not the rarest one and nobody has been asked about the segment.

    Parameters
    ----------
    old : (n,) int
        The commonest current class in each segment; IGNORE, too, may be overwritten.
    predicted, confidence : (n,)
        Of ``predict_corrections``.
    protected : (n,) bool
        Segments asked about in any round.
    class_counts : (C,) int
        Segments by answered class.
    tau : float
        Least confidence (the authors: 0.99; on Cityscapes rising to 0.9999999 in round 5).
    tail_fraction : float
        See ``rarest_classes``.

    Returns
    -------
    (n,) bool
    """
    order = rarest_classes(class_counts)
    tail = order[: math.floor(tail_fraction * len(order) + 1e-9)]
    accepted: NDArray[np.bool_] = (
        (predicted != old)
        & (confidence >= tau)
        & ~np.isin(predicted, tail)
        & (old != order[0])
        & ~protected
    )
    return accepted


def rarest_classes(class_counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(C,) class ids by count, rarest first, the lower id first on a tie.

    Examples
    --------
    >>> rarest_classes(np.array([7, 2, 0, 10, 0, 0])).tolist()
    [2, 4, 5, 1, 0, 3]
    """
    return np.argsort(class_counts, kind="stable").astype(np.int64)


def balancing_weights(class_counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """(C,) weights in inverse proportion to the counts, which add up to 1; 0 for a count of 0.

    Examples
    --------
    >>> (9 * balancing_weights(np.array([6, 3, 1, 0]))).round(9).tolist()
    [1.0, 2.0, 6.0, 0.0]
    """
    inverse = (class_counts > 0) / np.maximum(class_counts, 1)
    weights: NDArray[np.float64] = inverse / max(inverse.sum(), np.finfo(np.float64).tiny)
    return weights


def correction_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, loss: CorrectionLoss = "cross-entropy"
) -> Tensor:
    """Mean cross entropy weighed by class; zero where no target's class has a weight.

    Parameters
    ----------
    logits : Tensor
        (n, C).
    targets : Tensor
        (n,) int64.
    weights : Tensor
        (C,) float.
    loss : {"cross-entropy", "softmax-twice"}
        See ``CorrectionLoss``.
    """
    outputs = logits.softmax(dim=1) if loss == "softmax-twice" else logits
    total = F.cross_entropy(outputs, targets, weights, reduction="sum")
    return total / weights[targets].sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _network(n_classes: int, seed: int) -> nn.Module:
    widths = (n_classes, *WIDTHS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [
            layer
            for n_in, n_out in zip(widths, WIDTHS, strict=False)
            for layer in (nn.Linear(n_in, n_out), nn.ReLU())
        ]
        return nn.Sequential(*layers, nn.Linear(WIDTHS[-1], n_classes))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one torch thread: a step takes under a millisecond, so that threads would only wait."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
