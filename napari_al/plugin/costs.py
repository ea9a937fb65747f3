"""What the answers have cost: live figures, and the table behind them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from napari_al.core.clicks import Clicks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_al.formats.dataset import ClassInfo
    from napari_al.session.records import Answer

PAUSE_S = 30.0
"""Queries that stayed on screen for longer count as pauses, not as work."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures over the answers in force.

    Attributes
    ----------
    n_queries : int
    clicks : Clicks
    by_class : Counter
        Answers that name a class, by class id.
    by_outcome : Counter
        ``labelled``, ``skipped``, ``unsure``, ``ignored``.
    n_accepted, n_corrected : int
        Of correction queries.
    seconds_a_query, seconds_a_click : float or None
        Medians over queries answered within 30 s; None while there are none.
    worked_s : float
        All seconds, pauses left out.
    """

    n_queries: int
    clicks: Clicks
    by_class: Counter[int]
    by_outcome: Counter[str]
    n_accepted: int
    n_corrected: int
    seconds_a_query: float | None
    seconds_a_click: float | None
    worked_s: float


def tally(answers: Sequence[Answer]) -> Tally:
    """Count answers."""
    by_class: Counter[int] = Counter()
    by_outcome: Counter[str] = Counter()
    n_accepted = n_corrected = 0
    kinds = [0, 0, 0]
    seconds: list[float] = []
    a_click: list[float] = []
    for answer in answers:
        by_class.update(answer.class_ids)
        by_outcome[answer.outcome] += 1
        clicks = answer.clicks
        kinds[0] += clicks.class_clicks
        kinds[1] += clicks.polygon_clicks
        kinds[2] += clicks.intersection_clicks
        if answer.query.query_type == "correction" and answer.outcome == "labelled":
            accepted = answer.class_ids == (answer.query.pseudo_label,)
            n_accepted += accepted
            n_corrected += not accepted
        if 0 < answer.seconds <= PAUSE_S:
            seconds.append(answer.seconds)
            a_click.append(answer.seconds / max(1, clicks.total))
    return Tally(
        n_queries=len(answers),
        clicks=Clicks(*kinds),
        by_class=by_class,
        by_outcome=by_outcome,
        n_accepted=n_accepted,
        n_corrected=n_corrected,
        seconds_a_query=median(seconds) if seconds else None,
        seconds_a_click=median(a_click) if a_click else None,
        worked_s=sum(seconds),
    )


_COLUMNS = (
    "time", "annotator", "image", "round", "model_round", "query_type", "outcome", "classes",
    "region_px", "class_clicks", "polygon_clicks", "intersection_clicks", "seconds", "score",
)  # fmt: skip


def to_csv(answers: Iterable[Answer], classes: Sequence[ClassInfo]) -> str:
    """Return one row an answer, as CSV with a header."""
    names = {c.id: c.name for c in classes}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for answer in answers:
        query, clicks = answer.query, answer.clicks
        writer.writerow(
            (
                answer.time,
                answer.annotator,
                query.region.image,
                query.round,
                query.model_round,
                query.query_type,
                answer.outcome,
                "|".join(names.get(c, str(c)) for c in answer.class_ids),
                query.region.mask.size,
                clicks.class_clicks,
                clicks.polygon_clicks,
                clicks.intersection_clicks,
                f"{answer.seconds:.3f}",
                f"{query.score:.6g}",
            )
        )
    return out.getvalue()


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 59.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
