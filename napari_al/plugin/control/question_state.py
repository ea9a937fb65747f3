"""A question while it is being answered: what is asked, and what has been said to it so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.region_editing import split, toggle_region
from napari_al.errors import InputError
from napari_al.session.log.records import Answer

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.plugin.control.polygon_drawing import Drawing, Sketch
    from napari_al.session.log.records import Outcome, Piece, Query

RESHAPED = ("dominant", "multi-class")
"""Queries whose regions can be cut in two and joined."""
ONE_CLICK = Clicks(class_clicks=1)


@dataclass(eq=False)
class Question:
    """A query, and what has been said to it.

    Attributes
    ----------
    query : Query
    replaced : Answer, optional
        The query has been answered before; the next answer takes the place of this one.
    parts : tuple of Query
        Of a region that was cut in two: those still to ask.
    given : tuple of Answer
        And the answers to the others. All go in together.
    before : Question, optional
        What was asked before the region was cut, or its last part answered.
    chosen : frozenset of int
        The classes chosen so far, where there may be several.
    drawing : Drawing, optional
        What was drawn for an earlier answer, to begin with.
    sketch : Sketch, optional
        What has been drawn so far, where it is drawn.
    since : float, optional
        When its region was first to be seen (`time.perf_counter`).
    """

    query: Query
    replaced: Answer | None = None
    parts: tuple[Query, ...] = ()
    given: tuple[Answer, ...] = ()
    before: Question | None = None
    chosen: frozenset[int] = frozenset()
    drawing: Drawing | None = None
    sketch: Sketch | None = None
    since: float | None = None

    def see(self) -> None:
        """Count the seconds from now on, if they do not count yet."""
        if self.since is None:
            self.since = time.perf_counter()

    @property
    def seconds(self) -> float:
        """For how long the region has been there to look at."""
        return 0.0 if self.since is None else round(time.perf_counter() - self.since, 3)

    def answer(
        self,
        class_ids: tuple[int, ...],
        clicks: Clicks = ONE_CLICK,
        outcome: Outcome = "labelled",
        pieces: tuple[Piece, ...] = (),
    ) -> Answer:
        """Return an answer given now."""
        return Answer(
            self.query, class_ids, clicks, outcome=outcome, pieces=pieces, seconds=self.seconds
        )

    def choose(self, class_id: int) -> Answer | None:
        """Take a class: for the answer, or for one of several."""
        if self.query.query_type in ("dominant", "correction"):
            return self.answer((class_id,))
        if self.sketch is not None:
            self.sketch.choose(class_id)
            self.chosen = frozenset({class_id})
        else:
            self.chosen ^= {class_id}
        return None

    def accept(self, class_ids: Collection[int]) -> Answer:
        """Return the answer that the label is right, or what has been chosen or drawn.

        Raises
        ------
        InputError
            Something has to be chosen first, of these classes.
        """
        match self.query.query_type:
            case "correction":
                label = self.query.pseudo_label
                if label is None or label not in class_ids:
                    raise InputError("It has no class yet: choose one.")
                return self.answer((label,))
            case "multi-class":
                if not self.chosen:
                    raise InputError("Choose the classes that are in it first.")
                chosen = tuple(sorted(self.chosen))
                return self.answer(chosen, Clicks(class_clicks=len(chosen)))
            case "precise":
                pieces, clicks = ((), ONE_CLICK) if self.sketch is None else self.sketch.pieces()
                if not pieces:
                    raise InputError("Choose a class and draw, or fill the rest with it (R).")
                drawn = tuple(sorted({piece.class_id for piece in pieces}))
                return self.answer(drawn, clicks, pieces=pieces)
            case "dominant":
                raise InputError("Choose the class that most of it belongs to.")

    # ---- mending the region

    def cut(self, image: NDArray[np.uint8] | None) -> Question:
        """Return the question about one of two parts of the region; the other one comes next.

        Parameters
        ----------
        image : (H, W) or (H, W, 3) uint8, as it is shown; None while it is not.

        Raises
        ------
        InputError
            It cannot be cut.
        """
        if self.query.query_type not in RESHAPED or self.replaced is not None or image is None:
            raise InputError("This region cannot be cut.")
        first, second = (
            replace(self.query, region=replace(self.query.region, mask=mask))
            for mask in split(self.query.region.mask, image)
        )
        return replace(
            self, query=first, parts=(second, *self.parts), before=self, chosen=frozenset()
        )

    @property
    def n_parts(self) -> int:
        """How many parts the region has been cut into, those that have an answer included."""
        return 1 + len(self.parts) + len(self.given)

    def next_part(self, answer: Answer) -> Question | None:
        """Return the question about the next part, this one being answered; None after the last."""
        if not self.parts:
            return None
        part, *parts = self.parts
        return Question(part, parts=tuple(parts), given=(*self.given, answer), before=self)

    def joined(self, region_map: NDArray[np.int32], position: tuple[int, int]) -> Question:
        """Return the question about this region and the one at a pixel, or without that again.

        Raises
        ------
        InputError
            There is no region, or nothing can be joined.
        """
        if self.query.query_type not in RESHAPED or self.before is not None:
            raise InputError("Regions cannot be joined here.")
        region = self.query.region
        ids, mask = toggle_region(region.ids, region_map, position)
        return replace(self, query=replace(self.query, region=replace(region, ids=ids, mask=mask)))
