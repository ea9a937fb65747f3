"""Correction scores of one image: SIM, ABC and mean probabilities of all its segments.

    python benchmarks/corrections.py [--threads 2] [--repeats 5] [--plain]

19 classes, 1024 x 2048 pixels, 300 masks. ``--plain`` also runs a loop over the segments, written
from the definitions, and prints how many times longer that takes and how far the scores differ.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_al.core.correction import abc, class_weights, correction_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CLASSES, HEIGHT, WIDTH, N_MASKS = 19, 1024, 2048, 300


def scene(
    seed: int = 0,
) -> tuple[torch.Tensor, NDArray[np.int32], NDArray[np.uint8]]:
    """Smooth probabilities with noise; ellipses of all sizes as masks, smaller ones on top."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(0, 4, (1, N_CLASSES, 16, 32)).astype(np.float32))
    logits = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")[0]
    logits += 0.3 * torch.from_numpy(rng.standard_normal(logits.shape, np.float32))
    segments = np.full((HEIGHT, WIDTH), -1, np.int32)
    labels = np.full((HEIGHT, WIDTH), 255, np.uint8)
    radii = np.sort(rng.lognormal(3.5, 1.0, N_MASKS))[::-1]
    for mask_id, radius in enumerate(radii):
        row, col = rng.integers(HEIGHT), rng.integers(WIDTH)
        rows = slice(max(0, row - int(radius)), row + int(radius) + 1)
        cols = slice(max(0, col - int(2 * radius)), col + int(2 * radius) + 1)
        y, x = np.ogrid[rows.start : min(rows.stop, HEIGHT), cols.start : min(cols.stop, WIDTH)]
        inside = (y - row) ** 2 + ((x - col) / 2) ** 2 <= radius**2
        segments[rows, cols][inside] = mask_id
        labels[rows, cols][inside] = rng.integers(N_CLASSES)
    return logits.softmax(dim=0), segments, labels


def plain(
    probs: NDArray[np.float32], segments: NDArray[np.int32], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SIM and the sums for ABC, segment by segment."""
    sim, by_class = np.zeros(N_MASKS), np.zeros((N_MASKS, N_CLASSES + 1))
    for m in range(N_MASKS):
        inside = segments == m
        p = probs[:, inside]
        if p.shape[1] == 0:
            continue
        predicted = p.argmax(axis=0)
        dominant = np.bincount(predicted).argmax()
        f = p[:, predicted == dominant].mean(axis=1)
        unit = p / np.linalg.norm(p, axis=0)
        similar = f / np.linalg.norm(f) @ unit
        cil = 1 - np.take_along_axis(p, labels[inside][None].astype(int), axis=0)[0]
        sim[m] = (unit[:, similar.argmax()] @ unit * cil).sum()
        by_class[m] = np.bincount(labels[inside], similar * cil, N_CLASSES + 1)
    return sim, by_class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    probs, segments, labels = scene()
    covered = (segments >= 0).mean()
    print(f"{N_CLASSES}x{HEIGHT}x{WIDTH}, {N_MASKS} masks over {covered:.0%} of the image")
    on_device = probs.to(args.device)
    correction_table(on_device, segments, N_MASKS, labels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    walls, cpus = [], []
    for _ in range(args.repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        table = correction_table(on_device, segments, N_MASKS, labels)
        weights = class_weights(table.label_histogram.sum(axis=0))
        scores = abc(table.similarity_cil_by_class, weights)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    print(
        f"table + ABC: {min(walls):.3f} s best, {np.median(walls):.3f} s median "
        f"({np.median(cpus):.3f} s CPU), peak of the process {before / 2**10:.0f} MiB"
    )
    if args.plain:
        started = time.perf_counter()
        sim, by_class = plain(probs.numpy(), segments, labels)
        wall = time.perf_counter() - started
        error = max(
            np.abs(sim / np.maximum(table.sim, 1e-6) - 1)[table.size > 0].max(),
            np.abs(by_class @ weights / np.maximum(scores, 1e-6) - 1)[table.size > 0].max(),
        )
        print(f"plain loop:  {wall:.3f} s, {wall / np.median(walls):.0f} times as long")
        print(f"largest relative difference of SIM and ABC: {error:.1e}")


if __name__ == "__main__":
    main()
