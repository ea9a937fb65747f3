"""Records as JSON text, checked when they are written and when they are read.

A log may come from another machine, another version or an unknown source, so everything is checked:
types and ranges by pydantic (``methods/queries.py`` gives them), and here sizes, paths that would
lead out of a folder, and fields that contradict each other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from napari_al.errors import InputError
from napari_al.formats.classes import check_classes
from napari_al.formats.listing import check_image_name
from napari_al.methods.queries import Answer, AutomaticCorrection, Region
from napari_al.session.log.history import ClassEdit

if TYPE_CHECKING:
    from napari_al.core.geometry.masks import Mask

Record = TypeVar("Record", Answer, AutomaticCorrection, ClassEdit)

MAX_PAYLOAD: Final = 2**26
"""Characters of one record; a region of the noisiest mask needs about a tenth."""
MAX_REGION_PX: Final = 2**28
"""Pixels of a mask's box: what unpacking it may take as bytes of memory."""
MAX_COORDINATE: Final = 2**31 - 1
MAX_CLICKS: Final = 10**9

_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
_CORRECTION: TypeAdapter[AutomaticCorrection] = TypeAdapter(AutomaticCorrection)
_EDIT: TypeAdapter[ClassEdit] = TypeAdapter(ClassEdit)


def encode_answer(answer: Answer) -> str:
    """Compact JSON text of an answer."""
    return _encode(_ANSWER, answer)


def encode_correction(correction: AutomaticCorrection) -> str:
    """Compact JSON text of an automatic correction."""
    return _encode(_CORRECTION, correction)


def encode_edit(edit: ClassEdit) -> str:
    """Compact JSON text of an edit of the classes."""
    return _encode(_EDIT, edit)


def decode_answer(text: str | bytes) -> Answer:
    """Read what ``encode_answer`` wrote.

    Raises
    ------
    InputError
        If anything is missing, of another type, out of range or contradicts itself.
    """
    answer = _decode(_ANSWER, text)
    _check_region(answer.query.region)
    clicks = answer.clicks
    for count in (clicks.class_clicks, clicks.polygon_clicks, clicks.intersection_clicks):
        _check(0 <= count <= MAX_CLICKS, "clicks: 0 or more", count)
    _check_classes(answer)
    return answer


def decode_correction(text: str | bytes) -> AutomaticCorrection:
    """Read what ``encode_correction`` wrote; raises as ``decode_answer`` does."""
    correction = _decode(_CORRECTION, text)
    _check_region(correction.region)
    return correction


def decode_edit(text: str | bytes) -> ClassEdit:
    """Read what ``encode_edit`` wrote; raises as ``decode_answer`` does."""
    edit = _decode(_EDIT, text)
    return ClassEdit(check_classes(edit.classes, "classes"))


def _check(holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise InputError(f"{expected} was expected, got {str(got)[:80]!r}")


def _check_region(region: Region) -> None:
    check_image_name(region.image)
    ids = region.ids
    ascending = bool(ids) and all(a < b for a, b in pairwise(ids))
    _check(ascending, "region ids: ascending numbers from 0", ids[:10])
    _check_mask(region.mask)


def _check_mask(mask: Mask) -> None:
    row0, col0, row1, col1 = mask.box
    in_range = row1 <= MAX_COORDINATE and col1 <= MAX_COORDINATE
    _check(in_range and (row1 - row0) * (col1 - col0) <= MAX_REGION_PX, "a smaller box", mask.box)
    _check(mask.size > 0, "a mask with at least one pixel", mask.box)


def _check_classes(answer: Answer) -> None:
    """Check that classes and pieces fit the question and the outcome."""
    ids, query_type = answer.class_ids, answer.query.query_type
    _check(len(set(ids)) == len(ids), "class_ids: different numbers", ids[:10])
    for piece in answer.pieces:
        _check_mask(piece.mask)
    if answer.outcome != "labelled":
        _check(not ids and not answer.pieces, f"no classes with {answer.outcome!r}", ids[:10])
    elif query_type == "multi-class":
        _check(bool(ids), "at least one class", ids)
    elif query_type != "precise":
        _check(len(ids) == 1, f"one class for a {query_type} query", ids[:10])
    if query_type != "precise":
        _check(not answer.pieces, f"no pieces for a {query_type} query", len(answer.pieces))


def _encode(adapter: TypeAdapter[Record], record: Record) -> str:
    try:
        text = adapter.dump_json(record, warnings=False, fallback=_plain).decode("utf-8")
    except (PydanticSerializationError, UnicodeError) as error:
        raise InputError(f"a record that cannot be written as JSON: {error}") from error
    _check(len(text) <= MAX_PAYLOAD, f"at most {MAX_PAYLOAD} characters of JSON", len(text))
    return text


def _plain(value: object) -> object:
    """Write numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no number or text")


def _decode(adapter: TypeAdapter[Record], text: str | bytes) -> Record:
    _check(len(text) <= MAX_PAYLOAD, f"at most {MAX_PAYLOAD} characters of JSON", len(text))
    try:
        return adapter.validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{place or 'record'}: {first['msg']} (got {str(first['input'])[:80]!r})"
        ) from error
