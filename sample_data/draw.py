"""Make the sample data folder: ``python sample_data/draw.py [FOLDER]``.

Nothing in it comes from anywhere else: `landscape.py` draws the pictures. This script chooses the
seeds, invents the initial labels (see `suppose`) and writes the files. The same command gives the
same pictures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import label as connected

sys.path.insert(0, str(Path(__file__).parent))
from landscape import (
    BOAT,
    BUILDING,
    CLASSES,
    FIELD,
    FOREST,
    MEADOW,
    ROAD,
    SAND,
    Scene,
    draw,
)
from napari_al.core import IGNORE
from napari_al.formats.classes import ClassInfo, classes_to_json
from napari_al.formats.images import write_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 20
N_TRAIN, N_VAL = 48, 24
JPEG_QUALITY = 92

CONFUSED: dict[str, tuple[int, float]] = {
    "green crop": (MEADOW, 0.6),
    "orchard": (FOREST, 0.8),
    "wheat": (SAND, 0.3),
    "meadow": (FIELD, 0.12),
    "sand": (FIELD, 0.4),
    "track": (SAND, 0.6),
    "flat roof": (ROAD, 0.7),
    "boat": (BUILDING, 0.5),
    "tree": (MEADOW, 0.2),
}
"""What each kind of object is taken for in the initial labels, and how often."""
MISSED = {BOAT: 0.2, BUILDING: 0.1, FOREST: 0.05}
"""How often an object of a class is not seen at all: it belongs to what surrounds it."""
UNCOVERED = 0.04
"""How often an object has no mask and no label."""
SMALLEST_PX = 25


def scene(split: str, index: int) -> Scene:
    """Return picture `index` of a split."""
    return draw(np.random.default_rng([SEED, ("train", "val").index(split), index]))


def suppose(scene: Scene, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Return labels as a careless zero-shot model would give them, and the masks they are on.

    Whole objects are mistaken for what they look like, small ones are missed, some are not
    covered, and outlines are a pixel or two off. A mask has one label.
    """
    parts = connected(scene.objects, background=-1, connectivity=1)
    ids, first, n_pixels = np.unique(parts, return_index=True, return_counts=True)
    classes = scene.classes.ravel()[first]
    looks = [scene.looks[i] for i in scene.objects.ravel()[first]]

    guesses = np.zeros(len(ids) + 1, np.uint8)
    missed = np.zeros(len(ids) + 1, bool)
    uncovered = np.zeros(len(ids) + 1, bool)
    for id_, class_id, look, n in zip(ids, classes, looks, n_pixels, strict=True):
        other, often = CONFUSED.get(look, (class_id, 0.0))
        guesses[id_] = other if rng.random() < often else class_id
        missed[id_] = n < SMALLEST_PX or rng.random() < MISSED.get(int(class_id), 0.0)
        uncovered[id_] = rng.random() < UNCOVERED
    _, nearest = ndimage.distance_transform_edt(missed[parts], return_indices=True)
    parts = _shaken(parts[tuple(nearest)], rng)
    masks = np.where(uncovered[parts], 0, parts).astype(np.uint16)
    return np.where(masks > 0, guesses[parts], IGNORE).astype(np.uint8), masks


def _shaken(ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the map with its outlines moved by a smooth random field of about a pixel."""
    rows, columns = np.indices(ids.shape)
    shift = [ndimage.gaussian_filter(rng.standard_normal(ids.shape), 4) for _ in range(2)]
    y, x = (np.round(at + 1.2 * s / s.std()) for at, s in zip((rows, columns), shift, strict=True))
    return ids[
        np.clip(y, 0, ids.shape[0] - 1).astype(int), np.clip(x, 0, ids.shape[1] - 1).astype(int)
    ]


def write(folder: Path, n_train: int = N_TRAIN, n_val: int = N_VAL) -> None:
    """Write the data folder."""
    for split, n in (("train", n_train), ("val", n_val)):
        for kind in ("images", "labels", "initial_labels", "masks")[: 4 if split == "train" else 2]:
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
        for index in range(n):
            name = f"coast_{index:02d}"
            drawn = scene(split, index)
            Image.fromarray(drawn.rgb).save(
                folder / split / "images" / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0
            )
            write_png(folder / split / "labels" / f"{name}.png", drawn.classes)
            if split == "train":
                initial, masks = suppose(drawn, np.random.default_rng([SEED, 2, index]))
                write_png(folder / split / "initial_labels" / f"{name}.png", initial)
                write_png(folder / split / "masks" / f"{name}.png", masks)
    classes = [ClassInfo(id=i, name=name, color=color) for i, (name, color) in enumerate(CLASSES)]
    (folder / "classes.json").write_text(classes_to_json(classes), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the sample data folder.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "data")
    write(parser.parse_args().folder)
