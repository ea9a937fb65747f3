"""Import labels of other programs as a data folder or as answers: ``napari-al import``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import check_classes, classes_to_json, live_classes, read_classes
from napari_al.formats.exchange import label_readers, object_readers
from napari_al.formats.exchange.label_readers import Imported, ImportRequest, LabelledImage
from napari_al.formats.images import IMAGE_SUFFIXES, read_header, write_png
from napari_al.formats.linking import link_file
from napari_al.formats.listing import files_below, is_image_name, spelling
from napari_al.tools.given_answers import AnswersGiven, give_answers
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.session.session import Session

ImportFormat = Literal[
    "index", "colours", "voc", "coco", "cityscapes", "labelme", "yolo", "geotiff", "ngff"
]
READERS: Final[dict[ImportFormat, Callable[[Path, ImportRequest], Imported]]] = {
    "index": label_readers.read_index,
    "colours": label_readers.read_colours,
    "voc": label_readers.read_voc,
    "coco": object_readers.read_coco,
    "cityscapes": label_readers.read_cityscapes,
    "labelme": object_readers.read_labelme,
    "yolo": object_readers.read_yolo,
    "geotiff": label_readers.read_index,
    "ngff": label_readers.read_ngff,
}
Kind = Literal["labels", "initial_labels"]
T = TypeVar("T")
_IMAGE_FOLDERS = ("images", "train/images", "JPEGImages", "leftImg8bit/train")


class ImportResult(NamedTuple):
    """How many images have labels now, their classes, and what was left out, a sentence each."""

    n_images: int
    classes: tuple[ClassInfo, ...]
    notes: tuple[str, ...]


def import_labels(
    format: ImportFormat,
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    classes: tuple[ClassInfo, ...] | None = None,
    table: Mapping[int, str] | None = None,
    background: str | None = None,
    kind: Kind = "labels",
    on_progress: Callable[[int], None] = lambda _done: None,
) -> ImportResult:
    """Write labels of another program as a data folder; the images are linked.

    Parameters
    ----------
    format : str
        A key of `READERS`.
    source : Path
        A folder, or a JSON file of COCO's.
    out : Path
        A new folder, or a data folder with the same classes.
    images : Path, optional
        The folder of images; by default one beside the labels.
    classes : tuple of ClassInfo, optional
        Where the source does not name them.
    table : mapping of int to str, optional
        Which class (or "ignore") a stored value stands for.
    background : str, optional
        The class of pixels without a label; by default they stay without.
    kind : {"labels", "initial_labels"}
        Ground truth, or labels to correct.
    on_progress : callable
        Is told how many images are done.

    Raises
    ------
    InputError
        If the source or the folder cannot be used; it names the first file at fault.
    """
    if format not in READERS:
        raise InputError(f"format must be one of {', '.join(READERS)}; got {format!r}.")
    if not source.exists():
        raise InputError(f"{source} does not exist.")
    pictures = _find_images(source, images, format)
    measured = pictures.items() if format == "yolo" else ()
    sizes = {name: read_header(path).shape for name, path in measured}
    found = READERS[format](source, ImportRequest(classes, dict(table or {}), sizes))
    classes, background_id = _with_background(found.classes, background)
    _check_out(out, classes)
    by_name = _by_last_name(pictures)
    n_done, n_empty, unmatched = 0, 0, []
    for name, class_map in found.images:
        if not is_image_name(name):
            raise InputError(f"{name!r} is not the name of an image below a folder.")
        spelt = spelling(name)
        picture = pictures.get(spelt) or by_name.get(spelt.rpartition("/")[2])
        if pictures and picture is None:
            unmatched.append(name)
            continue
        if background_id is not None:
            class_map = _filled(class_map, background_id)
        n_empty += bool((class_map == IGNORE).all())
        _write(out, name, class_map, picture, kind)
        n_done += 1
        on_progress(n_done)
    if not n_done:
        raise InputError(f"No image of {images or source} has labels in {source}.")
    write_atomic(out / "classes.json", classes_to_json(classes).encode())
    return ImportResult(
        n_done, classes, (*found.notes, *_notes(unmatched, n_empty, bool(pictures), out))
    )


def import_answers(
    session: Session,
    format: ImportFormat,
    source: Path,
    *,
    table: Mapping[int, str] | None = None,
    background: str | None = None,
) -> AnswersGiven:
    """Give a project the answers that labels of another program hold: ``give_answers``.

    Parameters
    ----------
    session : Session
    format, source, table, background
        As of `import_labels`. Classes are known by their names; ids are those of the project.

    Raises
    ------
    InputError
        If the source cannot be used, or has a class that the project has not.
    """
    data, classes = session.data, session.config.classes
    sizes = {name: data.shape(name) for name in data.train}
    found = READERS[format](source, ImportRequest(classes, dict(table or {}), sizes))
    id_of = {c.name: c.id for c in live_classes(classes)}
    missing = [c.name for c in live_classes(found.classes) if c.name not in id_of]
    if missing:
        raise InputError(f"{source} has the class {missing[0]!r}, and the project has not; add it.")
    if background is not None and background not in id_of:
        raise InputError(f"The project has no class {background!r} for pixels without a label.")
    ids = np.full(IGNORE + 1, IGNORE, np.uint8)
    for c in found.classes:
        ids[c.id] = id_of.get(c.name, IGNORE)
    if background is not None:
        ids[IGNORE] = id_of[background]
    train = {spelling(name): name for name in data.train}
    by_last = _by_last_name(train)

    def maps() -> Iterator[LabelledImage]:
        for name, class_map in found.images:
            spelt = spelling(name)
            known = train.get(spelt) or by_last.get(spelt.rpartition("/")[2], name)
            yield LabelledImage(known, ids[class_map])

    given = give_answers(session, maps())
    return given._replace(notes=(*found.notes, *given.notes))


def _notes(unmatched: list[str], n_empty: int, has_images: bool, out: Path) -> list[str]:
    notes = []
    if unmatched:
        notes.append(f"{len(unmatched)} labels without an image are left out: {unmatched[0]}, …")
    if n_empty:
        notes.append(f"{n_empty} images have no label at all.")
    if not has_images:
        notes.append(f"No images were found: put them into {out / 'train' / 'images'}.")
    return notes


def _write(out: Path, name: str, class_map: NDArray[Any], picture: Path | None, kind: Kind) -> None:
    if picture is not None:
        shape = read_header(picture).shape
        if shape != class_map.shape:
            raise InputError(
                f"{picture} is {shape[1]} x {shape[0]} pixels and its labels are "
                f"{class_map.shape[1]} x {class_map.shape[0]}; they must be the same size."
            )
        link_file(picture, out / "train" / "images" / (name + picture.suffix))
    write_png(out / "train" / kind / f"{name}.png", class_map)


def _with_background(
    classes: tuple[ClassInfo, ...], background: str | None
) -> tuple[tuple[ClassInfo, ...], int | None]:
    """Return the classes, the background among them, and its id."""
    if background is None:
        return classes, None
    for c in classes:
        if c.name == background:
            return classes, c.id
    row = {"id": len(classes), "name": background, "color": "#000000"}
    return check_classes([*classes, row], "the classes"), len(classes)


def _filled(class_map: NDArray[Any], class_id: int) -> NDArray[Any]:
    class_map = class_map.copy()
    class_map[class_map == IGNORE] = class_id
    return class_map


def _check_out(out: Path, classes: tuple[ClassInfo, ...]) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder.")
    known = out / "classes.json"
    if known.is_file() and [c.name for c in read_classes(known)] != [c.name for c in classes]:
        names = ", ".join(c.name for c in classes)
        raise InputError(f"{known} has other classes than the labels ({names}); name a new folder.")
    if not known.exists() and out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and has no classes.json; name a new folder.")


def _find_images(source: Path, images: Path | None, format: ImportFormat) -> dict[str, Path]:
    """Return image files by name; of a folder given, or one beside the labels."""
    if images is not None:
        found = _pictures(images)
        if not found:
            raise InputError(f"{images} has no images; expected {', '.join(IMAGE_SUFFIXES)}.")
        return found
    root = source.parent if source.is_file() else source
    beside = [root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()]
    if format in ("coco", "labelme"):  # the only pictures among their files are the images
        beside.append(root)
    return next((found for folder in beside if (found := _pictures(folder))), {})


def _pictures(folder: Path) -> dict[str, Path]:
    found = files_below(folder, IMAGE_SUFFIXES)
    return {spelling(name.removesuffix("_leftImg8bit")): path for name, path in found.items()}


def _by_last_name(found: Mapping[str, T]) -> dict[str, T]:
    """Return what was found by the last part of its name, where only one has it."""
    lasts = [(name.rpartition("/")[2], thing) for name, thing in found.items()]
    counts = Counter(last for last, _ in lasts)
    return {last: thing for last, thing in lasts if counts[last] == 1}
