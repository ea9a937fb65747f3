"""Labels of other programs, as they are read: one function a format.

Each takes the source and an `ImportRequest` and gives the classes and, image by image, a name and
its class map. Whatever `export` writes is read back equal.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, check_classes, default_classes, read_classes
from napari_al.formats.exchange.label_writers import CITYSCAPES_IDS, voc_palette
from napari_al.formats.images import DECODER_ERRORS, cannot_read, read_ids
from napari_al.formats.label_maps import read_ids_with_data, without_data
from napari_al.formats.listing import files_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

IGNORED = "ignore"
"""Instead of a class: these pixels have no label."""
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
N_NAMED = 20
"""Values that are named of more."""
_RASTERS = (".png", ".tif", ".tiff", ".bmp")


class LabelledImage(NamedTuple):
    """The name of an image (path without suffix) and its (H, W) uint8 class ids."""

    name: str
    class_map: NDArray[np.uint8]


@dataclass(frozen=True)
class ImportRequest:
    """What a source may not say itself.

    Attributes
    ----------
    classes : tuple of ClassInfo or None
        Names, and colours, in the order of their ids.
    table : dict of int to str
        Which class (or `IGNORED`) a stored value stands for.
    sizes : dict of str to (int, int)
        (H, W) of the images by name, for formats that store shares of it.
    """

    classes: tuple[ClassInfo, ...] | None = None
    table: dict[int, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """Classes, labelled images one by one, and what was passed over: filled while they are read."""

    classes: tuple[ClassInfo, ...]
    images: Iterator[LabelledImage]
    notes: list[str] = field(default_factory=list)


# ---- maps of ids


def read_index(source: Path, request: ImportRequest) -> Imported:
    """Read PNG, TIFF or BMP of class ids; other values by the request's table."""
    folder = source / "labels" if (source / "labels").is_dir() else source
    notes: list[str] = []
    files = _files(folder, _RASTERS, notes)
    classes = request.classes or _written_classes(source)
    table = dict(request.table)
    if classes is None and not table:
        classes = _classes_by_values(folder, files)
    if classes is None:
        names = dict.fromkeys(name for name in table.values() if name != IGNORED)
        classes = default_classes(list(names))
    ids = {value: _id_of(name, classes) for value, name in table.items()}
    return Imported(classes, _index_maps(files, ids, len(classes)), notes)


def _classes_by_values(folder: Path, files: dict[str, Path]) -> tuple[ClassInfo, ...]:
    """Return unnamed classes for values 0 to C-1; ask what other values mean."""
    maps = map(read_ids_with_data, files.values())
    values = sorted(set().union(*(np.unique(ids).tolist() for ids in maps)))
    known = [value for value in values if value != IGNORE]
    if known == list(range(len(known))) and known != [0]:
        return default_classes([f"class {value}" for value in known])
    if len(values) > IGNORE + 1:
        raise InputError(
            f"The labels in {folder} have {len(values)} values; expected those of at most {IGNORE} "
            "classes: class ids have 8 bits. Are they ids of objects?"
        )
    pairs = " ".join(f"--map {value}=NAME" for value in values[:N_NAMED])
    more = " …" if values[N_NAMED:] else ""
    raise InputError(
        f"The labels in {folder} have the values {', '.join(map(str, values[:N_NAMED]))}{more}. "
        f"Say what they mean: {pairs}{more} ({IGNORED!r} as a name: no label)."
    )


def _index_maps(
    files: dict[str, Path], ids: dict[int, int], n_classes: int
) -> Iterator[LabelledImage]:
    for name, path in files.items():
        meant = {**without_data(path), **ids}
        yield LabelledImage(name, _by_table(path, read_ids(path), meant, n_classes))


def _by_table(
    path: Path, stored: NDArray[Any], ids: dict[int, int], n_classes: int
) -> NDArray[np.uint8]:
    """Return class ids of stored values: by the table, else the value itself."""
    values, places = np.unique(stored, return_inverse=True)
    found = [ids.get(value, value) for value in values.tolist()]
    for value, class_id in zip(values.tolist(), found, strict=True):
        if not (0 <= class_id < n_classes or class_id == IGNORE):
            raise InputError(
                f"{path} has the value {value}, and there are {n_classes} classes (0 to "
                f"{n_classes - 1}); say what it means with --map {value}=NAME."
            )
    out: NDArray[np.uint8] = np.array(found, np.uint8)[places].reshape(stored.shape)
    return out


# ---- colours


