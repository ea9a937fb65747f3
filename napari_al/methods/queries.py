"""The query column: what is asked, what is answered, and what an answer costs.

These records are what the annotation log holds; it checks the ranges given here whenever it reads
or writes one (``session/log/serialisation.py``). The costs hold for people and for oracles alike;
``core/clicks.py`` and ``core/geometry/drawn_polygons.py`` count polygons.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks

# At run time too: the log's reader builds its checks from these types.
from napari_al.core.geometry.masks import Mask  # noqa: TC001
from napari_al.methods.table import QueryType  # noqa: TC001

Outcome = Literal["labelled", "skipped", "unsure", "ignored"]
"""How a query ended: with class ids; put off to a later round; not to be asked again and without
a label; or declared void (its pixels become IGNORE)."""

QuerySource = Literal["acquisition", "random", "picked", "accepted"]
"""What chose the region: the order by scores (which is random itself without a model); a draw
among all open regions (``acquisition.random_share``); the annotator, who picked it in the image, or
accepted the prediction of a whole image."""
ASKED: tuple[QuerySource, ...] = ("acquisition", "random")
"""Sources of queries that the program asked. Answers to others say nothing of how often the model
is right: the annotator picks what is wrong, and accepts what is right."""

Count = Annotated[int, Field(ge=0, le=10**9)]
Coordinate = Annotated[int, Field(ge=0, lt=2**31)]
ClassId = Annotated[int, Field(ge=0, lt=IGNORE)]
ClassIdOrIgnore = Annotated[int, Field(ge=0, le=IGNORE)]
AnswerId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)$")]
"""ISO 8601 with a time zone."""

ONE_CLICK = Clicks(class_clicks=1)
"""Cost of one class chosen, of a label accepted, and of saying that there is none to give."""


def clicks_for_classes(n_classes: int) -> Clicks:
    """Cost of choosing so many classes: one click each, and at least one (Hwang et al. 2023)."""
    return Clicks(class_clicks=max(n_classes, 1))


@dataclass(frozen=True, slots=True)
class Region:
    """What one query asks about.

    Attributes
    ----------
    image : str
        Name of the image in the data folder (``DataFolder`` names: path below ``train/images``
        without suffix, with ``/``).
    ids : tuple of int
        The base region ids it covers, ascending: one, or several when regions were merged.
    mask : Mask
        Its pixels.
    """

    image: str
    ids: tuple[Coordinate, ...]
    mask: Mask


@dataclass(frozen=True, slots=True)
class Query:
    """A region put to an annotator.

    ``round`` is the batch it belongs to (1 = the first); ``model_round`` the model that scored it
    (0 = none, or the one trained on the initial labels). Correction queries carry the
    representative pixel and the class it has now (``IGNORE`` where it has none). ``predicted`` is
    the class that this model gives most of the region; None where that is not known: without a
    model, with the random method, in logs of before, or if the annotator changed the region.
    """

    region: Region
    query_type: QueryType
    score: Annotated[float, Field(allow_inf_nan=False)]
    round: Count
    model_round: Count
    pixel_rc: tuple[Coordinate, Coordinate] | None = None
    pseudo_label: ClassIdOrIgnore | None = None
    source: QuerySource = "acquisition"
    predicted: ClassIdOrIgnore | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a precise answer: these pixels are of this class."""

    class_id: ClassId
    mask: Mask


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it stands in the log.

    ``class_ids`` holds one class for dominant and correction queries, one or more for multi-class
    queries, none for an outcome without a label; ``pieces`` only for precise queries (pixels of
    the region that no piece covers are IGNORE). ``seconds`` is the time the query was on screen.
    """

    query: Query
    class_ids: tuple[ClassId, ...]
    clicks: Clicks
    outcome: Outcome = "labelled"
    pieces: tuple[Piece, ...] = ()
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    annotator: Annotated[str, Field(max_length=200)] = "human"
    id: AnswerId = field(default_factory=lambda: uuid.uuid4().hex)
    time: Time = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


def was_predicted(answer: Answer) -> bool | None:
    """Whether the model that asked would have answered the same.

    Its class for most of the region is the one answered, is among those answered (multi-class), or
    has the most pixels of those drawn (precise). None where there is nothing to compare.
    """
    predicted = answer.query.predicted
    if predicted is None or answer.outcome != "labelled":
        return None
    if not answer.pieces:
        return predicted in answer.class_ids
    px_by_class: Counter[int] = Counter()
    for piece in answer.pieces:
        px_by_class[piece.class_id] += piece.mask.size
    return px_by_class[predicted] == max(px_by_class.values())


@dataclass(frozen=True, slots=True)
class AutomaticCorrection:
    """A region whose class a model changed: not an answer, costs nothing (Jeon et al. 2026)."""

    round: Count
    region: Region
    old_class: ClassIdOrIgnore
    new_class: ClassId
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
