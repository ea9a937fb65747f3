"""Labels of other programs that are objects (COCO, LabelMe, YOLO), painted in file order."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, check_classes, default_classes
from napari_al.formats.exchange.label_readers import Imported, ImportRequest, LabelledImage, json_of
from napari_al.formats.exchange.pixel_outlines import filled_outline
from napari_al.formats.exchange.shapes import has_inside, inside_of
from napari_al.formats.listing import files_below
from napari_al.formats.polygons import read_shapes, read_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


def read_coco(source: Path, request: ImportRequest) -> Imported:
    """Read polygons and run lengths by pycocotools; classes in the order of category ids.

    Crowds are painted first, so that single objects lie on them.
    """
    path = _coco_file(source)
    content = json_of(path)
    try:
        categories = sorted(content["categories"], key=lambda c: c["id"])
        class_of = {c["id"]: i for i, c in enumerate(categories)}
        names = [str(c["name"]) for c in categories]
        by_image: dict[Any, list[dict[str, Any]]] = {i["id"]: [] for i in content["images"]}
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
    except (LookupError, TypeError) as error:
        raise InputError(f"{path} is not COCO's JSON ({error!r} is missing or odd).") from error
    classes = _named(request, names)
    notes: list[str] = []

    def maps() -> Iterator[LabelledImage]:
        n_without = 0
        for image in content["images"]:
            class_map = _blank((int(image["height"]), int(image["width"])))
            for a in sorted(by_image[image["id"]], key=lambda a: not a.get("iscrowd", 0)):
                mask = _coco_mask(path, a, class_map.shape)
                n_without += mask is None
                if mask is not None:
                    class_map[mask] = class_of[a["category_id"]]
            yield LabelledImage(_stem(str(image["file_name"])), class_map)
        if n_without:
            notes.append(f"{n_without} annotations have no segmentation and are left out.")

    return Imported(classes, maps(), notes)


def _coco_file(source: Path) -> Path:
    if source.is_file():
        return source
    files = [*source.glob("*.json")] or [*(source / "annotations").glob("*.json")]
    found = [path for path in files if not path.name.startswith(".")]
    if len(found) != 1:
        raise InputError(f"{source} has {len(found)} JSON files; name one of COCO's.")
    return found[0]


def _coco_mask(path: Path, annotation: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """Return (H, W) bool; None without a segmentation."""
    from pycocotools import mask as coco

    segmentation = annotation.get("segmentation")
    if not segmentation:
        return None
    height, width = shape
    try:
        if isinstance(segmentation, dict) and isinstance(segmentation["counts"], list):
            segmentation = coco.frPyObjects(segmentation, height, width)
        elif isinstance(segmentation, list):
            segmentation = coco.merge(coco.frPyObjects(segmentation, height, width))
        with warnings.catch_warnings():  # pycocotools speaks an older numpy's protocol
            warnings.simplefilter("ignore", DeprecationWarning)
            mask = coco.decode(segmentation).astype(bool)
    except (LookupError, TypeError, ValueError) as error:
        name = annotation.get("id")
        raise InputError(f"{path}: annotation {name} cannot be read ({error}).") from error
    if mask.shape != (height, width):
        raise InputError(f"{path}: annotation {annotation.get('id')} is of another size.")
    return mask


def read_labelme(source: Path, request: ImportRequest) -> Imported:
    """Read ``NAME.json``; classes as in ``labels.txt``, else by name.

    Polygons, rectangles, circles and masks are painted; points and lines have no inside.
    """
    files = files_below(source, (".json",))
    if not files:
        raise InputError(f"{source} has no JSON files of LabelMe.")
    listed = source / "labels.txt"
    if listed.is_file():
        names = [line for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
        names = [name for name in names if name not in ("__ignore__", "_background_")]
    else:
        shapes = (shape for path in files.values() for shape in read_shapes(path))
        names = sorted({shape.label for shape in shapes if has_inside(shape)})
    classes = _named(request, names)
    id_of = {c.name: c.id for c in classes}
    notes: list[str] = []

    def maps() -> Iterator[LabelledImage]:
        left_out: Counter[str] = Counter()
        for name, path in files.items():
            class_map = _blank(read_size(path))
            for shape in read_shapes(path):
                if not has_inside(shape):
                    left_out[shape.shape_type] += 1
                    continue
                if shape.label not in id_of:
                    raise InputError(f"{path} has the class {shape.label!r}, which is none.")
                class_map[inside_of(path, shape, class_map.shape)] = id_of[shape.label]
            yield LabelledImage(name, class_map)
        if left_out:
            kinds = ", ".join(f"{n} of type {kind}" for kind, n in sorted(left_out.items()))
            notes.append(f"Shapes without an inside are left out: {kinds}.")

    return Imported(classes, maps(), notes)


def read_yolo(source: Path, request: ImportRequest) -> Imported:
    """Read ``labels/NAME.txt`` of YOLO's segmentation; sizes are those of the images."""
    folder = source / "labels" if (source / "labels").is_dir() else source
    files = files_below(folder, (".txt",))
    if not files:
        raise InputError(f"{folder} has no text files of YOLO.")
    classes = request.classes or _yolo_classes(source)

    def maps() -> Iterator[LabelledImage]:
        for name, path in files.items():
            if name not in request.sizes:
                raise InputError(f"{path} has no image; YOLO's labels need it: --images DIR.")
            class_map = _blank(request.sizes[name])
            size = np.array(class_map.shape[::-1])
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                class_id, shares = _yolo_line(line, f"{path}, line {number}", len(classes))
                if class_id is not None:
                    # what was a whole number before it became a share is one again
                    outline = np.round(shares * size, 5)
                    class_map[filled_outline(outline, class_map.shape)] = class_id
            yield LabelledImage(name, class_map)

    return Imported(classes, maps())


def _yolo_line(line: str, where: str, n_classes: int) -> tuple[int | None, NDArray[np.float64]]:
    words = line.split()
    if not words:
        return None, np.empty((0, 2))
    try:
        class_id, shares = int(words[0]), np.array(words[1:], np.float64)
    except ValueError as error:
        raise InputError(f"{where}: expected a class id and numbers, got {line[:60]!r}.") from error
    if len(shares) == 4:
        raise InputError(f"{where} is a box, not an outline; these are labels of detection.")
    if len(shares) < 6 or len(shares) % 2 or not 0 <= class_id < n_classes:
        raise InputError(f"{where}: expected a class below {n_classes} and 3 or more points.")
    return class_id, shares.reshape(-1, 2)


def _yolo_classes(source: Path) -> tuple[ClassInfo, ...]:
    import yaml

    for path in (*sorted(source.glob("*.yaml")), *sorted(source.parent.glob("data.yaml"))):
        names = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("names")
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names)]
        if isinstance(names, list):
            return default_classes([str(name) for name in names])
    raise InputError(f"{source} has no data.yaml with names; name the classes with --classes.")


def _named(request: ImportRequest, names: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Return classes of these names, with the request's colours where it has the same names."""
    if request.classes is None:
        return default_classes(list(names))
    given = {c.name: c for c in request.classes}
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"The classes given have no {missing[0]!r}; the source has it.")
    if [c.name for c in request.classes] == list(names):
        return request.classes
    rows = [{"id": i, "name": n, "color": given[n].color} for i, n in enumerate(names)]
    return check_classes(rows, "the classes")


def _blank(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full(shape, IGNORE, np.uint8)


def _stem(file_name: str) -> str:
    return str(PurePosixPath(file_name.replace("\\", "/")).with_suffix(""))