def read_colours(source: Path, request: ImportRequest) -> Imported:
    """Read pictures in the classes' colours: by ``classes.json``, ``labelmap.txt``, or as found."""
    for name in ("colors", "SegmentationClass"):
        folder = source / name
        if folder.is_dir():
            break
    else:
        folder = source
    notes: list[str] = []
    files = _files(folder, _RASTERS, notes)
    labelmap = source / "labelmap.txt"
    if labelmap.is_file():
        classes = read_labelmap(labelmap)
    else:
        classes = request.classes or _written_classes(source) or _classes_by_colours(files)
    return Imported(classes, _colour_maps(files, classes), notes)


def read_voc(source: Path, request: ImportRequest) -> Imported:
    """Read ``SegmentationClass``: colours by ``labelmap.txt``, else VOC's own 21 classes."""
    if (source / "labelmap.txt").is_file():
        return read_colours(source, request)
    colours = voc_palette()
    rows = [
        {"id": i, "name": name, "color": _hex(colours[i])} for i, name in enumerate(VOC_CLASSES)
    ]
    folder = source / "SegmentationClass"
    files = _files(folder if folder.is_dir() else source, _RASTERS)
    classes = check_classes(rows, "VOC's classes")
    return Imported(classes, _colour_maps(files, classes))


def read_labelmap(path: Path) -> tuple[ClassInfo, ...]:
    """Read ``labelmap.txt`` of VOC and CVAT: ``name:r,g,b:parts:actions`` a line."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, colour = [*line.split(":"), ""][:2]
            try:
                rgb = [int(part) for part in colour.split(",")]
            except ValueError:
                rgb = []
            if len(rgb) != 3:
                raise InputError(f"{path}: expected name:r,g,b::, got {line!r}.")
            rows.append({"id": len(rows), "name": name, "color": _hex(rgb)})
    return check_classes(rows, path.name)


def _classes_by_colours(files: dict[str, Path]) -> tuple[ClassInfo, ...]:
    found: dict[str, None] = {}
    for path in files.values():
        codes = np.unique(_codes(_rgb(path)))
        found.update(dict.fromkeys(f"#{code:06x}" for code in codes.tolist()))
        if len(found) > IGNORE:
            raise InputError(f"{path}: more than {IGNORE} colours; these are no labels.")
    rows = [{"id": i, "name": code, "color": code} for i, code in enumerate(found)]
    return check_classes(rows, "the colours found")


def _colour_maps(files: dict[str, Path], classes: Sequence[ClassInfo]) -> Iterator[LabelledImage]:
    id_of = {int(c.color[1:], 16): c.id for c in classes}
    void = _codes(voc_palette()[IGNORE])
    id_of.setdefault(int(void), IGNORE)
    id_of.setdefault(0, IGNORE)  # black where no class is
    for name, path in files.items():
        codes, places = np.unique(_codes(_rgb(path)), return_inverse=True)
        missing = [code for code in codes.tolist() if code not in id_of]
        if missing:
            raise InputError(f"{path} has the colour #{missing[0]:06x}, which no class has.")
        ids = np.array([id_of[code] for code in codes.tolist()], np.uint8)
        yield LabelledImage(name, ids[places].reshape(_rgb(path).shape[:2]))


def _rgb(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except DECODER_ERRORS as error:
        raise cannot_read(path, error) from error


def _codes(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return colours (..., 3) as numbers 0xRRGGBB."""
    codes: NDArray[np.int64] = rgb.astype(np.int64) @ np.array([65536, 256, 1])
    return codes


