"""Looking through a data folder: which images can be used, and what is said about the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.label_maps import (
    check_size,
    classes_without_labels,
    doubt_about_labels,
    read_class_map,
    without_data,
)
from napari_al.formats.parts.rasters import open_raster, raster_header, read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.image_rules import ImageRules
    from napari_al.formats.images import Header
    from napari_al.formats.known_headers import KnownHeaders
    from napari_al.formats.listing import Kind, Listed, Split
    from napari_al.formats.parts.picture_parts import Part


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """An image that was left out, and why."""

    path: Path
    reason: str
    split: Split
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """One image whose files have been found good.

    Its files may hold a picture of which it is a ``part``: ``header`` is that of the part, and
    ``values`` are those in the labels and initial labels of the picture, if they were looked at;
    ``label_notes`` say what in them is read otherwise than a program may think.
    """

    image: Path
    header: Header
    maps: dict[Kind, Path]
    values: Mapping[Kind, frozenset[int]] = field(default_factory=dict)
    label_notes: tuple[str, ...] = ()
    part: Part | None = None


@dataclass(frozen=True)
class Look:
    """Looks at one image's files; in any thread."""

    classes: tuple[ClassInfo, ...]
    rules: ImageRules
    check_labels: bool
    check_pixels: bool
    header_of: KnownHeaders

    def __call__(self, listed: Listed) -> Item | BrokenFile | None:
        """Return the image if its files can be used, or what is wrong; None for one to pass over.

        A validation image without labels is passed over where labels are not checked.
        """
        if f"{listed.split}/{listed.name}" in self.rules.left_out:
            reason = f"{listed.image} was damaged when the project was made and is left out."
            return BrokenFile(listed.image, reason, listed.split, listed.name)
        if listed.split == "val" and "labels" not in listed.maps and not self.check_labels:
            return None
        try:
            header = self.header_of(listed.image, self.rules.pages)
            parts = self.rules.parts_of(listed.name, header)
            values = self._look_at_maps(listed, header, parts) if self.check_labels else {}
            notes = self._notes_on_maps(listed.maps, values)
            if listed.split == "val" and "labels" not in listed.maps:
                raise InputError(f"{listed.image} has no labels; validation images need them.")
            if self.check_pixels:
                self._look_at_pixels(listed.image, parts)
        except InputError as error:
            return BrokenFile(listed.image, str(error), listed.split, listed.name)
        return Item(listed.image, header, listed.maps, values, notes)

    def _look_at_pixels(self, image: Path, parts: Sequence[Part]) -> None:
        if not parts:
            read_whole(image, self.rules.pages)
            return
        with open_raster(image, self.rules.pages) as raster:
            for part in parts:
                raster.read(part.rows, part.cols, part.plane)

    def _look_at_maps(
        self, listed: Listed, header: Header, parts: Sequence[Part]
    ) -> dict[Kind, frozenset[int]]:
        """Return the values that are in the labels and initial labels."""
        values: dict[Kind, frozenset[int]] = {}
        for kind, path in listed.maps.items():
            if kind == "masks":
                check_size(path, raster_header(path, "planes"), header)
                continue
            ids = self.rules.label_ids if kind == "labels" else {}
            for part in parts or (None,):
                class_map = read_class_map(path, header, len(self.classes), ids, part)
                found = np.flatnonzero(np.bincount(class_map.ravel())).tolist()
                values[kind] = values.get(kind, frozenset()).union(found)
        return values

    def _notes_on_maps(
        self, maps: Mapping[Kind, Path], values: Mapping[Kind, frozenset[int]]
    ) -> tuple[str, ...]:
        """Say which value of the labels is no label by a tag of the file."""
        notes = []
        for kind, found in values.items():
            for value in without_data(maps[kind]) if IGNORE in found else ():
                if kind != "labels" or value not in self.rules.label_ids:
                    what = kind.replace("_", " ")
                    notes.append(f"{value}, the nodata value of its {what}, means 'no label'")
        return tuple(notes)


def in_parts(
    pictures: Mapping[tuple[Split, str], Item], rules: ImageRules
) -> dict[tuple[Split, str], Item]:
    """Return the images that pictures are handled as: their parts, or each itself.

    Raises
    ------
    InputError
        If a part is named as another picture is.
    """
    images: dict[tuple[Split, str], Item] = {}
    for (split, name), item in pictures.items():
        parts = rules.parts_of(name, item.header)
        if not parts:
            images[split, name] = item
        for part in parts:
            height, width = part.shape
            header = replace(item.header, height=height, width=width, planes=())
            images[split, part.name] = replace(item, header=header, part=part)
            if (split, part.name) in pictures:
                raise InputError(
                    f"{item.image}: its part {part.name} is named as another image is."
                )
    return images


def take_out_odd_images(
    items: dict[tuple[Split, str], Item], broken: list[BrokenFile], rules: ImageRules
) -> None:
    """Move images of another kind than the rules say to `broken`."""
    for key, item in list(items.items()):
        try:
            rules.check(item.image, item.header)
        except InputError as error:
            broken.append(BrokenFile(item.image, str(error), *key))
            del items[key]


def check_labels_of(
    path: Path,
    classes: Sequence[ClassInfo],
    items: Mapping[tuple[Split, str], Item],
    rules: ImageRules,
) -> None:
    """Refuse labels of which the rules would lose what they were drawn for."""
    values = _values("labels", items.values())
    doubt = doubt_about_labels(path, "labels", classes, values, rules.label_ids)
    if doubt:
        raise InputError(
            f"{doubt}; if it does mean 'no label', use --set 'images.label_ids={{\"255\": 255}}'."
        )


def notes_of(
    path: Path,
    classes: Sequence[ClassInfo],
    items: Mapping[tuple[Split, str], Item],
    rules: ImageRules,
) -> Iterator[str]:
    """Say what is left out of the images or read otherwise than a program may think."""
    of_files = Counter(
        note for item in items.values() for note in (*item.header.notes, *item.label_notes)
    )
    for note, n in of_files.items():
        yield f"{n} image{'s' if n > 1 else ''}: {note}."
    grey = sum(item.header.n_channels != rules.n_channels for item in items.values())
    eight = sum(item.header.dtype != rules.pixel_type for item in items.values())
    if grey:
        yield f"{grey} grey image{'s are' if grey > 1 else ' is'} read as RGB."
    if eight:
        yield f"{eight} 8-bit image{'s are' if eight > 1 else ' is'} read as 16-bit."
    values = _values("labels", items.values())
    if values:
        yield from classes_without_labels(classes, values)
    initial = _values("initial_labels", items.values())
    doubt = doubt_about_labels(path, "initial_labels", classes, initial, rules.label_ids)
    if doubt:
        yield f"{doubt}."


def _values(kind: Kind, items: Iterable[Item]) -> frozenset[int]:
    return frozenset().union(*(item.values.get(kind, ()) for item in items))


def notes_on_parts(images: Mapping[tuple[Split, str], Item]) -> Iterator[str]:
    """Say which pictures are not handled as a whole."""
    parts = [item.part for item in images.values() if item.part is not None]
    of_stacks = [part for part in parts if part.planes]
    blocks = [part for part in parts if not part.planes]
    for found, what, how in (
        (blocks, "large picture", "block by block"),
        (of_stacks, "stack", "plane by plane"),
    ):
        n = len({part.picture for part in found})
        if n:
            yield f"{n} {what}{'s are' if n > 1 else ' is'} asked about {how}: {len(found)} images."
