"""Label files for other programs.

An export fills a folder, which may hold other files: they stay. It is written beside its place,
inside the folder, and moved there file by file, each as a whole; `MARK` says what was written, so
that the next export to the folder may replace that, and nothing of anyone else.

================  ================================================================================
``png``           ``labels/NAME.png``: grey = class id, 255 = none; ``colors/NAME.png``: the same
                  in the classes' colours; ``classes.json``, ``classes.csv``
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
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo
from napari_al.formats.exchange import label_writers
from napari_al.formats.exchange.dataset_card import write_card
from napari_al.writing import WriteError, is_left_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class Item(NamedTuple):
    """The labels of one image.

    ``file_name`` is the image's file below ``images`` (``"a/b.jpg"``; COCO refers to it),
    ``class_map`` its class ids, (H, W) uint8, `IGNORE` = none, and ``source`` its path, if it has
    one.
    """

    file_name: str
    class_map: NDArray[np.uint8]
    source: Path | None = None


Items = Iterable[Item]
Writer = Callable[[Path, Sequence[ClassInfo], Items], None]
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

MARK = ".napari-al-export.json"


def export_labels(
    out: Path,
    items: Items,
    classes: Sequence[ClassInfo],
    format: Format = "png",
    origin: str = "",
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

    Raises
    ------
    InputError
        If a file of somebody else is in the way or the folder cannot be written (it then is as
        before), or if there is nothing to export.
    """
    if format not in WRITERS:
        raise InputError(f"format must be one of {', '.join(WRITERS)}; got {format!r}.")
    if format == "voc":
        label_writers.check_voc_names(classes)
    counted = _Counted(items, len(classes))
    with export_folder(out, format) as part:
        WRITERS[format](part, classes, counted)
        if counted.n == 0:
            raise InputError("There are no labels to export.")
        write_card(part, Path(out).absolute().name, classes, format, counted.n, origin)
    return counted.n


@contextmanager
def export_folder(out: Path, format: str) -> Iterator[Path]:
    """Have an empty folder to write to, whose files go into `out` if all goes well.

    Raises
    ------
    InputError
        As `export_labels`.
    """
    out = Path(out).absolute()
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
        self.n = 0

    def __iter__(self) -> Iterator[Item]:
        for given in self._items:
            item = Item(*given)
            class_map = item.class_map
            pure = PurePosixPath(item.file_name)
            if pure.is_absolute() or ".." in pure.parts or not pure.name:
                raise InputError(f"{item.file_name!r} is not the name of a file below a folder.")
            wrong = class_map[(class_map >= self._n_classes) & (class_map != IGNORE)]
            if class_map.dtype != np.uint8 or class_map.ndim != 2 or wrong.size:
                raise InputError(
                    f"The labels of {item.file_name} must be (H, W) uint8 with class ids below "
                    f"{self._n_classes} or {IGNORE}; got {class_map.dtype} {class_map.shape}, "
                    f"largest {class_map.max(initial=0)}."
                )
            self.n += 1
            yield item


# ---- the folder


def _move_in(out: Path, part: Path, format: str) -> None:
    """Move the files of a finished export to their places, and remove those of the one before."""
    earlier, new = _earlier(out), sorted(_files_in(part))
    for name in new:
        if name not in earlier and (out / name).exists():
            raise InputError(
                f"{out / name} is in the way, and no export wrote it; move it, or name another "
                "folder."
            )
    mark = {"program": "napari-al", "format": format, "files": sorted({*new, *earlier})}
    _write_mark(out, part, mark)  # first: what is moved now may be replaced after a crash
    for name in new:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).replace(out / name)
    for name in earlier - {*new}:
        (out / name).unlink(missing_ok=True)
        with suppress(OSError):  # a folder that is not empty
            for folder in (out / name).relative_to(out).parents:
                if folder != Path():
                    (out / folder).rmdir()
    _write_mark(out, part, {**mark, "files": new})


def _write_mark(out: Path, part: Path, mark: Mapping[str, object]) -> None:
    (part / MARK).write_text(json.dumps(mark), encoding="utf-8")
    (part / MARK).replace(out / MARK)


def _earlier(out: Path) -> set[str]:
    """Return the files that an export before has written here."""
    try:
        found = json.loads((out / MARK).read_text(encoding="utf-8"))["files"]
        pures = {str(name): PurePosixPath(name) for name in found}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {name for name, p in pures.items() if not p.is_absolute() and ".." not in p.parts}


def _files_in(folder: Path) -> Iterator[str]:
    return (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
