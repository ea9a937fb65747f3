"""Tiny data folders for tests: four classes that colour tells apart, two of them look alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np

from napari_al.formats.dataset import DataFolder
from napari_al.methods.table import METHODS
from napari_al.session.project.config import ProjectConfig, RegionSettings, TrainingSettings
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ("ground", "sky", "car", "van")
COLOURS = np.array([[90, 120, 60], [120, 160, 230], [200, 40, 40], [215, 60, 50]])
SHAPE = (48, 64)


def scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image (48, 64, 3) and its class map, with a line of ignored pixels."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = np.where(rows < rng.integers(12, 24), 1, 0).astype(np.uint8)
    for class_id in (2, 3):
        row, col = rng.integers(24, 40), rng.integers(6, 58)
        truth[(abs(rows - row) < 6) & (abs(cols - col) < 8)] = class_id
    image = COLOURS[truth] + rng.normal(0, 12, (*SHAPE, 3))
    truth[-2:] = 255
    return image.clip(0, 255).astype(np.uint8), truth


def write_data(path: Path, *, n_train: int = 5, n_val: int = 2, labels: bool = True) -> Path:
    """Write a data folder and return its path."""
    rng = np.random.default_rng(7)
    for split, n_images in (("train", n_train), ("val", n_val)):
        for folder in ("images", "labels") if labels else ("images",):
            (path / split / folder).mkdir(parents=True)
        for index in range(n_images):
            image, truth = scene(rng)
            iio.imwrite(path / split / "images" / f"scene_{index}.png", image)
            if labels:
                iio.imwrite(path / split / "labels" / f"scene_{index}.png", truth)
    classes = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
    (path / "classes.json").write_text(json.dumps(classes))
    return path


def write_initial(path: Path) -> Path:
    """Add initial labels that take half the cars for vans, with object masks; return the path."""
    for index, labels in enumerate(sorted((path / "train" / "labels").glob("*.png"))):
        truth = iio.imread(labels)
        masks = np.where(truth == 255, 0, truth + 1).astype(np.uint8)
        initial = np.where((truth == 2) & (index % 2 == 0), 3, truth).astype(np.uint8)
        for folder, pixels in (("initial_labels", initial), ("masks", masks)):
            (path / "train" / folder).mkdir(exist_ok=True)
            iio.imwrite(path / "train" / folder / labels.name, pixels)
    return path


QUICK_TRAINING = {
    "segmenter": "filters",
    "steps": 2,
    "batch_size": 2,
    "crop_px": 32,
    "threads": 1,
}
"""Settings with which a training takes a moment."""


def project_config(data_path: Path, method: str = "classbal", **changes: object) -> ProjectConfig:
    """Settings with which a round takes a moment."""
    settings = {
        "data": str(data_path),
        "classes": DataFolder.open(data_path).classes,
        "method": METHODS[method],
        "budget": 6,
        "regions": RegionSettings(n_per_image=20, side_px=16),
        "training": TrainingSettings.model_validate(QUICK_TRAINING),
    }
    return ProjectConfig(**(settings | changes))


def answer_round(session: Session, oracle: Oracle) -> None:
    """Answer until the round's budget is spent."""
    session.prepare()
    while (query := session.query()) is not None:
        session.submit(oracle.answer(query))


def write_run(
    path: Path, data_path: Path, method: str, *, n_rounds: int = 2, **changes: object
) -> Path:
    """Run a method for a few rounds and return its project folder."""
    config = project_config(data_path, method, **changes)
    if config.method.correction == "automatic":  # a model this young is never sure
        targets = config.targets.model_copy(update={"lcm_confidence": (0.0,)})
        config = config.model_copy(update={"targets": targets})
    oracle = Oracle(DataFolder.open(data_path))
    with Session.create(path, config) as session:
        if config.method.starts_from_labels:
            session.train()
        for _ in range(n_rounds):
            answer_round(session, oracle)
            session.train()
        session.prepare()
    return path
