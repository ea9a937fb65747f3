"""Labels that are there when a project begins: in files of other programs, or in Labels layers.

They become ground truth, labels to correct, or answers. No Qt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.exchange.label_readers import ImportRequest, LabelledImage
from napari_al.formats.images import write_png
from napari_al.plugin.layers.placement import world_matrix
from napari_al.plugin.start.viewer_images import places
from napari_al.tools.import_labels import READERS, import_answers, import_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.plugin.start.viewer_images import ViewerImages
    from napari_al.session.session import Session
    from napari_al.tools.import_labels import ImportFormat

Use = Literal["labels", "initial_labels", "answers"]
"""Ground truth, labels to correct, or answers given already."""


@dataclass(frozen=True)
class ExistingLabels:
    """What is to become of labels in files; ``format`` is that of the program that wrote them."""

    format: ImportFormat
    source: Path
    use: Use

    def classes(self) -> tuple[ClassInfo, ...]:
        """Return the classes that the files name, or that their values make.

        Raises
        ------
        InputError
            If they cannot be read, or do not say.
        """
        if not self.source.exists():
            raise InputError(f"{self.source} does not exist.")
        return READERS[self.format](self.source, ImportRequest()).classes

    def write(self, folder: Path, images: Path, classes: Sequence[ClassInfo]) -> tuple[str, ...]:
        """Make a data folder of a folder of images and the labels; return what was left out."""
        if self.use == "answers":
            raise ValueError("answers are given to a session")
        inside = (images / "train" / "images", images / "images", images)
        place = next(path for path in inside if path.is_dir())
        done = import_labels(
            self.format, self.source, folder, images=place, classes=tuple(classes), kind=self.use
        )
        if (images / "val").is_dir():
            return (*done.notes, f"Images of {images / 'val'} are left out.")
        return done.notes

    def give(self, session: Session) -> tuple[str, ...]:
        """Give a session the labels as answers; return what was left out, or how many they are."""
        given = import_answers(session, self.format, self.source)
        return given.notes or (f"{given.n_answers} answers were taken from {self.source}.",)


def classes_of_layers(images: ViewerImages) -> tuple[ClassInfo, ...]:
    """Return a class for each value from 1 to the highest in the Labels layers of the images."""
    highest = max((int(np.max(_data(layer))) for layer in images.label_layers), default=0)
    if not 2 <= highest <= IGNORE:
        raise InputError(
            "Labels layers with values from 1 to the number of classes, 2 or more, were expected; "
            f"the highest value is {highest}."
        )
    return default_classes([f"class {value}" for value in range(1, highest + 1)])


def labels_of_layers(images: ViewerImages, n_classes: int) -> Iterator[LabelledImage]:
    """Yield the class ids of the planes that have labels: the value of a layer less 1, 0 = none.

    Raises
    ------
    InputError
        As of `labels_layers`, or if there are no labels, or a value is of no class.
    """
    layer_of = labels_layers(images)
    n_found = 0
    for name, layers, index in places(images):
        layer = layer_of.get(layers)
        if layer is None:
            continue
        at = tuple(i for i in index if not isinstance(i, slice))
        values = np.asarray(_data(layer)[at])
        wrong = values[(values < 0) | (values > n_classes)]
        if wrong.size:
            raise InputError(
                f"The layer {layer.name!r} has the value {wrong[0]}, and there are {n_classes} "
                "classes: 1 is the first of them, and 0 is no label."
            )
        if values.any():
            n_found += 1
            yield LabelledImage(name, np.where(values == 0, IGNORE, values - 1).astype(np.uint8))
    if not n_found:
        raise InputError("There is no label in the visible Labels layers: all values are 0.")


def labels_layers(images: ViewerImages) -> dict[tuple[Layer, ...], Layer]:
    """Return the Labels layer of each image or stack (the layers of its channels) that has one.

    It has the same shape. Where its name contains that of an image, it is of that alone
    ("cell labels" of "cell"); else of those that it lies over, if it lies exactly over any. One
    that was never placed, at the origin with a pixel of one unit, may lie over none.

    Raises
    ------
    InputError
        If there is none, it lies elsewhere, or it is not clear which one is meant.
    """
    found = {}
    for layers in images.of_images:
        shape = images.plane_shape(layers[0])
        fitting = [la for la in images.label_layers if _data(la).shape == shape]
        own = [la for la in fitting if _namesake(la, images) in layers]
        fitting = own or [la for la in fitting if _namesake(la, images) is None]
        lies_over = {
            la: [_lies_over(la, other, images) for other in images.layers] for la in fitting
        }
        over = [la for la in fitting if lies_over[la][images.layers.index(layers[0])]]
        alone = [la for la in fitting if not any(lies_over[la])]
        fitting = over or [la for la in alone if not _is_placed(la)]
        if alone and not fitting:
            raise InputError(
                f"The Labels layer {alone[0].name!r} has the shape of the image "
                f"{layers[0].name!r}, but lies elsewhere: it was expected to have the same scale, "
                "rotation, shear and translation, to half a pixel. Give it those of the image, or "
                "none, or hide it."
            )
        if len(fitting) > 1:
            names = ", ".join(repr(la.name) for la in fitting)
            raise InputError(
                f"Several Labels layers fit the image {layers[0].name!r}: {names}. Hide all but "
                "one, or give it a name that contains that of the image."
            )
        if fitting:
            found[layers] = fitting[0]
    if not found:
        raise InputError("No visible Labels layer has the shape of an image; add one, or show it.")
    return found


def notes_of_layers(images: ViewerImages, *, names_unlabelled: bool = True) -> tuple[str, ...]:
    """Return which Labels layers several images share or were not placed, and which have none.

    ``names_unlabelled``: these are not named elsewhere (``notes_of_labels``).
    """
    layer_of = labels_layers(images)
    names_of: dict[str, list[str]] = {}
    for layers, layer in layer_of.items():
        names_of.setdefault(layer.name, []).append(layers[0].name)
    notes = [
        f"The Labels layer {name!r} counts for {len(shared)} images: {', '.join(shared)}."
        for name, shared in names_of.items()
        if len(shared) > 1
    ]
    unplaced = {
        layer.name: None
        for layers, layer in layer_of.items()
        if not _lies_over(layer, layers[0], images)
    }
    if unplaced:
        notes.append(
            "Without a scale or place of their own, so taken to lie over the image: "
            f"{', '.join(unplaced)}."
        )
    without = [layers[0].name for layers in images.of_images if layers not in layer_of]
    if without and names_unlabelled:
        notes.append(f"Without a Labels layer, so without labels: {', '.join(without)}.")
    return tuple(notes)


def _namesake(labels: Layer, images: ViewerImages) -> Layer | None:
    """Return the image layer whose name, as words, is in that of a Labels layer; the longest."""
    named = [
        layer
        for layer in images.layers
        if re.search(rf"(?<![^\W_]){re.escape(layer.name)}(?![^\W_])", labels.name, re.IGNORECASE)
    ]
    return max(named, key=lambda layer: len(layer.name), default=None)


def _lies_over(labels: Layer, image: Layer, images: ViewerImages) -> bool:
    """Whether the corners of a Labels layer lie on those of an image, to half a pixel."""
    shape = images.plane_shape(image)
    if _data(labels).shape != shape:
        return False
    axes = [*images.stack_axes(image), *range(image.ndim - 2, image.ndim), image.ndim]
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape))])
    there = world_matrix(labels) @ corners.T
    own = np.linalg.solve(world_matrix(image)[np.ix_(axes, axes)], there)
    return bool(np.abs(own - corners.T).max() <= 0.5)


def _is_placed(layer: Layer) -> bool:
    """Whether a layer lies elsewhere than at the origin with pixels of one unit."""
    return not np.array_equal(world_matrix(layer), np.eye(layer.ndim + 1))


def write_layers(
    folder: Path, images: ViewerImages, n_classes: int, use: Literal["labels", "initial_labels"]
) -> None:
    """Write the Labels layers into the data folder that the images are written to."""
    for name, class_map in labels_of_layers(images, n_classes):
        write_png(folder / use / f"{name}.png", class_map)


def _data(layer: Any) -> NDArray[Any]:
    data: NDArray[Any] = layer.data[0] if layer.multiscale else layer.data
    return data
