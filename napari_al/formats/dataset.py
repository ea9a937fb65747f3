"""Data folders: images, and what may be known of them.

The contract::

    DATA/classes.json                   [{"id": 0, "name": "sky", "color": "#808080"}, ...]
    DATA/train/images/NAME.{jpg,png,tif,bmp}
    DATA/train/labels/NAME.png          class ids, 255 = ignore            (optional)
    DATA/train/initial_labels/NAME.png  pseudo-labels to correct           (optional)
    DATA/train/masks/NAME.{png,tif}     object ids, 0 = none               (optional)
    DATA/val/images, DATA/val/labels                                       (optional)

NAME may have folders in it. Without a ``train`` folder, ``DATA/images`` (beside it ``labels``, …)
or the images in DATA itself are the training images. Hidden files and files that are no pictures
are not looked at; links are followed.

Images are 8-bit, 16-bit or float, of any size, and all have the same number of channels (see
`images` for what becomes of alpha, palettes and EXIF orientation). Opening a folder reads headers
of images and compares sizes; of labels it reads the ids too, so that a run does not find out after
hours. Pixels of images are decoded when they are asked for; nothing is kept.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import BrokenDataError, InputError
from napari_al.formats.classes import (
    ClassInfo,
    as_merged,
    check_classes,
    default_classes,
    live_classes,
    read_classes,
)
from napari_al.formats.images import Header, read_header, read_ids, read_image
from napari_al.formats.listing import Kind, Listed, Split, list_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BrokenFile", "ClassInfo", "DataFolder", "Split", "default_classes"]


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class _Item:
    """One image whose files have been found good."""

    image: Path
    header: Header
    maps: dict[Kind, Path]


@dataclass(frozen=True, eq=False)
class DataFolder:
    """A data folder that has been looked through. Made by `open`.

    Attributes
    ----------
    path : Path
    classes : tuple of ClassInfo
        Ids 0 to C-1, in order.
    n_channels : int
        Of every image.
    train, val : tuple of str
        Names of the images: the path below ``images`` without suffix, with ``/``; sorted.
    broken : tuple of BrokenFile
        What ``skip_broken`` left out.
    """

    path: Path
    classes: tuple[ClassInfo, ...]
    n_channels: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    broken: tuple[BrokenFile, ...]
    _items: dict[tuple[Split, str], _Item] = field(repr=False)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        skip_broken: bool = False,
        classes: Sequence[ClassInfo] | None = None,
    ) -> DataFolder:
        """Look through a data folder.

        Parameters
        ----------
        path : Path
        skip_broken : bool
            Leave out images that cannot be used, or whose labels cannot, and list them in
            `broken`, instead of refusing the folder.
        classes : sequence of ClassInfo, optional
            Used instead of ``classes.json``.

        Raises
        ------
        InputError
            If the folder cannot be used; it names the first file at fault.
        """
        path = Path(path)
        listed = list_images(path)
        known = _classes(path, classes)
        items: dict[tuple[Split, str], _Item] = {}
        broken: list[BrokenFile] = []
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            results = pool.map(lambda one: _look(one, len(known)), listed)
            for one, result in zip(listed, results, strict=True):
                if isinstance(result, BrokenFile):
                    broken.append(result)
                else:
                    items[one.split, one.name] = result
        n_channels = _take_out_odd_channels(items, broken)
        train = tuple(name for split, name in items if split == "train")
        val = tuple(name for split, name in items if split == "val")
        if broken and not (skip_broken and train):
            raise _refusal(broken, skip_broken)
        return cls(path, known, n_channels, train, val, tuple(broken), items)

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def has_labels(self) -> bool:
        """Whether every training image has labels (see `without`)."""
        return not self.without("labels")

    @property
    def has_initial_labels(self) -> bool:
        """Whether every training image has initial labels."""
        return not self.without("initial_labels")

    @property
    def has_masks(self) -> bool:
        """Whether every training image has object masks."""
        return not self.without("masks")

    @property
    def has_val(self) -> bool:
        """Whether there are validation images; they all have labels."""
        return bool(self.val)

    def without(self, kind: Kind) -> tuple[str, ...]:
        """Return the training images that have no ``labels``, ``initial_labels`` or ``masks``."""
        return tuple(n for n in self.train if kind not in self._items["train", n].maps)

    def shape(self, name: str, split: Split = "train") -> tuple[int, int]:
        """Return (height, width) of an image, without opening its file."""
        return self._item(name, split).header.shape

    def file_name(self, name: str, split: Split = "train") -> str:
        """Return the name of an image with its suffix, as exports refer to it: ``"a/b.jpg"``."""
        return name + self._item(name, split).image.suffix

    def files(self, name: str, split: Split = "train") -> dict[str, Path]:
        """Return an image's files by the folder that each is in, ``images`` first."""
        item = self._item(name, split)
        return {"images": item.image, **{str(kind): path for kind, path in item.maps.items()}}

    def image(self, name: str, split: Split = "train") -> NDArray[Any]:
        """Return an image's pixels: (H, W, C) uint8, uint16 or float32."""
        item = self._item(name, split)
        pixels = read_image(item.image)
        if pixels.shape != (*item.header.shape, item.header.n_channels):
            raise InputError(
                f"{item.image} has changed since the data folder was opened; open it again."
            )
        return pixels

    def labels(self, name: str, split: Split = "train") -> NDArray[np.uint8] | None:
        """Return an image's true classes, (H, W) uint8, `IGNORE` = none; None without a file."""
        return self._class_map(name, split, "labels")

    def initial_labels(self, name: str) -> NDArray[np.uint8] | None:
        """Return the pseudo-labels a training image starts with; None without a file."""
        return self._class_map(name, "train", "initial_labels")

    def masks(self, name: str) -> NDArray[np.int32] | None:
        """Return a training image's object ids, (H, W) int32, 0 = none; None without a file."""
        item = self._item(name, "train")
        found = item.maps.get("masks")
        return None if found is None else _read_masks(found, item.header)

    def _class_map(self, name: str, split: Split, kind: Kind) -> NDArray[np.uint8] | None:
        item = self._item(name, split)
        found = item.maps.get(kind)
        if found is None:
            return None
        class_map = _read_class_map(found, item.header, self.n_classes)
        some_are_merged = len(live_classes(self.classes)) < self.n_classes
        return as_merged(class_map, self.classes) if some_are_merged else class_map

    def _item(self, name: str, split: Split) -> _Item:
        try:
            return self._items[split, name]
        except KeyError:
            raise InputError(f"{self.path} has no image {name!r} in {split}.") from None