def _hex(rgb: Iterable[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgb)


# ---- cityscapes


def read_cityscapes(source: Path, request: ImportRequest) -> Imported:
    """Read ``*_gtFine_labelIds.png``: by ``labels.csv``, else the 19 classes of Cityscapes."""
    ending = "_gtFine_labelIds"
    files = {
        name.removesuffix(ending).removeprefix("all/"): path
        for name, path in _files(source, (".png",)).items()
        if name.endswith(ending)
    }
    root = "gtFine/"
    files = {
        name.removeprefix(root).partition("/")[2].removeprefix("all/")
        if name.startswith(root)
        else name: path
        for name, path in files.items()
    }
    if not files:
        raise InputError(f"{source} has no files NAME{ending}.png.")
    if (source / "labels.csv").is_file():
        with (source / "labels.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        label_ids = {int(row["labelId"]): i for i, row in enumerate(rows)}
        classes = check_classes(
            [{"id": i, "name": r["name"], "color": r["color"]} for i, r in enumerate(rows)],
            "labels.csv",
        )
    else:
        classes = default_classes(list(CITYSCAPES_IDS))
        label_ids = {label_id: i for i, label_id in enumerate(CITYSCAPES_IDS.values())}

    def maps() -> Iterator[LabelledImage]:
        table = np.full(256, IGNORE, np.uint8)
        for label_id, class_id in label_ids.items():
            table[label_id] = class_id
        for name, path in files.items():
            ids = read_ids(path)
            if ids.min() < 0 or ids.max() > IGNORE:
                raise InputError(
                    f"{path} has label ids outside 0 to {IGNORE}; expected Cityscapes'."
                )
            yield LabelledImage(name, table[ids])

    return Imported(classes, maps())


# ---- NGFF


def read_ngff(source: Path, request: ImportRequest) -> Imported:
    """Read the first ``image-label`` of each OME-Zarr; value 0 is no label."""
    groups = _label_groups(source)
    if not groups:
        raise InputError(f"{source} has no OME-Zarr with labels.")
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    for _, ome in groups.values():
        label = ome.get("image-label", {})
        for row in label.get("properties", ()):
            names.setdefault(int(row["label-value"]), str(row.get("class", row.get("name"))))
        for row in label.get("colors", ()):
            colours.setdefault(int(row["label-value"]), _hex(row["rgba"][:3]))
    values = sorted(value for value in (names or colours) if value)
    if not values:
        raise InputError(f"{source}: its labels have neither properties nor colours of classes.")
    classes = request.classes or _classes_of_values(values, names, colours)
    ids = {0: IGNORE, **{value: i for i, value in enumerate(values)}}

    def maps() -> Iterator[LabelledImage]:
        for name, (group, ome) in groups.items():
            stored = np.asarray(group[ome["multiscales"][0]["datasets"][0]["path"]][:]).squeeze()
            if stored.ndim != 2:
                raise InputError(f"{name}: labels of {stored.ndim} axes; expected rows, columns.")
            yield LabelledImage(name, _by_table(Path(name), stored, ids, len(classes)))

    return Imported(classes, maps())


def _classes_of_values(
    values: Sequence[int], names: dict[int, str], colours: dict[int, str]
) -> tuple[ClassInfo, ...]:
    rows: list[dict[str, Any]] = [
        {"id": i, "name": names.get(v, f"class {v}")} for i, v in enumerate(values)
    ]
    for row, value in zip(rows, values, strict=True):
        if value in colours:
            row["color"] = colours[value]
    return check_classes(rows, "the image-label")


def _label_groups(source: Path) -> dict[str, tuple[Any, Any]]:
    """Return the first group of labels of each OME-Zarr, and its attributes, by image name."""
    from napari_al.formats.parts.rasters import zarr_for

    paths = [source] if source.suffix == ".zarr" else sorted(source.rglob("*.zarr"))
    groups = {}
    for path in paths:
        root = zarr_for(path).open_group(path, mode="r")
        if "labels" in root:
            labels = root["labels"]
            attributes = labels.attrs.get("ome", labels.attrs)
            group = labels[(attributes.get("labels") or sorted(labels.group_keys()))[0]]
            relative = path.name if path == source else path.relative_to(source).as_posix()
            name = relative.removesuffix(".zarr").removesuffix(".ome")
            groups[name] = (group, group.attrs.get("ome", group.attrs))
    return groups


# ---- shared


def _files(
    folder: Path, suffixes: tuple[str, ...], notes: list[str] | None = None
) -> dict[str, Path]:
    """Return the files below a folder by name: path without suffix; at least one."""
    found = files_below(folder, suffixes, notes)
    if not found:
        raise InputError(f"{folder} has no files that end in {', '.join(suffixes)}.")
    return found


def _written_classes(source: Path) -> tuple[ClassInfo, ...] | None:
    """Return the classes of a ``classes.json`` in the folder or the one around it."""
    for place in (source / "classes.json", source.parent / "classes.json"):
        if place.is_file():
            return read_classes(place)
    return None


def _id_of(name: str, classes: Sequence[ClassInfo]) -> int:
    """Return the id of a class by its name or number."""
    if name == IGNORED:
        return IGNORE
    for c in classes:
        if name in (c.name, str(c.id)):
            return c.id
    known = ", ".join(c.name for c in classes)
    raise InputError(f"There is no class {name!r}; the classes are {known}, or {IGNORED!r}.")


def json_of(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error
