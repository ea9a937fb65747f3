"""SEEDS from one channel of histogram bins, beside OpenCV's own way with three channels.

    python benchmarks/superpixels.py [image ...] [--n-per-image 200] [--repeats 3]

Without images, two made ones of 360 x 480 and 1024 x 2048 pixels are cut. Prints seconds (least of
the repeats, wall clock and CPU) and whether the superpixels are the same.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_al.core.opencv import cv2
from napari_al.core.superpixels import seeds_layout, superpixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def made(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth colours with noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 32, width // 32, 3)).astype(np.float32)
    noisy = cv2.resize(coarse, (width, height)) + rng.normal(0, 8, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def three_channels(image: NDArray[np.uint8], n_per_image: int) -> NDArray[np.int32]:
    height, width, _ = image.shape
    layout = seeds_layout(height, width, n_per_image)
    if layout is None:
        raise SystemExit(
            f"SEEDS cannot make {n_per_image} superpixels of {height} x {width} pixels"
        )
    counts = np.bincount(image.ravel(), minlength=256)
    equalised = (np.cumsum(counts) / image.size).astype(np.float32)[image]
    seeds = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, *layout, 3, 10, True)
    seeds.iterate(cv2.cvtColor(equalised, cv2.COLOR_RGB2HSV), 10)
    return seeds.getLabels()


def timed(do: Callable[[], NDArray[np.int32]], repeats: int) -> tuple[NDArray[np.int32], str]:
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = do()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return result, f"{min(walls):.2f} s ({min(cpus):.2f} s CPU)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*")
    parser.add_argument("--n-per-image", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    images = {path: np.asarray(Image.open(path).convert("RGB")) for path in args.images}
    images = images or {"made, small": made(360, 480), "made, large": made(1024, 2048)}
    n = args.n_per_image
    cv2.setNumThreads(1)
    for name, image in images.items():
        got, ours = timed(lambda i=image: superpixels(i, "seeds", n_per_image=n), args.repeats)
        labels, plain = timed(lambda i=image: three_channels(i, n), args.repeats)
        expected = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        same = "the same" if np.array_equal(got, expected) else "DIFFERENT"
        print(f"{name}: {got.max() + 1} superpixels, {ours}; three channels {plain}; {same}")


if __name__ == "__main__":
    main()
