"""A prepared export: a folder with class maps that can be written without the project."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from napari_al.errors import InputError
from napari_al.formats.classes import check_classes
from napari_al.formats.exchange.export import Item, export_labels
from napari_al.formats.parts.picture_parts import Part
from napari_al.formats.parts.stitched import stitched
from napari_al.session.project import cache_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.formats.exchange.export import ClassMap, Format

RECORD = "export.json"


@dataclass(frozen=True)
class ExportSummary:
    """What an export holds, known before it is written.

    Attributes
    ----------
    n_images, n_pixels : int
    n_answered : int
        Pixels of regions whose answer says what they are (or that they are void).
    class_pixels : dict of str to int
        Pixels by class name, in the order of the exported ids.
    n_without : int
        Pixels without a class.
    model : str
        The model that predicts and how good it is; "" where none does.
    notes : tuple of str
        What was left out or changed, a sentence each.
    """

    n_images: int = 0
    n_pixels: int = 0
    n_answered: int = 0
    class_pixels: dict[str, int] = field(default_factory=dict)
    n_without: int = 0
    model: str = ""
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the summary in words: shares, model, notes, then the classes."""
        total = max(1, self.n_pixels)
        images = "1 image" if self.n_images == 1 else f"{self.n_images} images"
        words = f"{images}; {self.n_answered / total:.1%} of the pixels are answered"
        if self.model:
            words += f", and {self.model} predicts the others"
        counts = [*self.class_pixels.items(), ("without a class", self.n_without)]
        return [
            f"{words}.",
            *self.notes,
            *(f"{name}: {n:,} px ({n / total:.1%})" for name, n in counts if n),
        ]


class PreparedImage(BaseModel):
    """An image of a prepared export: its file below ``images``, its path, what part of it it is."""

    model_config = ConfigDict(frozen=True)

    file_name: str
    source: str
    part: Part | None = None


@dataclass(frozen=True)
class PreparedExport:
    """Class maps, ready to be written in any format.

    Attributes
    ----------
    folder : Path
        ``labels/NAME.png``, perhaps ``uncertainty/NAME.png``, and `RECORD`.
    images : dict of str to PreparedImage
        By image name.
    classes : tuple of ClassInfo
        With the ids that the class maps have.
    has_uncertainty : bool
    origin : str
        A sentence: where the labels come from.
    summary : ExportSummary
    """

    folder: Path
    images: dict[str, PreparedImage]
    classes: tuple[ClassInfo, ...]
    has_uncertainty: bool
    origin: str
    summary: ExportSummary

    @classmethod
    def open(cls, folder: Path) -> PreparedExport:
        """Read what `prepare_export` has written to a folder."""
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        summary = found["summary"]
        return cls(
            folder,
            {n: PreparedImage.model_validate(image) for n, image in found["images"].items()},
            check_classes(found["classes"], RECORD),
            found["has_uncertainty"],
            found["origin"],
            ExportSummary(**{**summary, "notes": tuple(summary["notes"])}),
        )

    def save(self) -> None:
        """Write `RECORD`."""
        record = {
            "images": {n: image.model_dump(mode="json") for n, image in self.images.items()},
            "classes": [info.model_dump() for info in self.classes],
            "has_uncertainty": self.has_uncertainty,
            "origin": self.origin,
            "summary": asdict(self.summary),
        }
        (self.folder / RECORD).write_text(json.dumps(record), encoding="utf-8")

    def class_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) exported class ids of an image, IGNORE = none."""
        return self._read("labels", image)

    def write(
        self,
        format: Format,
        folder: Path,
        *,
        overwrite: bool = False,
        on_progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> int:
        """Write the files of a format, of parts one for the picture; return how many pictures.

        Raises
        ------
        InputError
            As `formats.exchange.export.export_labels`.
        """
        pictures = self._pictures()
        return export_labels(
            folder,
            self._items(pictures, on_progress),
            self.classes,
            format,
            self.origin,
            overwrite=overwrite,
            uncertainty=(lambda file_name: self._map("uncertainty", pictures[file_name]))
            if self.has_uncertainty
            else None,
        )

    def _items(
        self, pictures: dict[str, list[str]], on_progress: Callable[[int, int], object]
    ) -> Iterator[Item]:
        for n_before, (file_name, names) in enumerate(pictures.items()):
            source = self.images[names[0]].source
            yield Item(file_name, self._map("labels", names), Path(source) if source else None)
            on_progress(n_before + 1, len(pictures))

    def _pictures(self) -> dict[str, list[str]]:
        """Names of images by the file that they are in."""
        pictures: dict[str, list[str]] = {}
        for name, image in self.images.items():
            pictures.setdefault(image.file_name, []).append(name)
        return pictures

    def _map(self, kind: str, names: list[str]) -> ClassMap:
        parts = {part: name for name in names if (part := self.images[name].part) is not None}
        if not parts:
            return self._read(kind, names[0])
        return stitched(parts, lambda part: self._read(kind, parts[part]))

    def _read(self, kind: str, image: str) -> NDArray[np.uint8]:
        path = self.folder / kind / f"{image}.png"
        found = cache_files.read_class_map(path)
        if found is None:
            raise InputError(f"{path} is gone; export again")
        return found