# ---- looking through a folder


def _classes(path: Path, given: Sequence[ClassInfo] | None) -> tuple[ClassInfo, ...]:
    if given is not None:
        return check_classes(list(given), "the classes")
    if (path / "classes.json").exists():
        return read_classes(path / "classes.json")
    raise InputError(
        f"{path} has no classes.json, so the classes are not known. Name them, or put a "
        'classes.json there: [{"id": 0, "name": "background"}, {"id": 1, "name": "object"}].'
    )


def _look(listed: Listed, n_classes: int) -> _Item | BrokenFile:
    """Return the image if all its files can be used, or what is wrong."""
    try:
        header = read_header(listed.image)
        for kind, path in listed.maps.items():
            if kind == "masks":
                _check_size(path, read_header(path), header)
            else:
                _read_class_map(path, header, n_classes)
        if listed.split == "val" and "labels" not in listed.maps:
            raise InputError(f"{listed.image} has no labels; validation images need them.")
    except InputError as error:
        return BrokenFile(listed.image, str(error))
    return _Item(listed.image, header, listed.maps)


def _take_out_odd_channels(items: dict[tuple[Split, str], _Item], broken: list[BrokenFile]) -> int:
    """Move images whose channels differ from most images' to `broken`; return the usual number."""
    if not items:
        return 0
    counts = Counter(item.header.n_channels for item in items.values())
    usual = counts.most_common(1)[0][0]
    for key, item in list(items.items()):
        n = item.header.n_channels
        if n != usual:
            reason = (
                f"{item.image} has {n} channel{'s' if n > 1 else ''} and most images have {usual}; "
                "convert it to match."
            )
            broken.append(BrokenFile(item.image, reason))
            del items[key]
    return usual


def _refusal(broken: list[BrokenFile], skip_broken: bool) -> InputError:
    more = f" ({len(broken) - 1} more files have faults.)" if len(broken) > 1 else ""
    if skip_broken:
        return InputError(f"No training image can be used. The first: {broken[0].reason}{more}")
    return BrokenDataError(f"{broken[0].reason}{more}")


# ---- maps of ids


def _check_size(path: Path, found: Header, image: Header) -> None:
    if found.shape != image.shape:
        raise InputError(
            f"{path} is {found.width} x {found.height} pixels and its image is "
            f"{image.width} x {image.height}; they must be the same size."
        )


def _read_class_map(path: Path, image: Header, n_classes: int) -> NDArray[np.uint8]:
    ids = _read_sized(path, image)
    wrong = ids[(ids < 0) | ((ids >= n_classes) & (ids != IGNORE))]
    if wrong.size:
        raise InputError(
            f"{path} has the class id {wrong[0]}; the classes are 0 to {n_classes - 1}, and "
            f"{IGNORE} where there is none."
        )
    return ids.astype(np.uint8, copy=False)


def _read_masks(path: Path, image: Header) -> NDArray[np.int32]:
    ids = _read_sized(path, image)
    if ids.size and (ids.min() < 0 or ids.max() > np.iinfo(np.int32).max):
        raise InputError(f"{path} has object ids outside 0 to {np.iinfo(np.int32).max}.")
    return ids.astype(np.int32, copy=False)


def _read_sized(path: Path, image: Header) -> NDArray[Any]:
    ids = read_ids(path)
    _check_size(path, Header(ids.shape[0], ids.shape[1], 1, ids.dtype.name), image)
    return ids
