"""Classes: their ids, names and colours, and ``classes.json``."""

from __future__ import annotations

import colorsys
import json
import re
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.remote import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#332288",
    "#882255", "#999933", "#44aa99", "#aa4499", "#ddcc77", "#117733", "#88ccee", "#661100",
)  # fmt: skip
"""Colours for classes without their own: Okabe and Ito's, then Tol's muted scheme. Both were made
to be told apart with colour-blind eyes."""

_EXAMPLE = '[{"id": 0, "name": "sky"}, {"id": 1, "name": "road"}]'


class ClassInfo(BaseModel):
    """One class.

    Attributes
    ----------
    id : int
        0 to 254; a data folder's classes have the ids 0 to C-1.
    name : str
        Not empty, one line.
    color : str
        ``#rrggbb``, lower case.
    merged_into : int or None
        The class that this one counts as since the two were merged; `IGNORE`: none, since it was
        deleted. It keeps its id, so that what was written with it keeps its meaning, but is no
        longer given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[int, Field(strict=True, ge=0, lt=IGNORE)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    color: str
    merged_into: Annotated[int, Field(strict=True, ge=0, le=IGNORE)] | None = None

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.isprintable() or not name.strip():
            raise ValueError("a class name is one line of printable characters")
        return name.strip()

    @field_validator("color")
    @classmethod
    def _hex(cls, color: str) -> str:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
            raise ValueError(f"expected a colour like '#d55e00', got {color!r}")
        return color.lower()

    @property
    def is_deleted(self) -> bool:
        """Whether it counts as no class."""
        return self.merged_into == IGNORE

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers from 0 to 255."""
        return (int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16))


def live_classes(classes: Sequence[ClassInfo]) -> tuple[ClassInfo, ...]:
    """Return the classes that can be given: those neither merged into another nor deleted."""
    return tuple(c for c in classes if c.merged_into is None)


def meanings(classes: Sequence[ClassInfo]) -> tuple[int, ...]:
    """Return what each class id counts as: itself, what it was merged into, or `IGNORE`."""
    return tuple(c.id if c.merged_into is None else c.merged_into for c in classes)


def as_merged(class_map: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return a class map in which each id is what it counts as; ids of no class are IGNORE."""
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    table[: len(classes)] = meanings(classes)
    return table[class_map]


def default_color(class_id: int) -> str:
    """Return the colour of a class that has none of its own: the palette, then other hues."""
    if class_id < len(PALETTE):
        return PALETTE[class_id]
    turn = 0.618034 * class_id  # the golden ratio keeps successive hues far apart
    value = (0.9, 0.65)[class_id % 2]
    red, green, blue = colorsys.hsv_to_rgb(turn % 1.0, 0.6, value)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def palette_of(classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return the (256, 3) colours of class ids: those of the classes, black for others."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes)] = [c.rgb for c in classes]
    return palette


def default_classes(names: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Return classes with these names, in this order, in colours that can be told apart."""
    return check_classes([{"id": i, "name": name} for i, name in enumerate(names)], "the classes")


def classes_of(path: Path, given: Sequence[ClassInfo] | None) -> tuple[ClassInfo, ...]:
    """Return the classes of a data folder: those given, or of its ``classes.json``.

    Raises
    ------
    InputError
        If there are neither.
    """
    if given is not None:
        return check_classes(list(given), "the classes")
    if (path / "classes.json").exists():
        return read_classes(path / "classes.json")
    raise InputError(
        f"{path} has no classes.json, so the classes are not known. Name them, or put a "
        'classes.json there: [{"id": 0, "name": "background"}, {"id": 1, "name": "object"}].'
    )


def read_classes(path: Path) -> tuple[ClassInfo, ...]:
    """Read ``classes.json``: a list of ``{"id": …, "name": …, "color": "#rrggbb"}``.

    ``color`` may be left out.
    """
    try:
        fetch(path)
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); expected e.g. {_EXAMPLE}.") from error
    return check_classes(found, path.name)


def classes_to_json(classes: Sequence[ClassInfo]) -> str:
    """Return the text of ``classes.json``, one class a line."""
    fields = (c.model_dump(exclude_none=True) for c in classes)
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in fields)
    return f"[\n{rows}\n]\n"


def check_classes(found: object, source: str) -> tuple[ClassInfo, ...]:
    """Return the classes in a list of dicts or `ClassInfo`, ordered by id.

    Raises
    ------
    InputError
        Unless there are 1 to 255 of them, with the ids 0 to C-1 and different names, and those
        merged are merged into one that is not. `source` says in the message where they came from.
    """
    if not isinstance(found, list | tuple):
        raise InputError(
            f"{source}: expected a list of classes, e.g. {_EXAMPLE}, got a {type(found).__name__}."
        )
    if not 1 <= len(found) <= IGNORE:
        raise InputError(
            f"{source}: expected 1 to {IGNORE} classes, got {len(found)}; class ids have 8 bits, "
            f"and {IGNORE} is 'no label'."
        )
    classes = sorted((_class_info(row, source) for row in found), key=lambda c: c.id)
    ids = [c.id for c in classes]
    if ids != list(range(len(classes))):
        raise InputError(
            f"{source}: the class ids must be 0 to {len(classes) - 1}, each once; got "
            f"{', '.join(map(str, ids))}."
        )
    names = [c.name for c in classes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{source}: two classes are called {twice[0]!r}; give each its own name.")
    live = {c.id for c in live_classes(classes)} | {IGNORE}
    for info in classes:
        if info.merged_into is not None and info.merged_into not in live:
            raise InputError(
                f"{source}: {info.name!r} is merged into class {info.merged_into}, which is not "
                "there or is merged itself."
            )
    return tuple(classes)


def _class_info(row: object, source: str) -> ClassInfo:
    if isinstance(row, ClassInfo):
        return row
    if isinstance(row, dict) and isinstance(row.get("id"), int) and row.get("color") is None:
        row = {**row, "color": default_color(min(max(0, row["id"]), IGNORE))}
    try:
        return ClassInfo.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "class"
        raise InputError(f"{source}: {where} of {row!r}: {first['msg']}.") from error
