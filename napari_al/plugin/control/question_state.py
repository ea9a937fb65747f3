"""State of a question while it is being answered."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_al.core.geometry.region_editing import split, toggle_region
from napari_al.errors import InputError
from napari_al.methods.queries import ONE_CLICK, Answer, clicks_for_classes

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.core.clicks import Clicks
    from napari_al.methods.queries import Outcome, Piece, Query
    from napari_al.plugin.control.polygon_drawing import Drawing, PolygonEditor

RESHAPED = ("dominant", "multi-class")
"""Queries whose regions can be cut in two and joined."""


@dataclass(eq=False)
class QuestionState:
    """A query, and the answer to it as far as it is given.

    Attributes
    ----------
    query : Query
    replaced : Answer, optional
        An earlier answer to the query, which the next answer replaces.
    out_of_turn : bool
        The annotator picked it from the coming queries.
    stays : bool
        It was picked in the image: the view does not move, and the region stays selected when it is
        answered.
    parts : tuple of Query
        Of a region that was cut: the parts still to ask about.
    given : tuple of Answer
        Answers to the other parts; all are submitted together.
    before : QuestionState, optional
        The state before the region was cut, or before its last part was answered.
    chosen : frozenset of int
        The classes chosen so far, where there may be several.
    drawing : Drawing, optional
        Drawing of the earlier answer, which the editor starts with.
    editor : PolygonEditor, optional
        Of the polygons drawn so far, for precise queries.
    seen_at : float, optional
        When its region was first visible (`time.perf_counter`).
    """

    query: Query
    replaced: Answer | None = None
    out_of_turn: bool = False
    stays: bool = False
    parts: tuple[Query, ...] = ()
    given: tuple[Answer, ...] = ()
    before: QuestionState | None = None
    chosen: frozenset[int] = frozenset()
    drawing: Drawing | None = None
    editor: PolygonEditor | None = None
    seen_at: float | None = None

    def start_clock(self) -> None:
        """Count the seconds from now on, unless they are counted already."""
        if self.seen_at is None:
            self.seen_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the region was first visible."""
        return 0.0 if self.seen_at is None else round(time.perf_counter() - self.seen_at, 3)

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
        """Take a class; return the answer if it is complete with it."""
        if self.query.query_type in ("dominant", "correction"):
            return self.answer((class_id,))
        if self.editor is not None:
            self.editor.choose(class_id)
            self.chosen = frozenset({class_id})
        else:
            self.chosen ^= {class_id}
        return None

    def accept(self, class_ids: Collection[int]) -> Answer:
        """Return the answer that the label is right, or with what was chosen or drawn.

        Raises
        ------
        InputError
            If something has to be chosen first, of these classes.
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
                return self.answer(chosen, clicks_for_classes(len(chosen)))
            case "precise":
                pieces, clicks = ((), ONE_CLICK) if self.editor is None else self.editor.pieces()
                if not pieces:
                    raise InputError("Choose a class and draw, or fill the rest with it (R).")
                drawn = tuple(sorted({piece.class_id for piece in pieces}))
                return self.answer(drawn, clicks, pieces=pieces)
            case "dominant":
                raise InputError("Choose the class that most of it belongs to.")

    # ---- editing the region

    def cut(self, image: NDArray[np.uint8] | None) -> QuestionState:
        """Return the question about the first of two parts of the region; the other comes next.

        Parameters
        ----------
        image : (H, W) or (H, W, 3) uint8, as displayed; None while it is not.

        Raises
        ------
        InputError
            If it cannot be cut.
        """
        if self.query.query_type not in RESHAPED or self.replaced is not None or image is None:
            raise InputError("This region cannot be cut.")
        first, second = (
            replace(self.query, region=replace(self.query.region, mask=mask), predicted=None)
            for mask in split(self.query.region.mask, image)
        )
        return replace(
            self, query=first, parts=(second, *self.parts), before=self, chosen=frozenset()
        )

    @property
    def n_parts(self) -> int:
        """Parts that the region has been cut into, those with an answer included."""
        return 1 + len(self.parts) + len(self.given)

    def next_part(self, answer: Answer) -> QuestionState | None:
        """Return the question about the next part after this answer; None after the last part."""
        if not self.parts:
            return None
        part, *parts = self.parts
        return QuestionState(
            part,
            out_of_turn=self.out_of_turn,
            parts=tuple(parts),
            given=(*self.given, answer),
            before=self,
        )

    def joined(self, region_map: NDArray[np.int32], pixel_rc: tuple[int, int]) -> QuestionState:
        """Return the question about this region joined with the one at a pixel, or without it.

        Raises
        ------
        InputError
            If there is no region, or the query does not allow it.
        """
        if self.query.query_type not in RESHAPED or self.before is not None:
            raise InputError("Regions cannot be joined here.")
        region = self.query.region
        ids, mask = toggle_region(region.ids, region_map, pixel_rc)
        joined = replace(region, ids=ids, mask=mask)
        return replace(self, query=replace(self.query, region=joined, predicted=None))
