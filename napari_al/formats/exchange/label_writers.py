"""Label files of other programs, as they are written: one function a format.

Each takes the folder to write to, the classes and the items (see `export`).
"""

from __future__ import annotations

import csv
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import classes_to_json, palette_of
from napari_al.formats.exchange.pixel_outlines import outlines_of
from napari_al.formats.images import write_png
from napari_al.formats.parts.axis_steps import axis_steps
from napari_al.formats.parts.raster_output import ngff_axes_of, write_class_tiff
from napari_al.formats.parts.rasters import RASTER_SUFFIXES, zarr_for
from napari_al.formats.parts.stitched import Stitched, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.exchange.export import ClassMap, Items, Pictures
    from napari_al.formats.parts.axis_steps import Step
    from napari_al.formats.parts.raster_output import ExtraTag

SQUARE_PX = 1024
"""Side of the parts in which large pictures are written."""


def place(folder: Path, file_name: str, ending: str = ".png") -> Path:
    """Return the new path of an image's label file, with its folders made."""
    path = folder / (name_of(file_name) + ending)
    if path.exists():
        raise InputError(f"Two images would be written to {path.name}; rename {file_name}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def name_of(file_name: str) -> str:
    """Return the name without the suffix of an image file (and no other: names have dots)."""
    pure = PurePosixPath(file_name)
    return str(pure.with_suffix("")) if pure.suffix.lower() in RASTER_SUFFIXES else file_name


def write_map(
    folder: Path,
    file_name: str,
    values: ClassMap,
    source: Path | None,
    palette: NDArray[np.uint8] | None = None,
) -> None:
    """Write a map as PNG, of a large picture or a stack as TIFF; grey, or in colours."""
    if isinstance(values, Stitched):
        if values.planes or values.is_large:
            write_stitched_tiff(place(folder, file_name, ".tif"), values, source, palette)
            return
        values = values.whole()
    write_png(place(folder, file_name), values, palette)


def write_stitched_tiff(
    path: Path,
    values: Stitched,
    source: Path | None,
    palette: NDArray[np.uint8] | None = None,
    *,
    extratags: Sequence[ExtraTag] = (),
    dtype: type[np.unsignedinteger[Any]] = np.uint8,
) -> None:
    """Write a map square by square as a TIFF; a stack with the steps along the axes of its source.

    ``palette``, ``extratags`` and ``dtype`` are those of `write_class_tiff`.
    """
    write_class_tiff(
        path,
        values.squares(SQUARE_PX),
        values.shape,
        SQUARE_PX,
        palette,
        planes=values.planes,
        steps=_steps(source),
        extratags=extratags,
        dtype=dtype,
    )


def _steps(source: Path | None) -> dict[str, Step]:
    return {} if source is None else axis_steps(source)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


# ---- png


def write_index_png(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    """Grey PNG of class ids, and the same in colours."""
    palette = palette_of(classes)
    for file_name, class_map, source in items:
        write_map(out / "labels", file_name, class_map, source)
        write_map(out / "colors", file_name, class_map, source, palette)
    (out / "classes.json").write_text(classes_to_json(classes), encoding="utf-8")
    rows = [(c.id, c.name, c.color) for c in classes]
    _write_csv(out / "classes.csv", ("id", "name", "color"), rows)


# ---- coco


def write_coco(out: Path, classes: Sequence[ClassInfo], items: Pictures) -> None:
    """One annotation for each class in an image."""
    images: list[dict[str, Any]] = []
    with (out / "annotations.json").open("w", encoding="utf-8") as file:
        file.write('{"annotations": [')
        n = 0
        for file_name, class_map, _ in items:
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


def check_voc_names(classes: Sequence[ClassInfo]) -> None:
    """Raise an InputError for names that labelmap.txt cannot hold."""
    for c in classes:
        if ":" in c.name or c.name.startswith("#"):
            raise InputError(
                f"labelmap.txt of VOC cannot hold the class name {c.name!r} (a ':' or '#'); "
                "rename it in classes.json."
            )


def write_voc(out: Path, classes: Sequence[ClassInfo], items: Pictures) -> None:
    """One annotation for each class in an image."""
    palette = voc_palette()
    names = []
    for file_name, class_map, _ in items:
        write_png(place(out / "SegmentationClass", file_name), class_map, palette)
        names.append(name_of(file_name))
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


def write_cityscapes(out: Path, classes: Sequence[ClassInfo], items: Pictures) -> None:
    """Grey PNG of class ids, and the same in colours."""
    label_ids, train_ids = _cityscapes_ids(classes)
    palette = palette_of(classes)
    for file_name, class_map, _ in items:
        name = name_of(file_name).removesuffix("_leftImg8bit")
        if "/" not in name:
            name = f"all/{name}"  # readers expect a folder for each city
        folder = out / "gtFine" / "train"
        for kind, table in (("labelIds", label_ids), ("labelTrainIds", train_ids)):
            write_png(place(folder, name, f"_gtFine_{kind}.png"), table[class_map])
        write_png(place(folder, name, "_gtFine_color.png"), class_map, palette)
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


# ---- polygons


def write_yolo(out: Path, classes: Sequence[ClassInfo], items: Pictures) -> None:
    """``labels/NAME.txt``: a class id and an outline a line, in shares of width and height."""
    for file_name, class_map, _ in items:
        size = class_map.shape[::-1]
        lines = [
            " ".join([str(class_id), *(f"{value:.9g}" for value in (outline / size).ravel())])
            for class_id, outline in _outlines(class_map)
        ]
        path = place(out / "labels", file_name, ".txt")
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    names = "".join(f"  {c.id}: {json.dumps(c.name)}\n" for c in classes)
    text = f"path: .\ntrain: images\nval: images\nnames:\n{names}"
    (out / "data.yaml").write_text(text, encoding="utf-8")


def write_labelme(out: Path, classes: Sequence[ClassInfo], items: Pictures) -> None:
    """``NAME.json``: a polygon for each part of a class; ``labels.txt``: the classes in order."""
    for file_name, class_map, _ in items:
        shapes = [
            {
                "label": classes[class_id].name,
                "points": outline.astype(float).tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
            }
            for class_id, outline in _outlines(class_map)
        ]
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": PurePosixPath(file_name).name,
            "imageData": None,
            "imageHeight": class_map.shape[0],
            "imageWidth": class_map.shape[1],
        }
        place(out, file_name, ".json").write_text(json.dumps(content), encoding="utf-8")
    (out / "labels.txt").write_text("".join(f"{c.name}\n" for c in classes), encoding="utf-8")


def _outlines(class_map: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each class id and the outlines of its parts."""
    for class_id in np.unique(class_map[class_map != IGNORE]).tolist():
        for outline in outlines_of(class_map == class_id):
            yield class_id, outline


# ---- rasters


_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
"""Pixel scale, tie points, transformation and the GeoKeys of a georeferenced TIFF."""
_GDAL_NODATA = 42113


def write_geotiff(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    """``labels/NAME.tif``: class ids with the georeference of the image, where it has one."""
    import tifffile

    palette = palette_of(classes)
    for file_name, class_map, source in items:
        path = place(out / "labels", file_name, ".tif")
        tags: list[ExtraTag] = [*_georeference(source), (_GDAL_NODATA, "s", 0, str(IGNORE), True)]
        if isinstance(class_map, Stitched):
            write_stitched_tiff(path, class_map, source, palette, extratags=tags)
            continue
        tifffile.imwrite(
            path,
            class_map,
            compression="zlib",
            photometric="palette",
            colormap=palette.T.astype(np.uint16) * 257,
            metadata=None,
            extratags=tags,
        )
    (out / "classes.json").write_text(classes_to_json(classes), encoding="utf-8")


def _georeference(source: Path | None) -> list[ExtraTag]:
    """Return the tags of a TIFF that say where it lies on the earth."""
    import tifffile

    if source is None or source.suffix.lower() not in (".tif", ".tiff"):
        return []
    with tifffile.TiffFile(source) as file:
        tags = file.pages.first.tags
        found = [tags[code] for code in _GEO_TAGS if code in tags]
        return [(tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in found]


def write_ngff(out: Path, classes: Sequence[ClassInfo], items: Items) -> None:
    """``NAME.zarr/labels/classes``: OME-Zarr 0.5 image-label; value = class id + 1, 0 = none."""
    values = [{"label-value": c.id + 1, "rgba": [*c.rgb, 255]} for c in classes]
    names = [{"label-value": c.id + 1, "class": c.name} for c in classes]
    for file_name, class_map, source in items:
        path = place(out, file_name, ".zarr")
        root = zarr_for(path).open_group(path, mode="w", zarr_format=3)
        root.create_group("labels").attrs["ome"] = {"version": "0.5", "labels": ["classes"]}
        group = root.create_group("labels/classes")
        ids = single(class_map)
        axis_names = [*(axis for axis, _ in ids.planes), "y", "x"]
        shape = (*(length for _, length in ids.planes), *ids.shape)
        chunks = (*(1 for _ in ids.planes), *(min(n, SQUARE_PX) for n in ids.shape))
        stored = group.create_array("0", shape=shape, chunks=chunks, dtype="uint8")
        for plane, rows, cols in ids.places(SQUARE_PX):
            square = ids.read(rows, cols, plane)
            stored[(*plane, rows, cols)] = np.where(square == IGNORE, 0, square + np.uint8(1))
        label: dict[str, Any] = {"colors": values, "properties": names}
        if source is not None:
            label["source"] = {"image": source.name}
        group.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [{"name": "classes", **ngff_axes_of(axis_names, _steps(source))}],
            "image-label": label,
        }
