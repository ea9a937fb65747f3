"""An annotator that reads ground truth: exact, or with reproducible errors."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.clicks import precise_clicks
from napari_al.methods.queries import ONE_CLICK, Answer, Piece, clicks_for_classes
from napari_al.simulate.confusion import Confusion, no_confusion
from napari_al.simulate.truth import (
    CorrectionRule,
    check_has_truth,
    classes_inside,
    corrected_class,
    dominant_class,
    pieces_of,
    truth_of,
    vertices_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_al.core.clicks import Clicks
    from napari_al.formats.dataset import DataFolder
    from napari_al.methods.queries import Query
    from napari_al.methods.table import QueryType

N_KEPT = 8
"""Ground-truth maps held in memory."""


class Annotator(Protocol):
    """Protocol of what answers queries in a run without a window."""

    def answer(self, query: Query) -> Answer:
        """Answer a query, with the query in it."""


class Oracle:
    """Answers queries from the ground truth of a data folder.

    Its errors depend on ``seed``, the image and the region ids alone: asked again, also by a run
    that was stopped and goes on, it says the same.

    Parameters
    ----------
    data : DataFolder
        Every training image needs labels.
    seed : int
        Of the errors.
    confusion : Confusion, optional
        How often a class is given wrongly and as which other; never by default. In a multi-class
        or a precise answer each class is mistaken or not on its own.
    trim_px : int
        Band inside a region's boundary that is overlooked when asked which classes are in it.
    correction_rule : {"pixel", "half-pixel", "half-majority"}
        What becomes of a region whose class is asked to be corrected (``truth.CorrectionRule``).
    first_pair : bool
        What a precise answer costs (``core.clicks.intersection_clicks``).

    Raises
    ------
    InputError
        If training images have no labels.
    """

    def __init__(
        self,
        data: DataFolder,
        *,
        seed: int = 0,
        confusion: Confusion | None = None,
        trim_px: int = 3,
        correction_rule: CorrectionRule = "pixel",
        first_pair: bool = True,
    ) -> None:
        check_has_truth(data)
        self._seed = seed
        self._confusion = confusion or no_confusion(data.n_classes)
        self._trim_px = trim_px
        self._correction_rule = correction_rule
        self._first_pair = first_pair
        self._truth = lru_cache(maxsize=N_KEPT)(partial(truth_of, data))
        self._vertices = lru_cache(maxsize=N_KEPT)(partial(vertices_of, data))

    def answer(self, query: Query) -> Answer:
        """Answer a query of any type, in no time."""
        rule = _ANSWERS[query.query_type]
        region = query.region
        key = f"{self._seed} {region.image} {region.ids}".encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "little"))
        return rule(self, query, self._truth(region.image), rng)

    def _dominant(self, query: Query, truth: NDArray[np.uint8], rng: np.random.Generator) -> Answer:
        """One click, spent also where most of the region is ignored (Cai et al. 2021)."""
        mask = query.region.mask
        class_id = dominant_class(mask.view(truth)[mask.crop()])
        return _one_class(query, self._confusion.given(class_id, rng))

    def _multi_class(
        self, query: Query, truth: NDArray[np.uint8], rng: np.random.Generator
    ) -> Answer:
        """One click a class (Hwang et al. 2023); one, too, to say that there is none."""
        present = classes_inside(truth, query.region.mask, self._trim_px)
        given = tuple(sorted({self._confusion.given(class_id, rng) for class_id in present}))
        return _answer(query, given, clicks_for_classes(len(given)))

    def _correction(
        self, query: Query, truth: NDArray[np.uint8], rng: np.random.Generator
    ) -> Answer:
        """One click, whether the class was right or not (Kim et al. 2024)."""
        if query.pixel_rc is None or query.pseudo_label is None:
            raise ValueError("a correction query carries a pixel and the class it has now")
        mask = query.region.mask
        class_id = corrected_class(
            mask.view(truth)[mask.crop()],
            int(truth[query.pixel_rc]),
            query.pseudo_label,
            self._correction_rule,
        )
        return _one_class(query, self._confusion.given(class_id, rng))

    def _precise(self, query: Query, truth: NDArray[np.uint8], rng: np.random.Generator) -> Answer:
        """Every object drawn: c_p + c_c + c_i clicks (Cai et al. 2021)."""
        mask = query.region.mask
        pieces = tuple(
            Piece(self._confusion.given(piece.class_id, rng), piece.mask)
            for piece in pieces_of(truth, mask)
        )
        class_ids = tuple(sorted({piece.class_id for piece in pieces}))
        vertices = self._vertices(query.region.image)
        clicks = precise_clicks(truth, mask.box, vertices, first_pair=self._first_pair)
        return _answer(query, class_ids, clicks, pieces)


_ANSWERS: Mapping[
    QueryType, Callable[[Oracle, Query, NDArray[np.uint8], np.random.Generator], Answer]
] = {
    "dominant": Oracle._dominant,
    "multi-class": Oracle._multi_class,
    "correction": Oracle._correction,
    "precise": Oracle._precise,
}


def _one_class(query: Query, class_id: int) -> Answer:
    return _answer(query, () if class_id == IGNORE else (class_id,), ONE_CLICK)


def _answer(
    query: Query, class_ids: tuple[int, ...], clicks: Clicks, pieces: tuple[Piece, ...] = ()
) -> Answer:
    return Answer(
        query=query,
        class_ids=class_ids,
        clicks=clicks,
        outcome="labelled" if class_ids else "ignored",
        pieces=pieces,
        annotator="oracle",
    )
