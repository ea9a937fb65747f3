"""The label correction module: worked examples, its guards, and learning itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.methods.corrections import (
    CorrectionLoss,
    automatic_corrections,
    balancing_weights,
    correct_automatically,
    correction_loss,
    held_out_corrections,
    predict_corrections,
    rarest_classes,
    train_correction_module,
)
from napari_al.methods.settings import TargetSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

COUNTS_E7 = np.array([6, 3, 1, 0])
COUNTS_E8 = np.array([7, 2, 0, 10, 0, 0])


def certain(class_ids: list[int], n_classes: int) -> torch.Tensor:
    """Logits whose softmax is one-hot."""
    return 1e4 * torch.eye(n_classes)[class_ids]


def test_e7_weights() -> None:
    np.testing.assert_allclose(balancing_weights(COUNTS_E7), [1 / 9, 2 / 9, 6 / 9, 0])
    assert balancing_weights(np.zeros(3, int)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("answers", "targets", "loss", "expected"),
    [
        ([0, 1], [0, 1], "softmax-twice", 0.743668),
        ([0, 1], [1, 0], "softmax-twice", 1.743668),
        ([0, 1], [0, 1], "cross-entropy", 0.0),
        ([0, 1], [3, 3], "softmax-twice", 0.0),
        ([0, 1], [3, 3], "cross-entropy", 0.0),
    ],
)
def test_e7_loss(
    answers: list[int], targets: list[int], loss: CorrectionLoss, expected: float
) -> None:
    logits = certain(answers, 4).requires_grad_()
    weights = torch.from_numpy(balancing_weights(COUNTS_E7)).float()
    got = correction_loss(logits, torch.tensor(targets), weights, loss)
    got.backward()
    assert got.item() == pytest.approx(expected, abs=1e-6)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize(("n_classes", "floor"), [(19, 2.031016), (21, 2.123170)])
def test_floor_of_the_softmax_taken_twice(n_classes: int, floor: float) -> None:
    got = correction_loss(
        certain([2], n_classes), torch.tensor([2]), torch.ones(n_classes), "softmax-twice"
    )
    assert got.item() == pytest.approx(floor, abs=1e-6)
    assert got.item() == pytest.approx(math.log(1 + (n_classes - 1) / math.e), abs=1e-6)


@pytest.mark.parametrize(
    ("old", "predicted", "confidence", "protected", "updated"),
    [
        (0, 3, 0.995, False, True),
        (3, 3, 0.999, False, False),
        (0, 4, 0.999, False, False),
        (2, 3, 0.999, False, False),
        (0, 3, 0.98, False, False),
        (0, 3, 0.999, True, False),
        (IGNORE, 3, 0.999, False, True),
        (4, 3, 0.99, False, True),
    ],
)
def test_e8_guards(
    old: int, predicted: int, confidence: float, protected: bool, updated: bool
) -> None:
    got = automatic_corrections(
        np.array([old]),
        np.array([predicted]),
        np.array([confidence]),
        np.array([protected]),
        COUNTS_E8,
        tau=0.99,
    )
    assert got.tolist() == [updated]


@pytest.mark.parametrize(
    ("n_classes", "fraction", "n_tail"),
    [(19, 0.5, 9), (21, 0.5, 10), (10, 0.3, 3), (100, 0.29, 29), (4, 0.0, 0), (4, 1.0, 4)],
)
def test_size_of_the_tail(n_classes: int, fraction: float, n_tail: int) -> None:
    counts = np.arange(n_classes) + 1
    everything = np.arange(n_classes)
    got = automatic_corrections(
        np.full(n_classes, IGNORE),
        everything,
        np.ones(n_classes),
        np.zeros(n_classes, bool),
        counts,
        tau=0.5,
        tail_fraction=fraction,
    )
    assert (~got).sum() == n_tail
    assert not got[:n_tail].any()


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=12),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_what_guards_protect(counts: list[int], seed: int, tau: float, fraction: float) -> None:
    rng = np.random.default_rng(seed)
    n_classes, n = len(counts), 40
    old = rng.choice([*range(n_classes), IGNORE], n)
    predicted, confidence = rng.integers(0, n_classes, n), rng.random(n)
    protected = rng.random(n) < 0.3
    got = automatic_corrections(
        old, predicted, confidence, protected, np.array(counts), tau=tau, tail_fraction=fraction
    )
    assert not got[protected].any()
    assert not got[old == predicted].any()
    assert not got[confidence < tau].any()
    assert not got[old == rarest_classes(np.array(counts))[0]].any()
    assert (predicted[got] < n_classes).all()


def blobs(n: int, n_classes: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Mean probabilities of segments that are a little more of their own class."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, n_classes, n)
    features = 0.3 * rng.dirichlet(np.ones(n_classes), n) + 0.7 * np.eye(n_classes)[targets]
    return features.astype(np.float32), targets


@pytest.mark.parametrize("loss", ["cross-entropy", "softmax-twice"])
def test_learns_what_segments_are(loss: CorrectionLoss) -> None:
    """Segments whose model says class c are really of class c + 1."""
    features, seen = blobs(60, 4, seed=0)
    targets = (seen + 1) % 4
    counts = np.bincount(targets, minlength=4)
    module = train_correction_module(
        features, targets, counts, seed=0, epochs=20, learning_rate=2e-3, loss=loss
    )
    fresh, seen = blobs(50, 4, seed=1)
    class_ids, confidence = predict_corrections(module, fresh)
    assert (class_ids == (seen + 1) % 4).mean() > 0.95
    assert class_ids.dtype == np.int64
    assert ((confidence > 0.25) & (confidence <= 1)).all()


def test_the_seed_decides_all_and_nothing_else_is_drawn_from() -> None:
    features, targets = blobs(20, 3, seed=0)
    counts = np.bincount(targets, minlength=3)
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    a, b, c = (
        predict_corrections(
            train_correction_module(features, targets, counts, seed=seed, epochs=2), features
        )[1]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert torch.equal(state, torch.get_rng_state())
    assert n_threads == torch.get_num_threads()


@pytest.mark.parametrize(
    "targets", [[], [IGNORE, IGNORE], [2, 2, 2]], ids=["none", "all ignored", "class not counted"]
)
def test_nothing_to_learn_from(targets: list[int]) -> None:
    features = np.full((len(targets), 3), 1 / 3, np.float32)
    module = train_correction_module(
        features, np.array(targets, int), np.array([5, 0, 0]), seed=0, epochs=2
    )
    _, confidence = predict_corrections(module, np.full((4, 3), 1 / 3))
    assert np.isfinite(confidence).all()
    assert (confidence < 0.6).all()


def test_says_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"\(2, 3\)"):
        train_correction_module(np.ones((2, 4)), np.zeros(2, int), np.ones(3, int), seed=0)
    with pytest.raises(InputError, match="loss='mse'"):
        train_correction_module(
            np.ones((2, 3)),
            np.zeros(2, int),
            np.ones(3, int),
            seed=0,
            loss="mse",  # type: ignore[arg-type]
        )


def clusters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of ``n`` segments that tell their class, one of three, and the classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    return (np.eye(3)[classes] * 4 + rng.normal(size=(n, 3)) / 4).astype(np.float32), classes


def test_held_out_corrections_are_right_where_features_tell_the_class() -> None:
    features, classes = clusters(30, 0)
    settings = TargetSettings(lcm_tail=0.0)
    before = (classes + 1) % 3  # all wrong
    n_right, n_changed = held_out_corrections(features, classes, before, settings, tau=0.5, seed=1)
    # those of the rarest class are protected, which is another one from part to part
    assert n_right == n_changed
    assert 15 <= n_changed <= 25
    noise = np.random.default_rng(3).permutation(classes)
    n_right, n_changed = held_out_corrections(features, noise, before, settings, tau=0.3, seed=1)
    assert n_right < 0.7 * n_changed
    assert held_out_corrections(features[:1], classes[:1], before[:1], settings, tau=0, seed=0) == (
        0,
        0,
    )


@pytest.mark.parametrize("tells", [True, False])
def test_corrections_are_made_only_where_answers_say_that_they_are_right(tells: bool) -> None:
    features, classes = clusters(30, 0)
    others, of_others = clusters(30, 1)
    given = classes if tells else np.random.default_rng(3).permutation(classes)
    all_features = np.concatenate([features, others])
    labels = np.concatenate([given, (of_others + 1) % 3])
    protected = np.arange(60) < 30
    n_accepted = {}
    for precision in (0.0, 0.9):
        settings = TargetSettings(lcm_tail=0.0, lcm_confidence=(0.3,), lcm_precision=precision)
        corrected = correct_automatically(
            all_features,
            labels,
            protected,
            np.arange(30),
            given,
            (given + 1) % 3,
            settings,
            round_number=1,
            seed=0,
        )
        n_accepted[precision] = int(corrected.accepted.sum())
    assert n_accepted[0.0] > 0
    assert n_accepted[0.9] == (n_accepted[0.0] if tells else 0)
