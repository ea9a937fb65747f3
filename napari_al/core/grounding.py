"""Initial labels from text: prompts for a detector, its answers as classes, masks painted as one.

As ALC makes them with Grounded-SAM (Kim et al., ICML 2024): boxes for the class names, a mask for
each box, smaller masks over larger ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_al.core import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class Span(NamedTuple):
    """Which characters of a prompt name a class: ``text[start:stop]``."""

    start: int
    stop: int
    class_id: int


class Detections(NamedTuple):
    """Queries of a detector that found something: (N,) indices, class ids and scores, by index."""

    queries: NDArray[np.int64]
    class_ids: NDArray[np.uint8]
    scores: NDArray[np.float32]


def phrases_of(name: str) -> tuple[str, ...]:
    """Phrases that a class name, or words given for it, are looked for by; full stops part them.

    >>> phrases_of("Traffic_light"), phrases_of("tree. bush")
    (('traffic light',), ('tree', 'bush'))
    """
    parts = (" ".join(part.replace("_", " ").split()) for part in name.lower().split("."))
    return tuple(part for part in parts if part)


def prompt(phrases: Sequence[tuple[int, str]]) -> tuple[str, tuple[Span, ...]]:
    """Join the phrases of classes to a detector's prompt.

    Parameters
    ----------
    phrases : sequence of (class id, phrase)

    Returns
    -------
    text : str
        Phrases joined by ``". "``, with a full stop at the end.
    spans : tuple of Span
        Where each phrase is in it.

    >>> prompt([(0, "sky"), (2, "car")])
    ('sky. car.', (Span(start=0, stop=3, class_id=0), Span(start=5, stop=8, class_id=2)))
    """
    spans, start = [], 0
    for class_id, phrase in phrases:
        spans.append(Span(start, start + len(phrase), class_id))
        start += len(phrase) + 2
    return ". ".join(phrase for _, phrase in phrases) + ".", tuple(spans)


def token_classes(offsets: Sequence[tuple[int, int]], spans: Sequence[Span]) -> NDArray[np.int64]:
    """Class of each token of a prompt, -1 for those that belong to none (full stops, ends).

    Parameters
    ----------
    offsets : sequence of (start, stop)
        The characters that each token stands for; nothing (start = stop) for a special one.
    spans : sequence of Span

    Returns
    -------
    (T,) int64
    """
    classes = np.full(len(offsets), -1)
    for at, (start, stop) in enumerate(offsets):
        for span in spans:
            if span.start <= start < stop <= span.stop:
                classes[at] = span.class_id
    return classes


def detections(
    token_scores: NDArray[np.float32], classes: NDArray[np.int64], threshold: float
) -> Detections:
    """Keep the queries whose likeliest token scores above a threshold, with that token's class.

    The class is that of the best token, as in ALC, where no second threshold decides which tokens
    make up the name. Tokens that belong to no class do not compete.

    Parameters
    ----------
    token_scores : (Q, T) float32
        How well each query fits each token, 0 to 1.
    classes : (T,) int64
        Of ``token_classes``.
    threshold : float
        A score has to be larger.
    """
    of_class = np.flatnonzero(classes >= 0)
    scores = token_scores[:, of_class]
    highest = scores.max(axis=1, initial=0.0)
    kept = np.flatnonzero(highest > threshold)
    best = scores[kept].argmax(axis=1) if kept.size else kept
    return Detections(kept, classes[of_class[best]].astype(np.uint8), highest[kept])


def paint(
    masks: Iterable[NDArray[np.bool_]],
    class_ids: Sequence[int],
    shape: tuple[int, int],
    uncovered: int = IGNORE,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Paint the masks of detected objects into one picture, smaller ones over larger ones.

    Of two masks of the same area the later one is on top. That is painting in descending order of
    area (as ALC's published code does), but takes the masks one by one and keeps none.

    Parameters
    ----------
    masks : iterable of (H, W) bool
    class_ids : sequence of int
        One a mask.
    shape : (int, int)
        H, W.
    uncovered : int
        Label where there is no mask: ``IGNORE``, or the class of the background.

    Returns
    -------
    labels : (H, W) uint8
    objects : (H, W) int32
        Number of the mask on top, from 1; 0 = none. A mask that others cover is missing.
    """
    objects = np.zeros(shape, np.int32)
    area_on_top = np.full(shape, np.iinfo(np.int64).max)
    for number, mask in enumerate(masks, start=1):
        area = np.count_nonzero(mask)
        on_top = mask & (area <= area_on_top)
        objects[on_top] = number
        area_on_top[on_top] = area
    label_of = np.array([uncovered, *class_ids], np.uint8)
    return label_of[objects], objects
