"""``placement.json`` in a data folder: where images written from the viewer lay in its world.

Without it, images lie at the origin and a pixel is one unit long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import pint
from pydantic import AfterValidator, TypeAdapter

from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.layers.json_file import read_json
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

NAME = "placement.json"


def write_placement(folder: Path, placement: Placement) -> None:
    """Write the file into a data folder."""
    write_atomic(folder / NAME, TypeAdapter(Placement).dump_json(placement, indent=1))


def read_placement(folder: Path) -> Placement | None:
    """Return the placement of a data folder's images; None without a file.

    Call it on the window's thread, as it uses pint's registry (``layer_kinds.load_units``).

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    words = (
        "the images are shown at the origin: expected were 'scale' and 'translate' of two numbers "
        "each and names of units"
    )
    return read_json(
        folder / NAME, TypeAdapter(Annotated[Placement, AfterValidator(_check)]), words
    )


def _check(placement: Placement) -> Placement:
    if not all(map(math.isfinite, (*placement.scale, *placement.translate))):
        raise ValueError("a number is not finite")
    if 0 in placement.scale:
        raise ValueError("a scale is 0")
    for unit in placement.units or ():  # names only: pint evaluates expressions
        if not (unit.isidentifier() and unit in pint.application_registry):
            raise ValueError(f"{unit} is no unit")
    return placement
