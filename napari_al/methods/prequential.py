"""How many answers the models that asked for them would have given (``core/stopping.py``)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.core.stopping import N_NEWEST, Share, moving_accuracy
from napari_al.methods.queries import ASKED, was_predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_al.methods.queries import Answer


@dataclass(frozen=True, slots=True)
class PrequentialAccuracy:
    """Shares of answers that were predicted right, and how they have grown.

    Answers without a class, to queries without a prediction, or about regions that the annotator
    chose do not count.

    Attributes
    ----------
    newest : Share
        Of the newest answers. Hard regions are asked about, so that a finished mask is right more
        often than this.
    by_class : dict of int to Share
        Of the same answers by class id, ascending; one that names several counts for each.
    random : Share
        Of the newest answers to regions drawn at random: an unbiased estimate for the regions that
        were open then, each counted alike, whatever its size.
    curve : list of (int, float)
        Number of answers so far, and the share of the newest ones then.
    """

    newest: Share
    by_class: dict[int, Share]
    random: Share
    curve: list[tuple[int, float]]


def prequential_accuracy(
    answers: Sequence[Answer], newest: int | None = N_NEWEST
) -> PrequentialAccuracy:
    """Compare answers with what the models that asked predicted.

    Parameters
    ----------
    answers : sequence of Answer
        Oldest first.
    newest : int or None
        Answers that a share is taken over; None: all.
    """
    judged = [
        (number, answer, was_right)
        for number, answer in enumerate(answers, start=1)
        if answer.query.source in ASKED and (was_right := was_predicted(answer)) is not None
    ]
    window = len(judged) if newest is None else newest
    tail = judged[max(0, len(judged) - window) :]
    drawn = [was_right for _, answer, was_right in judged if answer.query.source == "random"]
    drawn = drawn[max(0, len(drawn) - window) :]
    n, n_right = Counter[int](), Counter[int]()
    for _, answer, was_right in tail:
        n.update(answer.class_ids)
        if was_right:
            n_right.update(answer.class_ids)
    moving = moving_accuracy([was_right for *_, was_right in judged], max(window, 1)).tolist()
    return PrequentialAccuracy(
        newest=Share(sum(was_right for *_, was_right in tail), len(tail)),
        by_class={class_id: Share(n_right[class_id], n[class_id]) for class_id in sorted(n)},
        random=Share(sum(drawn), len(drawn)),
        curve=[(number, share) for (number, *_), share in zip(judged, moving, strict=True)],
    )
