"""What is asked and what is answered: the records of the annotation log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

# At run time too: the log's reader builds its checks from these types.
from napari_al.core.clicks import Clicks  # noqa: TC001
from napari_al.core.geometry.masks import Mask  # noqa: TC001
from napari_al.formats.classes import ClassInfo  # noqa: TC001

QueryType = Literal["dominant", "multi-class", "correction", "precise"]
Outcome = Literal["labelled", "skipped", "unsure", "ignored"]
"""How a query ended: with class ids; put off to a later round; not to be asked again and without
a label; or declared void (its pixels become IGNORE)."""


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
    ids: tuple[int, ...]
    mask: Mask


@dataclass(frozen=True, slots=True)
class Query:
    """A region put to an annotator.

    ``round`` is the batch it belongs to (1 = the first); ``model_round`` the model that scored it
    (0 = none, or the one trained on the initial labels). Correction queries carry the
    representative pixel and the class it has now (``IGNORE`` where it has none).
    """

    region: Region
    query_type: QueryType
    score: float
    round: int
    model_round: int
    pixel_rc: tuple[int, int] | None = None
    pseudo_label: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a precise answer: these pixels are of this class."""

    class_id: int
    mask: Mask


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it stands in the log.

    ``class_ids`` holds one class for dominant and correction queries, one or more for multi-class
    queries, none for an outcome without a label; ``pieces`` only for precise queries (pixels of
    the region that no piece covers are IGNORE). ``seconds`` is the time the query was on screen.
    """

    query: Query
    class_ids: tuple[int, ...]
    clicks: Clicks
    outcome: Outcome = "labelled"
    pieces: tuple[Piece, ...] = ()
    seconds: float = 0.0
    annotator: str = "human"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


@dataclass(frozen=True, slots=True)
class AutomaticCorrection:
    """A region whose class a model changed: not an answer, costs nothing (Jeon et al. 2026)."""

    round: int
    region: Region
    old_class: int
    new_class: int
    confidence: float


@dataclass(frozen=True, slots=True)
class ClassEdit:
    """The classes from here on: some added, renamed, recoloured or merged (``classes.py``)."""

    classes: tuple[ClassInfo, ...]


Record = Answer | AutomaticCorrection | ClassEdit
"""What an entry of the log adds, and an undo takes back."""
