"""Label files for other programs.

An export fills a folder, which may hold other files and exports of other formats: they stay. It is
written beside its place, inside the folder, and moved there file by file, each as a whole; `MARK`
says what was written, so that another export of the format may replace that where it is told to,
and nothing of anyone else.

================  ================================================================================
``png``           ``labels/NAME.png``: grey = class id, 255 = none; ``colors/NAME.png``: the same
                  in the classes' colours; of large pictures and stacks ``labels/NAME.tif``, in
                  colours; ``classes.json``, ``classes.csv``
``coco``          ``annotations.json``: one annotation for each class in an image, its pixels as
                  uncompressed run lengths; category id = class id + 1
``voc``           ``SegmentationClass/NAME.png`` in VOC's palette, 255 = void;
                  ``ImageSets/Segmentation/train.txt``; ``labelmap.txt``
``cityscapes``    ``gtFine/train/FOLDER/NAME_gtFine_{labelIds,labelTrainIds,color}.png``;
                  ``labels.csv`` says which class has which id
``yolo``          ``labels/NAME.txt``: outlines in shares of the image's size; ``data.yaml``
``labelme``       ``NAME.json``: polygons; ``labels.txt``
``geotiff``       ``labels/NAME.tif``: class ids with the image's georeference; ``classes.json``
``ngff``          ``NAME.zarr``: OME-Zarr 0.5 with labels, their colours and names
================  ================================================================================

Each has a dataset card (``dataset_card.py``) beside them.
With any of them ``uncertainty/NAME.png`` (or ``.tif``) may go: grey, 0 = the model is sure, 255 =
two classes are equally likely. In formats without stacks each plane is a picture, ``NAME@z03``.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo
from napari_al.formats.exchange import label_writers
from napari_al.formats.exchange.dataset_card import CARD, write_card
from napari_al.formats.parts.picture_parts import each_plane, part_name
from napari_al.formats.parts.stitched import Stitched, single
from napari_al.writing import WriteError, is_left_over

if TYPE_CHECKING:
    from collections.abc import Iterator


ClassMap = NDArray[np.uint8] | Stitched


class Item(NamedTuple):
    """The labels of one image.

    ``file_name`` is the image's file below ``images`` (``"a/b.jpg"``; COCO refers to it),
    ``class_map`` its class ids, (H, W) uint8, `IGNORE` = none (or those of a large picture or a
    stack), and ``source`` its path, if it has one.
    """

    file_name: str
    class_map: ClassMap
    source: Path | None = None


class Picture(NamedTuple):
    """The same of a single picture in memory."""

    file_name: str
    class_map: NDArray[np.uint8]
    source: Path | None = None


Items = Iterable[Item]
Pictures = Iterable[Picture]
Writer = Callable[[Path, Sequence[ClassInfo], Any], None]
"""Takes `Items`, or, unless it is in `BY_PARTS`, `Pictures`."""
Format = Literal["png", "coco", "voc", "cityscapes", "yolo", "labelme", "geotiff", "ngff"]

WRITERS: Final[dict[Format, Writer]] = {
    "png": label_writers.write_index_png,
    "coco": label_writers.write_coco,
    "voc": label_writers.write_voc,
    "cityscapes": label_writers.write_cityscapes,
    "yolo": label_writers.write_yolo,
    "labelme": label_writers.write_labelme,
    "geotiff": label_writers.write_geotiff,
    "ngff": label_writers.write_ngff,
}

BY_PARTS: Final = ("png", "geotiff", "ngff")
"""Formats that have large pictures and stacks."""
MARK = ".napari-al-export.json"


def export_labels(
    out: Path,
    items: Items,
    classes: Sequence[ClassInfo],
    format: Format = "png",
    origin: str = "",
    *,
    overwrite: bool = False,
    uncertainty: Callable[[str], ClassMap] | None = None,
) -> int:
    """Write label images as files of another program, and return how many.

    Parameters
    ----------
    out : Path
        A folder; files in it that no export wrote stay.
    items : iterable of Item
        Taken one by one; nothing is kept.
    classes : sequence of ClassInfo
    format : str
        A key of `WRITERS`.
    origin : str
        A sentence for the dataset card: where the labels come from.
    overwrite : bool
        Replace an earlier export of this format in the folder.
    uncertainty : callable, optional
        Returns the (H, W) uint8 uncertainty map of an image, by its file name.

    Raises
    ------
    InputError
        If the folder has an export of this format and ``overwrite`` is not set, if a file of
        somebody else is in the way or the folder cannot be written (it then is as before), or if
        there is nothing to export.
    """
    if format not in WRITERS:
        raise InputError(f"format must be one of {', '.join(WRITERS)}; got {format!r}.")
    if format == "voc":
        label_writers.check_voc_names(classes)
    counted = _Counted(items, len(classes))
    with export_folder(out, format, overwrite=overwrite) as part:
        WRITERS[format](part, classes, counted if format in BY_PARTS else _in_planes(counted))
        if not counted.sources:
            raise InputError("There are no labels to export.")
        n_images = len(counted.sources)
        write_card(part, Path(out).absolute().name, classes, format, n_images, origin)
        if uncertainty is not None:
            for file_name, source in counted.sources.items():
                uncertain = uncertainty(file_name)
                label_writers.write_map(part / "uncertainty", file_name, uncertain, source)
    return n_images


def holds_export(out: Path, format: str) -> bool:
    """Return whether an export of a format has been written to a folder."""
    return format in _exports_in(Path(out))


def check_free(out: Path, format: str) -> None:
    """Raise an InputError if a folder holds an export of a format."""
    if holds_export(out, format):
        raise InputError(
            f"{out} holds an export as {format} already, which is kept; name another folder, or "
            "say that it is to be replaced (--overwrite)."
        )


@contextmanager
def export_folder(out: Path, format: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Have an empty folder to write to, whose files go into `out` if all goes well.

    Raises
    ------
    InputError
        As `export_labels`.
    """
    out = Path(out).absolute()
    if not overwrite:
        check_free(out, format)
    part = out / f".{uuid.uuid4().hex}.tmp"
    was_there = out.exists()
    if was_there and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the export.")
    try:
        part.mkdir(parents=True)
        yield part
        _move_in(out, part, format)
    except (OSError, WriteError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The export to {out} failed: {reason}.") from error
    finally:
        for left in out.glob(".*.tmp"):
            if is_left_over(left):
                shutil.rmtree(left, ignore_errors=True)
        if not was_there:
            with suppress(OSError):
                out.rmdir()  # empty if the export failed


class _Counted:
    """Items on their way to a writer: checked and counted."""

    def __init__(self, items: Items, n_classes: int) -> None:
        self._items = items
        self._n_classes = n_classes
        self.sources: dict[str, Path | None] = {}

    def __iter__(self) -> Iterator[Item]:
        for given in self._items:
            item = Item(*given)
            class_map = item.class_map
            pure = PurePosixPath(item.file_name)
            if pure.is_absolute() or ".." in pure.parts or not pure.name:
                raise InputError(f"{item.file_name!r} is not the name of a file below a folder.")
            if isinstance(class_map, np.ndarray):
                self._check(item.file_name, class_map)
            self.sources[item.file_name] = item.source
            yield item

    def _check(self, file_name: str, class_map: NDArray[np.uint8]) -> None:
        wrong = class_map[(class_map >= self._n_classes) & (class_map != IGNORE)]
        if class_map.dtype != np.uint8 or class_map.ndim != 2 or wrong.size:
            raise InputError(
                f"The labels of {file_name} must be (H, W) uint8 with class ids below "
                f"{self._n_classes} or {IGNORE}; got {class_map.dtype} {class_map.shape}, "
                f"largest {class_map.max(initial=0)}."
            )


def _in_planes(items: Items) -> Iterator[Picture]:
    """Yield single pictures: planes of a stack one by one."""
    for file_name, class_map, source in items:
        ids, pure = single(class_map), PurePosixPath(file_name)
        if not ids.planes:
            yield Picture(file_name, ids.whole(), source)
            continue
        for plane in each_plane(ids.planes):
            name = part_name(str(pure.with_suffix("")), ids.planes, plane)
            yield Picture(name + pure.suffix, ids.whole(plane))


# ---- the folder


def _move_in(out: Path, part: Path, format: str) -> None:
    """Move the files of a finished export to their places, and remove those of the one before."""
    exports, new = _exports_in(out), set(_files_in(part))
    known = set().union(*exports.values())
    for name in sorted(new - known):
        if (out / name).exists():
            raise InputError(
                f"{out / name} is in the way, and no export wrote it; move it, or name another "
                "folder."
            )
    outdated = exports.pop(format, set())
    for other, names in exports.items():
        shared = names & new - {CARD}  # which describes the newest export
        if shared:
            raise InputError(
                f"{out / min(shared)} belongs to the export as {other}; name another folder "
                f"for the one as {format}."
            )
    # first: what is moved now may be replaced after a crash
    _write_mark(out, part, {**exports, format: new | outdated})
    for name in sorted(new):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).replace(out / name)
    for name in outdated - new:
        (out / name).unlink(missing_ok=True)
        with suppress(OSError):  # a folder that is not empty
            for folder in (out / name).relative_to(out).parents:
                if folder != Path():
                    (out / folder).rmdir()
    _write_mark(out, part, {**exports, format: new})


def _write_mark(out: Path, part: Path, exports: Mapping[str, set[str]]) -> None:
    listed = {format: sorted(names) for format, names in exports.items()}
    mark = {"program": "napari-al", "exports": listed}
    (part / MARK).write_text(json.dumps(mark), encoding="utf-8")
    (part / MARK).replace(out / MARK)


def _exports_in(out: Path) -> dict[str, set[str]]:
    """Return the files that exports before have written here, by format."""
    try:
        found = json.loads((out / MARK).read_text(encoding="utf-8"))
        listed = {str(format): set(map(str, names)) for format, names in found["exports"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return {format: set(filter(_is_below, names)) for format, names in listed.items()}


def _is_below(name: str) -> bool:
    pure = PurePosixPath(name)
    return not pure.is_absolute() and ".." not in pure.parts


def _files_in(folder: Path) -> Iterator[str]:
    return (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
