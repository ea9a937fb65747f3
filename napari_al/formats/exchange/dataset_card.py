"""A dataset card beside exported labels: Croissant 1.0, JSON-LD that catalogues of data sets read.

It says what the program knows: the classes, which files there are and where the labels came from.
Licence, authors, citation and address are for whoever publishes the labels to fill in.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

from napari_al.core import IGNORE
from napari_al.formats.classes import live_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_al.formats.classes import ClassInfo

CARD: Final = "croissant.jsonld"
"""Not ``.json``: programs that read LabelMe or COCO take every such file for labels."""

FILES: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "png": {
        "labels": ("labels/*.png", "image/png"),
        "colours": ("colors/*.png", "image/png"),
        "labels-tiff": ("labels/*.tif", "image/tiff"),  # of large pictures and stacks
        "colours-tiff": ("colors/*.tif", "image/tiff"),
    },
    "coco": {"annotations": ("annotations.json", "application/json")},
    "voc": {"labels": ("SegmentationClass/*.png", "image/png")},
    "cityscapes": {
        "label-ids": ("gtFine/train/*_labelIds.png", "image/png"),
        "train-ids": ("gtFine/train/*_labelTrainIds.png", "image/png"),
        "colours": ("gtFine/train/*_color.png", "image/png"),
    },
    "yolo": {"labels": ("labels/*.txt", "text/plain")},
    "labelme": {"labels": ("*.json", "application/json")},
    "geotiff": {"labels": ("labels/*.tif", "image/tiff")},
    "ngff": {"labels": ("*.zarr/*", "application/vnd+zarr")},
}
"""For each export format its sets of files: name, pattern (``*`` goes into folders), media type."""

_CROISSANT_TERMS: Final = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty",
    "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS},
}
"""The specification's own."""


def write_card(
    folder: Path, name: str, classes: Sequence[ClassInfo], format: str, n_images: int, origin: str
) -> None:
    """Write the card of an export into its folder.

    Parameters
    ----------
    folder : Path
        Where the label files are.
    name : str
        Of the data set.
    classes : sequence of ClassInfo
    format : str
        A key of `FILES`.
    n_images : int
        Images that have labels in the folder.
    origin : str
        A sentence that says where the labels came from; may be empty.
    """
    live = live_classes(classes)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    description = (
        f"Labels for semantic segmentation of {n_images} images in {len(live)} classes, written by "
        f"napari-al as {format}. {origin} Pixels without a label are {_none(format)}. The images "
        "are not part of it."
    )
    card = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": " ".join(description.split()),
        "keywords": ["semantic segmentation", *(c.name for c in live)],
        "distribution": [
            {"@type": "cr:FileSet", "@id": key, "encodingFormat": media_type, "includes": pattern}
            for key, (pattern, media_type) in FILES[format].items()
            if any(fnmatch(name, pattern) for name in names)
        ],
        "recordSet": [_classes(live)],
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    # bytes of a folder's name that are no text become JSON escapes
    (folder / CARD).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _none(format: str) -> str:
    """Say how a format marks pixels that have no label."""
    if format in ("png", "voc", "geotiff"):
        return str(IGNORE)
    return {"cityscapes": "0 in label ids and 255 in train ids", "ngff": "0"}.get(
        format, "in no object"
    )


def _classes(classes: Sequence[ClassInfo]) -> dict[str, Any]:
    """Return the table of classes, its rows included."""
    types = {"id": "sc:Integer", "name": "sc:Text", "color": "sc:Text"}
    fields = [
        {"@type": "cr:Field", "@id": f"classes/{name}", "name": name, "dataType": data_type}
        for name, data_type in types.items()
    ]
    rows = [{f"classes/{name}": getattr(c, name) for name in types} for c in classes]
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "key": {"@id": "classes/id"},
        "field": fields,
        "data": rows,
    }
