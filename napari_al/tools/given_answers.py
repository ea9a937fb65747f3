"""Existing labels as answers to a project's queries, as if given one by one.

Each base region gets the answer that its labels give to the project's kind of question. All answers
are one entry of the log, which one undo takes back; they cost no clicks.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.formats.parts.picture_parts import by_picture
from napari_al.methods.queries import Answer, Piece, Query, Region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.exchange.label_readers import LabelledImage
    from napari_al.formats.parts.picture_parts import Part
    from napari_al.session.session import Session

ANNOTATOR: Final = "import"
"""Who gave these answers, in the log."""


class AnswersGiven(NamedTuple):
    """How many answers were given on how many images, and what was left out, a sentence each."""

    n_answers: int
    n_images: int
    notes: tuple[str, ...]


def give_answers(session: Session, maps: Iterable[LabelledImage]) -> AnswersGiven:
    """Answer every open region that is labelled for the most part, as one entry of the log.

    A region gets the most frequent class (dominant and correction queries), all classes in it
    (multi-class), or its pixels as they are labelled (precise). Regions that were answered before
    stay as they are.

    Parameters
    ----------
    session : Session
        Open for writing.
    maps : iterable of LabelledImage
        Class ids of the project, `IGNORE` = no label, by the names of its training images, or of
        large pictures that these are blocks of.

    Raises
    ------
    InputError
        If a map has another size than its image, or no region can be answered.
    """
    known, blocks = set(session.data.train), _blocks(session)
    answers: list[Answer] = []
    n_images, unknown, n_open = 0, [], 0
    for name, class_map in chain.from_iterable(_cut(blocks, *labelled) for labelled in maps):
        if name not in known:
            unknown.append(name)
            continue
        shape = session.data.shape(name)
        if class_map.shape != shape:
            raise InputError(
                f"The labels of {name} are {class_map.shape[1]} x {class_map.shape[0]} pixels and "
                f"the image is {shape[1]} x {shape[0]}; they must be the same size."
            )
        given = list(_answers_of(session, name, class_map))
        n_open += sum(answer is None for answer in given)
        found = [answer for answer in given if answer is not None]
        n_images += bool(found)
        answers += found
    if not answers:
        raise InputError("No region of the project that is open has labels; nothing was imported.")
    session.submit(*answers)
    notes = []
    if unknown:
        notes.append(f"{len(unknown)} labels without an image are left out: {unknown[0]}, …")
    if n_open:
        notes.append(f"{n_open} regions without a label on most of their pixels stay open.")
    return AnswersGiven(len(answers), n_images, tuple(notes))


def _blocks(session: Session) -> dict[str, list[Part]]:
    """Return the blocks of large pictures by the names of these."""
    pictures = by_picture(map(session.data.part, session.data.train))
    return {name: parts for name, parts in pictures.items() if not parts[0].planes}


def _cut(
    blocks: dict[str, list[Part]], name: str, class_map: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Cut the labels of a large picture into those of its blocks."""
    parts = blocks.get(name, [])
    if not parts or class_map.shape != parts[0].picture_shape:
        yield name, class_map
        return
    for part in parts:
        yield part.name, class_map[part.rows, part.cols]


def _answers_of(
    session: Session, name: str, class_map: NDArray[np.uint8]
) -> Iterator[Answer | None]:
    """Yield the answer to each region of an image that has none yet; None: for lack of labels."""
    from skimage.measure import regionprops

    taken = {
        region_id
        for answer in session.answers()
        if answer.query.region.image == name
        for region_id in answer.query.region.ids
    }
    query_type = session.config.method.query
    current = session.current_labels(name) if query_type == "correction" else None
    for place in regionprops(session.region_map(name) + 1):
        region_id, inside, origin = place.label - 1, place.image, place.bbox[:2]
        if region_id in taken:
            continue
        part = class_map[place.slice]
        ids, counts = np.unique(part[inside], return_counts=True)
        n_labelled = int(counts[ids != IGNORE].sum())
        if 2 * n_labelled <= inside.sum():
            yield None
            continue
        counts[ids == IGNORE] = 0
        region = Region(name, (region_id,), Mask.from_array(inside, origin))
        present = tuple(int(class_id) for class_id in ids if class_id != IGNORE)
        pieces: tuple[Piece, ...] = ()
        if query_type == "precise":
            masks = ((c, Mask.from_array(inside & (part == c), origin)) for c in present)
            pieces = tuple(Piece(c, mask) for c, mask in masks)
        elif query_type != "multi-class":
            present = (int(ids[counts.argmax()]),)
        pixel_rc = None if current is None else region.mask.central_pixel()
        query = Query(
            region=region,
            query_type=query_type,
            score=0.0,
            round=session.round,
            model_round=session.model_round or 0,
            pixel_rc=pixel_rc,
            pseudo_label=None if current is None or pixel_rc is None else int(current[pixel_rc]),
        )
        yield Answer(query, present, Clicks(), pieces=pieces, annotator=ANNOTATOR)
