"""Data folders: images, and what may be known of them.

The contract::

    DATA/classes.json                   [{"id": 0, "name": "sky", "color": "#808080"}, ...]
    DATA/train/images/NAME.{jpg,png,tif,bmp,webp,jp2}
    DATA/train/labels/NAME.png          class ids, 255 = ignore            (optional)
    DATA/train/initial_labels/NAME.png  pseudo-labels to correct           (optional)
    DATA/train/masks/NAME.{png,tif}     object ids, 0 = none               (optional)
    DATA/val/images, DATA/val/labels                                       (optional)

A picture too large to be handled as a whole is listed as its blocks, and a stack as its planes
(`parts.picture_parts`): each is an image of its own. These, and their labels, may be OME-Zarr, too.
NAME may have folders in it. Without a ``train`` folder, ``DATA/images`` (beside it ``labels``, …)
or the images in DATA itself are the training images. Hidden files are not looked at, files of other
kinds are counted in ``notes``; links are followed.

All images have the same number of channels and the same pixel type, by `ImageRules` (see `images`
for what becomes of alpha, palettes and EXIF orientation). Opening a folder reads headers of images
and compares sizes; of labels it reads the ids too where they are needed, so that a run does not
find out after hours. Pixels of images are decoded when they are asked for; nothing is kept.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.in_place import InPlace
from napari_al.core.ranges import some_pixels, usual_range
from napari_al.errors import BrokenDataError, InputError
from napari_al.formats.classes import (
    ClassInfo,
    as_merged,
    classes_of,
    default_classes,
    live_classes,
)
from napari_al.formats.folder_check import (
    BrokenFile,
    Item,
    Look,
    check_labels_of,
    in_parts,
    notes_of,
    notes_on_parts,
    take_out_odd_images,
)
from napari_al.formats.image_rules import ImageRules, filled, valid_pixels
from napari_al.formats.images import Header
from napari_al.formats.known_headers import KnownHeaders
from napari_al.formats.label_maps import read_class_map, read_masks
from napari_al.formats.listing import Kind, Split, list_images
from napari_al.formats.parts.rasters import open_raster, read_whole
from napari_al.formats.remote import address_in, local_folder
from napari_al.processors import n_cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_al.formats.parts.picture_parts import Part

N_IMAGES_FOR_RANGES = 16
N_LOOKED_AT = 64
"""Images that a thread looks at in turn."""

__all__ = ["BrokenFile", "ClassInfo", "DataFolder", "Split", "default_classes"]


@dataclass(frozen=True, eq=False)
class DataFolder:
    """A data folder that has been looked through. Made by `open`.

    Attributes
    ----------
    path : Path
    classes : tuple of ClassInfo
        Ids 0 to C-1, in order.
    rules : ImageRules
        How the images are read; decided.
    train, val : tuple of str
        Names of the images: the path below ``images`` without suffix, with ``/``, and what part
        of a picture they are; sorted.
    broken : tuple of BrokenFile
        What ``skip_broken`` left out.
    notes : tuple of str
        What else is left out or read otherwise than a program may think, a sentence each.
    """

    path: Path
    classes: tuple[ClassInfo, ...]
    rules: ImageRules
    train: tuple[str, ...]
    val: tuple[str, ...]
    broken: tuple[BrokenFile, ...]
    notes: tuple[str, ...]
    _items: dict[tuple[Split, str], Item] = field(repr=False)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        skip_broken: bool = False,
        classes: Sequence[ClassInfo] | None = None,
        rules: ImageRules | None = None,
        check_labels: bool = True,
        check_pixels: bool | None = None,
        headers: KnownHeaders | None = None,
    ) -> DataFolder:
        """Look through a data folder.

        Parameters
        ----------
        path : Path
            Or an address (`remote`), as a path, too.
        skip_broken : bool
            Leave out images that cannot be used, or whose labels cannot, and list them in
            `broken`, instead of refusing the folder.
        classes : sequence of ClassInfo, optional
            Used instead of ``classes.json``.
        rules : ImageRules, optional
            How to read the images: what is not decided in it is found out.
        check_labels : bool
            Read every label now. False where nobody needs them: validation images without labels
            are then left out with a note.
        check_pixels : bool, optional
            Decode every image now, so that damage shows; by default with ``skip_broken``.
        headers : KnownHeaders, optional
            Those that were read before.

        Raises
        ------
        InputError
            If the folder cannot be used; it names the first file at fault.
        """
        address, rules = address_in(path), rules or ImageRules()
        path = Path(path) if address is None else local_folder(address)
        listed = list_images(path, skip_broken=skip_broken)
        look = Look(
            classes_of(path, classes),
            rules,
            check_labels,
            skip_broken if check_pixels is None else check_pixels,
            headers or KnownHeaders(path),
        )
        pictures: dict[tuple[Split, str], Item] = {}
        broken: list[BrokenFile] = []
        starts = range(0, len(listed.images), N_LOOKED_AT)
        blocks = [listed.images[start : start + N_LOOKED_AT] for start in starts]
        with ThreadPoolExecutor(max_workers=min(8, n_cores())) as pool:
            found = chain.from_iterable(pool.map(lambda block: list(map(look, block)), blocks))
            for one, result in zip(listed.images, found, strict=True):
                if isinstance(result, BrokenFile):
                    broken.append(result)
                elif result is not None:
                    pictures[one.split, one.name] = result
        if pictures and not rules.is_decided:
            rules = rules.decided([item.header for item in pictures.values()])
        take_out_odd_images(pictures, broken, rules)
        items = in_parts(pictures, rules)
        train = tuple(name for split, name in items if split == "train")
        val = tuple(name for split, name in items if split == "val")
        if broken and not (skip_broken and train):
            raise _refusal(broken, skip_broken)
        if check_labels:
            check_labels_of(path, look.classes, pictures, rules)
        about_pictures = notes_of(path, look.classes, pictures, rules)
        notes = (*listed.notes, *about_pictures, *notes_on_parts(items))
        data = cls(path, look.classes, rules, train, val, tuple(broken), notes, items)
        return data if rules.ranges else replace(data, rules=_with_ranges(data))

    @classmethod
    def without_files(
        cls,
        path: Path,
        classes: Sequence[ClassInfo],
        rules: ImageRules,
        images: Mapping[tuple[Split, str], tuple[Path, tuple[int, int], Part | None]],
    ) -> DataFolder:
        """Return a data folder that is not there: names, sizes (H, W) and parts, but no pixels."""
        n_channels, dtype = rules.n_channels or 1, rules.pixel_type or "uint8"
        items = {
            key: Item(file, Header(*shape, n_channels, dtype), {}, part=part)
            for key, (file, shape, part) in images.items()
        }
        train = tuple(name for split, name in items if split == "train")
        val = tuple(name for split, name in items if split == "val")
        note = f"{path} is not there: its images cannot be shown."
        return cls(path, tuple(classes), rules, train, val, (), (note,), items)

    @property
    def n_channels(self) -> int:
        """Of every image."""
        return self.rules.n_channels or 0

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

    @cached_property
    def has_blocks(self) -> bool:
        """Whether an image is a block of a larger picture."""
        return any(item.part is not None and item.part.is_block for item in self._items.values())

    @cached_property
    def number_of(self) -> dict[str, int]:
        """Position of each training image in ``train``."""
        return {name: number for number, name in enumerate(self.train)}

    def has_some(self, kind: Kind) -> bool:
        """Whether a training image has ``labels``, ``initial_labels`` or ``masks``."""
        return any(kind in self._items["train", name].maps for name in self.train)

    def without(self, kind: Kind) -> tuple[str, ...]:
        """Return the training images that have no ``labels``, ``initial_labels`` or ``masks``."""
        return tuple(n for n in self.train if kind not in self._items["train", n].maps)

    def shape(self, name: str, split: Split = "train") -> tuple[int, int]:
        """Return (height, width) of an image, without opening its file."""
        return self._item(name, split).header.shape

    def file_name(self, name: str, split: Split = "train") -> str:
        """Return the name of an image's file, as exports refer to it: ``"a/b.jpg"``."""
        item = self._item(name, split)
        return (name if item.part is None else item.part.picture) + item.image.suffix

    def part(self, name: str, split: Split = "train") -> Part | None:
        """Return the part of a picture that an image is; None if it is one of its own."""
        return self._item(name, split).part

    def files(self, name: str, split: Split = "train") -> dict[str, Path]:
        """Return an image's files by the folder that each is in, ``images`` first."""
        item = self._item(name, split)
        return {"images": item.image, **{str(kind): path for kind, path in item.maps.items()}}

    def image(self, name: str, split: Split = "train") -> NDArray[Any]:
        """Return an image's pixels: (H, W, C) uint8, uint16 or float32, all of them finite.

        Pixels without data have the median of the others (see `valid`).
        """
        item = self._item(name, split)
        pixels, valid = self._pixels(item)
        if valid is not None and not valid.any():
            raise InputError(f"{item.image} has no pixel with data (all are nodata or not finite).")
        return pixels if valid is None else filled(pixels, valid)

    def in_place(self, name: str, split: Split = "train") -> NDArray[Any] | InPlace:
        """Return what a network is given of an image: its pixels, or a block where it lies."""
        return self.block(name, split) or self.image(name, split)

    def block(self, name: str, split: Split = "train") -> InPlace | None:
        """Return a block of a picture where it lies; None for other images."""
        item = self._item(name, split)
        part = item.part
        if part is None or not part.is_block:
            return None

        def read(rows: slice, cols: slice) -> NDArray[Any]:
            box = (rows.start, cols.start, rows.stop, cols.stop)
            pixels, valid = self._pixels(item, replace(part, box=box))
            return pixels if valid is None else filled(pixels, valid)

        return InPlace(read, part.picture_shape, part.rows, part.cols)

    def valid(self, name: str, split: Split = "train") -> NDArray[np.bool_] | None:
        """Return which pixels of an image hold data, (H, W); None where all do.

        Pixels without data are in no region, are `IGNORE` in every class map and 0 in masks.
        """
        item = self._item(name, split)
        return self._pixels(item)[1] if self._may_lack_data(item) else None

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
        if found is None:
            return None
        masks, valid = read_masks(found, item.header, item.part), self.valid(name)
        return masks if valid is None else np.where(valid, masks, 0)

    def _class_map(self, name: str, split: Split, kind: Kind) -> NDArray[np.uint8] | None:
        item = self._item(name, split)
        found = item.maps.get(kind)
        if found is None:
            return None
        table = self._label_ids(kind)
        class_map = read_class_map(found, item.header, self.n_classes, table, item.part)
        if len(live_classes(self.classes)) < self.n_classes:
            class_map = as_merged(class_map, self.classes)
        valid = self.valid(name, split)
        return class_map if valid is None else np.where(valid, class_map, np.uint8(IGNORE))

    def _label_ids(self, kind: Kind) -> Mapping[int, int]:
        return self.rules.label_ids if kind == "labels" else {}

    def _may_lack_data(self, item: Item) -> bool:
        return item.header.dtype == "float32" or self._nodata(item) is not None

    def _nodata(self, item: Item) -> float | None:
        return item.header.nodata if self.rules.nodata is None else self.rules.nodata

    def _pixels(
        self, item: Item, part: Part | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the pixels of an image, or another part of its picture, by the rules.

        And which hold data; None: all.
        """
        part = part or item.part
        if part is None:
            pixels, is_same = read_whole(item.image, self.rules.pages), True
        else:
            with open_raster(item.image, self.rules.pages) as raster:
                is_same = (raster.shape, raster.planes) == (part.picture_shape, part.planes)
                pixels = raster.read(part.rows, part.cols, part.plane)
        shape = item.header.shape if part is None else part.shape
        found = (*pixels.shape, pixels.dtype.name)
        if not is_same or found != (*shape, item.header.n_channels, item.header.dtype):
            raise InputError(
                f"{item.image} has changed since the data folder was opened; open it again."
            )
        return self.rules.fitted(pixels), valid_pixels(pixels, self._nodata(item))

    def _item(self, name: str, split: Split) -> Item:
        try:
            return self._items[split, name]
        except KeyError:
            raise InputError(f"{self.path} has no image {name!r} in {split}.") from None


# ---- looking through a folder


def _with_ranges(data: DataFolder) -> ImageRules:
    """Return the rules with the range of each channel, found in some of the images."""
    if data.rules.pixel_type == "uint8":
        return data.rules.model_copy(update={"ranges": ((0.0, 255.0),) * data.n_channels})
    names = data.train[:: max(1, len(data.train) // N_IMAGES_FOR_RANGES)]
    if not (samples := list(some_pixels(_valid_samples(data, names)))):
        return data.rules
    low, high = usual_range(samples)
    ranges = tuple(zip(low.tolist(), high.tolist(), strict=True))
    return data.rules.model_copy(update={"ranges": ranges})


def _valid_samples(data: DataFolder, names: Sequence[str]) -> Iterator[NDArray[Any]]:
    """Yield (n, C) pixels with data of the images that can be read."""
    for name in names:
        with suppress(InputError):  # whoever needs the image will say so
            pixels, valid = data._pixels(data._item(name, "train"))
            yield pixels.reshape(-1, pixels.shape[2]) if valid is None else pixels[valid]


def _refusal(broken: list[BrokenFile], skip_broken: bool) -> InputError:
    more = f" ({len(broken) - 1} more files have faults.)" if len(broken) > 1 else ""
    if skip_broken:
        return InputError(f"No training image can be used. The first: {broken[0].reason}{more}")
    return BrokenDataError(f"{broken[0].reason}{more}")
