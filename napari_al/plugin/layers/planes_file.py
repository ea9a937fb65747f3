"""``planes.json`` in a data folder: which of its images are planes of stacks of the viewer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from napari_al.plugin.layers.json_file import read_json
from napari_al.plugin.layers.plane_slider import Plane, layer_of_sliders
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari.layers import Layer

NAME = "planes.json"


@dataclass(frozen=True)
class _Place:
    """The layer that an image is from, and its position on each axis that has a slider."""

    stack: str
    index: dict[int, int]


_PLACES = TypeAdapter(dict[str, _Place])


def write_planes(folder: Path, planes: Iterable[Plane]) -> None:
    """Write the file into a data folder, unless no image is a plane."""
    places = {p.image: _Place(p.layer.name, p.index) for p in planes if p.index}
    if places:
        write_atomic(folder / NAME, _PLACES.dump_json(places, indent=1))


def read_planes(folder: Path, layers: Sequence[Layer]) -> list[Plane]:
    """Return the planes of a data folder's stacks; none without a file.

    They are those of the stack itself where it is among the ``layers``, found by its name; of the
    others there is a new layer, which shows nothing and is there for its sliders.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    from napari.layers import Image

    words = (
        "there is no slider: expected was for each image the name of its 'stack' and an 'index' "
        "by axis"
    )
    places = read_json(folder / NAME, _PLACES, words) or {}
    lengths: dict[int, int] = {}
    for place in places.values():
        for axis, at in place.index.items():
            lengths[axis] = max(lengths.get(axis, 0), at + 1)
    axes = sorted(lengths)
    if not axes:
        return []
    own = layer_of_sliders({f"axis {axis}": lengths[axis] for axis in axes})
    there = {la.name: la for la in layers if isinstance(la, Image) and la.ndim > axes[-1] + 2}
    return [
        Plane(name, there[place.stack], place.index)
        if place.stack in there
        else Plane(name, own, {axes.index(a): at for a, at in place.index.items()}, place.stack)
        for name, place in places.items()
    ]
