"""Label files for other programs.

An export is a folder that is there as a whole or not at all: it is written beside its place and
then renamed. `MARK` in it says what was written, so that the same folder can be exported to again
without touching files of anyone else.

================  ================================================================================
``png``           ``labels/NAME.png``: grey = class id, 255 = none; ``colors/NAME.png``: the same
                  in the classes' colours; ``classes.json``, ``classes.csv``
``coco``          ``annotations.json``: one annotation for each class in an image, its pixels as
                  uncompressed run lengths; category id = class id + 1
``voc``           ``SegmentationClass/NAME.png`` in VOC's palette, 255 = void;
                  ``ImageSets/Segmentation/train.txt``; ``labelmap.txt``
``cityscapes``    ``gtFine/train/FOLDER/NAME_gtFine_{labelIds,labelTrainIds,color}.png``;
                  ``labels.csv`` says which class has which id
================  ================================================================================
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import classes_to_json, palette_of
from napari_al.formats.images import IMAGE_SUFFIXES, write_png
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo

    Items = Iterable[tuple[str, NDArray[np.uint8]]]
    Writer = Callable[[Path, Sequence[ClassInfo], Items], None]

Format = Literal["png", "coco", "voc", "cityscapes"]

MARK = ".napari-al-export.json"


def export_labels(
    out: Path, items: Items, classes: Sequence[ClassInfo], format: Format = "png"
) -> int:
    """Write label images as files of another program, and return how many.

    Parameters
    ----------
    out : Path
        A folder that does not exist yet, is empty, or holds an earlier export and nothing else;
        that is replaced.
    items : iterable of (file name, (H, W) uint8)
        The file of each image below ``images`` (``"a/b.jpg"``; COCO refers to it) and its class
        ids, `IGNORE` = none. Taken one by one; nothing is kept.
    classes : sequence of ClassInfo
    format : {"png", "coco", "voc", "cityscapes"}

    Raises
    ------
    InputError
        If `out` is in use or cannot be written (the folder then is as before), or if there is
        nothing to export.
    """
    if format not in WRITERS:
        raise InputError(f"format must be one of {', '.join(WRITERS)}; got {format!r}.")
    if format == "voc":
        _check_voc_names(classes)
    counted = _Counted(items, len(classes))
    with export_folder(out, format) as part:
        WRITERS[format](part, classes, counted)
        if counted.n == 0:
            raise InputError("There are no labels to export.")
    return counted.n


@contextmanager
def export_folder(out: Path, format: str) -> Iterator[Path]:
    """Have an empty folder to write to, which becomes `out` if all goes well.

    Raises
    ------
    InputError
        As `export_labels`.
    """
    out = Path(out).absolute()
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        _check_free(out)
        part.mkdir(parents=True)
        yield part
        _mark(part, format)
        _replace(out, part)
    except (OSError, WriteError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The export to {out} failed: {reason}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


class _Counted:
    """Items on their way to a writer: checked and counted."""

    def __init__(self, items: Items, n_classes: int) -> None:
        self._items = items
        self._n_classes = n_classes
        self.n = 0

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for file_name, class_map in self._items:
            pure = PurePosixPath(file_name)
            if pure.is_absolute() or ".." in pure.parts or not pure.name:
                raise InputError(f"{file_name!r} is not the name of a file below a folder.")
            wrong = class_map[(class_map >= self._n_classes) & (class_map != IGNORE)]
            if class_map.dtype != np.uint8 or class_map.ndim != 2 or wrong.size:
                raise InputError(
                    f"The labels of {file_name} must be (H, W) uint8 with class ids below "
                    f"{self._n_classes} or {IGNORE}; got {class_map.dtype} {class_map.shape}, "
                    f"largest {class_map.max(initial=0)}."
                )
            self.n += 1
            yield file_name, class_map


# ---- the folder


def _check_free(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the export.")
    if next(_files_in(out), None) is None:
        return
    try:
        known = set(json.loads((out / MARK).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            f"{out} is not empty and is not an earlier export; name another folder."
        ) from None
    others = sorted({*_files_in(out)} - known - {MARK})
    if others:
        raise InputError(
            f"{out} holds files that no export wrote ({others[0]}); move them or name another "
            "folder."
        )


def _files_in(folder: Path) -> Iterator[str]:
    return (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _mark(part: Path, format: str) -> None:
    content = {"program": "napari-al", "format": format, "files": sorted(_files_in(part))}
    (part / MARK).write_text(json.dumps(content), encoding="utf-8")


def _replace(out: Path, part: Path) -> None:
    """Put the finished folder in its place; what was there is gone only after that."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.rename(old)
    try:
        part.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _place(folder: Path, file_name: str, ending: str = ".png") -> Path:
    """Return the new path of an image's label file, with its folders made."""
    path = folder / (_name(file_name) + ending)
    if path.exists():
        raise InputError(f"Two images would be written to {path.name}; rename {file_name}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _name(file_name: str) -> str:
    """Return the name without the suffix of an image file (and no other: names have dots)."""
    pure = PurePosixPath(file_name)
    return str(pure.with_suffix("")) if pure.suffix.lower() in IMAGE_SUFFIXES else file_name


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


# ---- png


def _write_png(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    palette = palette_of(classes)
    for file_name, class_map in items:
        write_png(_place(out / "labels", file_name), class_map)
        write_png(_place(out / "colors", file_name), class_map, palette)
    (out / "classes.json").write_text(classes_to_json(classes), encoding="utf-8")
    rows = [(c.id, c.name, c.color) for c in classes]
    _write_csv(out / "classes.csv", ("id", "name", "color"), rows)


# ---- coco


def _write_coco(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    images: list[dict[str, Any]] = []
    with (out / "annotations.json").open("w", encoding="utf-8") as file:
        file.write('{"annotations": [')
        n = 0
        for file_name, class_map in items:
            height, width = class_map.shape
            images.append(
                {"id": len(images) + 1, "file_name": file_name, "width": width, "height": height}
            )
            for class_id in np.unique(class_map[class_map != IGNORE]).tolist():
                annotation = _coco_annotation(class_map == class_id, class_id)
                annotation.update(id=n + 1, image_id=len(images))
                file.write(",\n" if n else "\n")
                json.dump(annotation, file, separators=(",", ":"))
                n += 1
        categories = [{"id": c.id + 1, "name": c.name, "supercategory": ""} for c in classes]
        file.write(
            f'],\n"categories": {json.dumps(categories)},\n"images": {json.dumps(images)},\n'
        )
        file.write('"info": {"description": "exported by napari-al"}, "licenses": []}\n')


def _coco_annotation(mask: NDArray[np.bool_], class_id: int) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "category_id": class_id + 1,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "area": int(mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "iscrowd": 0,
    }


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return COCO's run lengths of a mask: down the columns, outside and inside in turn."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts: list[int] = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    return counts[:-1] if counts[-1] == 0 else counts


# ---- voc


def _check_voc_names(classes: Sequence[ClassInfo]) -> None:
    for c in classes:
        if ":" in c.name or c.name.startswith("#"):
            raise InputError(
                f"labelmap.txt of VOC cannot hold the class name {c.name!r} (a ':' or '#'); "
                "rename it in classes.json."
            )


def _write_voc(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    palette = voc_palette()
    names = []
    for file_name, class_map in items:
        write_png(_place(out / "SegmentationClass", file_name), class_map, palette)
        names.append(_name(file_name))
    sets = out / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"{c.name}:{','.join(map(str, palette[c.id].tolist()))}::" for c in classes]
    (out / "labelmap.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def voc_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of VOC, (256, 3) uint8: the bits of the index, dealt to R, G, B."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            taken = (index >> channel) & 1
            palette[:, channel] |= (taken << (7 - bit)).astype(np.uint8)
        index = index >> 3
    return palette


# ---- cityscapes

CITYSCAPES_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17,
    "traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23,
    "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "train": 31, "motorcycle": 32,
    "bicycle": 33,
}  # fmt: skip
"""Its label ids; a class's train id is its place in this list."""


def _write_cityscapes(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    label_ids, train_ids = _cityscapes_ids(classes)
    palette = palette_of(classes)
    for file_name, class_map in items:
        name = _name(file_name).removesuffix("_leftImg8bit")
        if "/" not in name:
            name = f"all/{name}"  # readers expect a folder for each city
        folder = out / "gtFine" / "train"
        for kind, table in (("labelIds", label_ids), ("labelTrainIds", train_ids)):
            write_png(_place(folder, name, f"_gtFine_{kind}.png"), table[class_map])
        write_png(_place(folder, name, "_gtFine_color.png"), class_map, palette)
    rows = [(c.name, label_ids[c.id], train_ids[c.id], c.color) for c in classes]
    _write_csv(out / "labels.csv", ("name", "labelId", "trainId", "color"), rows)


def _cityscapes_ids(
    classes: Sequence[ClassInfo],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return tables from class id to label id (0 = unlabelled) and to train id (255 = none).

    The ids are Cityscapes' own where all classes are; else the class ids, label ids one more.
    """
    label_ids, train_ids = np.zeros(256, np.uint8), np.full(256, IGNORE, np.uint8)
    official = list(CITYSCAPES_IDS)
    for c in classes:
        if all(other.name in CITYSCAPES_IDS for other in classes):
            label_ids[c.id] = CITYSCAPES_IDS[c.name]
            train_ids[c.id] = official.index(c.name)
        else:
            label_ids[c.id], train_ids[c.id] = c.id + 1, c.id
    return label_ids, train_ids


WRITERS: dict[Format, Writer] = {
    "png": _write_png,
    "coco": _write_coco,
    "voc": _write_voc,
    "cityscapes": _write_cityscapes,
}
