"""``placement.json`` in a data folder: where images written from the viewer lay in its world.

It has the fields of `Placement`, and in ``images`` those of images that lie elsewhere, by name.
Without it, images lie at the origin and a pixel is one unit long.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Annotated

import pint
from pydantic import AfterValidator, TypeAdapter

from napari_al.plugin.layers.json_file import read_json
from napari_al.plugin.layers.placement import Placement, Placements
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

NAME = "placement.json"


@dataclass(frozen=True)
class _File(Placement):
    images: dict[str, Placement] = field(default_factory=dict)


def write_placements(folder: Path, placements: Placements) -> None:
    """Write the file into a data folder."""
    file = _File(**asdict(placements.common), images=placements.others)
    write_atomic(folder / NAME, TypeAdapter(_File).dump_json(file, indent=1))


def read_placements(folder: Path) -> Placements:
    """Return where a data folder's images lie; at the origin without a file.

    Call it on the window's thread, as it uses pint's registry (``layer_kinds.load_units``).

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    words = (
        "the images are shown at the origin: expected were 'scale' and 'translate' of two numbers "
        "each, 'rotate' and 'shear' of one, and names of units"
    )
    file = read_json(folder / NAME, TypeAdapter(Annotated[_File, AfterValidator(_check)]), words)
    if file is None:
        return Placements()
    fields = {field.name: getattr(file, field.name) for field in fields_of(Placement)}
    return Placements(Placement(**fields), file.images)


def _check(file: _File) -> _File:
    for place in (file, *file.images.values()):
        numbers = (*place.scale, *place.translate, place.rotate, place.shear)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a number is not finite")
        if 0 in place.scale:
            raise ValueError("a scale is 0")
        for unit in place.units or ():  # names only: pint evaluates expressions
            if not (unit.isidentifier() and unit in pint.application_registry):
                raise ValueError(f"{unit} is no unit")
    return file
