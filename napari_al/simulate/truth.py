"""Ground-truth answers about a region.

Pure functions: a class map and a region in, class ids out. ``IGNORE`` is a value like any other
where a region is judged as a whole, and never an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.clicks import trace_vertices
from napari_al.core.geometry.masks import Mask
from napari_al.core.opencv import cv2
from napari_al.errors import InputError
from napari_al.formats.polygons import read_polygons
from napari_al.methods.queries import Piece

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder

CorrectionRule = Literal["pixel", "half-pixel", "half-majority"]
"""How an oracle corrects a region's class: ``pixel``: the truth at the representative pixel (Kim et
al. 2024); ``half-pixel``: the same, but only if no more than half of the region has its class
right (the code of Kim et al.); ``half-majority``: then the most frequent truth (the code of Jeon et
al. 2026)."""


def check_has_truth(data: DataFolder) -> None:
    """Raise InputError unless every training image has labels to read answers from."""
    missing = data.without("labels")
    if missing:
        raise InputError(
            f"a simulated annotator reads ground truth, and {len(missing)} of {len(data.train)} "
            f"training images in {data.path} have none, {missing[0]!r} among them; add "
            "train/labels/NAME.png"
        )


def truth_of(data: DataFolder, image: str) -> NDArray[np.uint8]:
    """(H, W) uint8 true class ids of a training image."""
    truth = data.labels(image)
    if truth is None:
        raise InputError(f"{image!r} has no ground truth; add train/labels/{image}.png")
    return truth


def vertices_of(data: DataFolder, image: str) -> NDArray[np.float64]:
    """Return the (n, 2) polygon vertices, x before y, with which an image's objects are drawn.

    Those of an annotation file (Cityscapes or labelme JSON) named like the image, in
    ``train/polygons`` or beside the image; traced from the ground truth where there is none.
    """
    for folder in ("polygons", "images"):
        path = data.path / "train" / folder / f"{image}.json"
        if path.is_file():
            vertices = [polygon.vertices_xy for polygon in read_polygons(path)]
            return np.concatenate([np.empty((0, 2)), *vertices])
    return trace_vertices(truth_of(data, image))


def dominant_class(class_ids: NDArray[np.uint8]) -> int:
    """Most frequent value; the lowest of several (Cai et al. 2021).

    ``IGNORE`` competes as a class, as in the authors' code: a region that is mostly ignored has no
    class to give.

    >>> dominant_class(np.array([2, 2, 0, 0], np.uint8))
    0
    """
    return int(np.bincount(class_ids.ravel(), minlength=IGNORE + 1).argmax())


def classes_inside(truth: NDArray[np.uint8], region: Mask, trim_px: int) -> tuple[int, ...]:
    """Classes in a region away from its boundary, ascending (Hwang et al. 2023).

    Parameters
    ----------
    truth
        (H, W) uint8 class ids.
    region
        The region's pixels.
    trim_px
        Width of the band along the boundary that is not looked at. The border of the image is no
        boundary. Where nothing is left inside, the whole region counts.
    """
    inside = interior(region, truth.shape, trim_px)
    if not inside.any():
        inside = region.crop()
    present = np.unique(region.view(truth)[inside])
    return tuple(int(class_id) for class_id in present if class_id != IGNORE)


def interior(region: Mask, shape: tuple[int, ...], trim_px: int) -> NDArray[np.bool_]:
    """Region without a band of ``trim_px`` pixels along its boundary, inside its box.

    Pixels with a 4-neighbour outside the region are the boundary; it is thickened by a square of
    side ``2 * trim_px - 1``. For 3 px that is the authors' rule: boundaries drawn on both sides
    of the edge and dilated by a 5x5 square.
    """
    inside = region.crop()
    if trim_px == 0:
        return inside
    row0, col0, row1, col1 = region.box
    around = np.zeros((inside.shape[0] + 2, inside.shape[1] + 2), np.uint8)
    around[1:-1, 1:-1] = inside
    around[0], around[-1] = row0 == 0, row1 == shape[0]
    around[:, 0] |= np.uint8(col0 == 0)
    around[:, -1] |= np.uint8(col1 == shape[1])
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    boundary = inside & ~cv2.erode(around, cross)[1:-1, 1:-1].astype(bool)
    square = np.ones((2 * trim_px - 1,) * 2, np.uint8)
    band: NDArray[np.bool_] = cv2.dilate(boundary.astype(np.uint8), square).astype(bool)
    return inside & ~band


def corrected_class(
    class_ids: NDArray[np.uint8], at_pixel: int, pseudo_label: int, rule: CorrectionRule = "pixel"
) -> int:
    """Class that a region of class ``pseudo_label`` should have; ``IGNORE`` where it has none.

    Parameters
    ----------
    class_ids
        (n,) uint8, the truth at each of the region's pixels.
    at_pixel
        The truth at the representative pixel.
    pseudo_label
        The class that all of the region has now.
    rule
        See ``CorrectionRule``.
    """
    if rule == "pixel":
        return at_pixel
    if float(np.mean(class_ids == pseudo_label)) > 0.5:
        return pseudo_label
    return at_pixel if rule == "half-pixel" else dominant_class(class_ids)


def pieces_of(truth: NDArray[np.uint8], region: Mask) -> tuple[Piece, ...]:
    """Part of each class in a region, by ascending class; ignored pixels are in none."""
    class_ids, inside = region.view(truth), region.crop()
    origin = region.box[:2]
    return tuple(
        Piece(int(class_id), Mask.from_array(inside & (class_ids == class_id), origin))
        for class_id in np.unique(class_ids[inside])
        if class_id != IGNORE
    )
