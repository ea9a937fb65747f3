"""Errors of simulated annotators and initial labels: classes confused with similar ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.simulate.truth import truth_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo, DataFolder

N_IMAGES_LOOKED_AT = 20


@dataclass(frozen=True)
class Confusion:
    """Probability of an error, and the class confusion of errors.

    Attributes
    ----------
    error_rate : float
        Probability in 0..1 that a class is given wrongly.
    weights : ndarray of float64
        (C, C), ``weights[true, given]`` >= 0. Only the ratios within a row matter, the diagonal
        does not; a class whose row is empty is mistaken for any other alike.
    """

    error_rate: float
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate <= 1:
            raise InputError(f"error rate: expected a number from 0 to 1, got {self.error_rate}")
        shape = self.weights.shape
        if len(shape) != 2 or shape[0] != shape[1] or not np.all(self.weights >= 0):
            raise InputError(
                "confusions: a square matrix (true, given) of numbers >= 0 was expected, got one "
                f"of shape {shape}"
            )

    def given(self, class_id: int, rng: np.random.Generator) -> int:
        """Class given for ``class_id``; ``IGNORE`` is never mistaken.

        Always draws two numbers, so that one error does not shift the next.
        """
        chance, which = rng.random(2)
        if class_id == IGNORE or chance >= self.error_rate:
            return class_id
        row = self.weights[class_id].copy()
        row[class_id] = 0
        if not row.any():
            row[:] = 1
            row[class_id] = 0
        if not row.any():  # the only class there is
            return class_id
        cumulative = np.cumsum(row)
        return int(np.searchsorted(cumulative, which * cumulative[-1], side="right"))


def no_confusion(n_classes: int) -> Confusion:
    """Never an error."""
    return Confusion(0.0, np.zeros((n_classes, n_classes)))


def confusion_of(
    error_rate: float, confusions: Mapping[str, Mapping[str, float]], data: DataFolder
) -> Confusion:
    """Confusion by settings: with these weights, or those of `look_alikes` if there are none."""
    if confusions:
        return Confusion(error_rate, named_confusions(confusions, data.classes))
    if error_rate == 0:
        return no_confusion(data.n_classes)
    return Confusion(error_rate, look_alikes(data))


def named_confusions(
    confusions: Mapping[str, Mapping[str, float]], classes: Sequence[ClassInfo]
) -> NDArray[np.float64]:
    """(C, C) weights of ``{true name: {given name: weight}}``.

    Raises
    ------
    InputError
        For a name that is no class, or a weight below 0.
    """
    ids = {info.name: info.id for info in classes}
    weights = np.zeros((len(ids), len(ids)))
    for true, row in confusions.items():
        for given, weight in row.items():
            for name in (true, given):
                if name not in ids:
                    raise InputError(
                        f"confusions: {name!r} is not a class; the classes are {', '.join(ids)}"
                    )
            if weight < 0:
                raise InputError(f"confusions: {true!r} as {given!r} must be >= 0, got {weight}")
            weights[ids[true], ids[given]] = weight
    return weights


def look_alikes(data: DataFolder) -> NDArray[np.float64]:
    """(C, C) weights by likeness of colour and contrast, seen in up to 20 images spread evenly.

    The nearer two classes are in the mean and the spread of their channels, the likelier they
    are mistaken: ``exp(-(d / d_nearest)^2)``. A class that is not in those images has no row.
    """
    n_classes = len(data.classes)
    count, total, square = np.zeros(n_classes), 0.0, 0.0
    step = max(1, len(data.train) // N_IMAGES_LOOKED_AT)
    for name in data.train[::step][:N_IMAGES_LOOKED_AT]:
        image = data.image(name)
        truth = truth_of(data, name).ravel()
        channels = image.reshape(truth.size, -1).astype(np.float64)
        valid = truth != IGNORE
        one_hot = np.equal.outer(np.arange(n_classes), truth[valid]).astype(np.float64)
        count += one_hot.sum(axis=1)
        total = total + one_hot @ channels[valid]
        square = square + one_hot @ channels[valid] ** 2
    seen = np.maximum(count, 1)[:, None]
    mean = total / seen
    spread = np.sqrt(np.maximum(square / seen - mean**2, 0))
    features = np.concatenate([mean, spread], axis=1)
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    distance[:, count == 0] = np.inf
    distance[count == 0] = np.inf
    np.fill_diagonal(distance, np.inf)
    nearest = np.maximum(distance.min(axis=1, keepdims=True), 1e-9)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(distance), np.exp(-((distance / nearest) ** 2)), 0.0)
