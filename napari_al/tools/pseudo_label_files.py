"""The data folder that pseudo-labels are written into.

It has links to the images of another one, and for each image initial labels and object masks, which
are there once they are whole; the labels come last. Those of parts of a picture (`parts`) are put
together to files of its size.
"""

from __future__ import annotations

import shutil
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.formats.classes import classes_to_json, palette_of
from napari_al.formats.exchange.label_writers import write_stitched_tiff
from napari_al.formats.images import read_ids, write_png
from napari_al.formats.linking import link_file
from napari_al.formats.parts.picture_parts import by_picture
from napari_al.formats.parts.stitched import stitched
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.dataset import DataFolder, Split
    from napari_al.formats.parts.picture_parts import Part
    from napari_al.formats.parts.stitched import Stitched

    Kind = Literal["initial_labels", "masks"]

PARTS = ".parts"
"""Folder of the files of parts of pictures that are not whole yet."""


class LabelledFolder:
    """A data folder that initial labels are written into, image by image.

    Parameters
    ----------
    path : Path
    data : DataFolder
        The images.
    classes : sequence of ClassInfo
    """

    def __init__(self, path: Path, data: DataFolder, classes: Sequence[ClassInfo]) -> None:
        self._path, self._data = path, data
        self._classes, self._palette = classes, palette_of(classes)
        self._parts = by_picture(map(data.part, data.train))

    def begin(self) -> None:
        """Write the classes; link the images, and what is known of them."""
        write_atomic(self._path / "classes.json", classes_to_json(self._classes).encode())
        self._link()
        for picture in self._parts:  # stopped before they were put together
            self._put_together(picture)

    def waiting(self) -> list[str]:
        """Return the images that are not labelled yet."""
        return [name for name in self._data.train if not self._is_done(name)]

    def write(
        self, name: str, labels: NDArray[np.uint8], objects: NDArray[np.int32] | None
    ) -> None:
        """Write an image's object ids (0 = none), if they are known, then its labels."""
        if objects is not None:
            write_png(self._file("masks", name), objects.astype(np.uint16))
        write_png(self._file("initial_labels", name), labels, self._palette)
        part = self._data.part(name)
        if part is not None:
            self._put_together(part.picture)

    def end(self) -> None:
        """Remove what is not needed once all images are labelled."""
        shutil.rmtree(self._path / PARTS, ignore_errors=True)

    def _is_done(self, name: str) -> bool:
        part = self._data.part(name)
        is_whole = part is not None and self._whole("initial_labels", part.picture).exists()
        return is_whole or self._file("initial_labels", name).exists()

    def _file(self, kind: Kind, name: str) -> Path:
        part = self._data.part(name)
        folder = self._path / "train" if part is None else self._path / PARTS / part.picture
        return folder / kind / f"{name}.png"

    def _whole(self, kind: Kind, picture: str) -> Path:
        return self._path / "train" / kind / f"{picture}.tif"

    # ---- parts of pictures

    def _put_together(self, picture: str) -> None:
        """Write the files of a picture, once those of all its parts are there."""
        parts = self._parts[picture]
        files = [self._file("initial_labels", part.name) for part in parts]
        if self._whole("initial_labels", picture).exists() or not all(f.exists() for f in files):
            return
        if self._file("masks", parts[0].name).exists():
            self._write_objects(picture)
        labels = stitched(parts, partial(self._read, "initial_labels"))
        self._write_whole("initial_labels", picture, labels, self._palette)
        shutil.rmtree(self._path / PARTS / picture)

    def _write_objects(self, picture: str) -> None:
        """Write the objects of all parts, with ids that go on from part to part."""
        parts = self._parts[picture]
        numbers = [int(self._read("masks", part).max()) for part in parts]
        n_before = dict(zip(parts, accumulate(numbers, initial=0), strict=False))

        def read(part: Part) -> NDArray[np.uint32]:
            ids = self._read("masks", part).astype(np.uint32)
            return np.where(ids > 0, ids + np.uint32(n_before[part]), np.uint32(0))

        self._write_whole("masks", picture, stitched(parts, read, np.uint32(0)))

    def _read(self, kind: Kind, part: Part) -> NDArray[Any]:
        return read_ids(self._file(kind, part.name))

    def _write_whole(
        self, kind: Kind, picture: str, ids: Stitched, palette: NDArray[np.uint8] | None = None
    ) -> None:
        source = self._data.files(self._parts[picture][0].name)["images"]
        dtype = np.uint8 if kind == "initial_labels" else np.uint32
        write_stitched_tiff(self._whole(kind, picture), ids, source, palette, dtype=dtype)

    # ---- links

    def _link(self) -> None:
        """Link the images, and what is known of them but initial labels and masks."""
        data, out = self._data, self._path
        splits: dict[Split, tuple[str, ...]] = {"train": data.train, "val": data.val}
        for split, names in splits.items():
            for name in names:
                part = data.part(name, split)
                picture = name if part is None else part.picture
                for kind, path in data.files(name, split).items():
                    if kind in ("images", "labels"):
                        link_file(path, out / split / kind / f"{picture}{path.suffix}")
        for name in data.train:
            for folder in ("polygons", "images"):
                path = data.path / "train" / folder / f"{name}.json"
                if path.is_file():
                    link_file(path, out / "train" / folder / f"{name}.json")
