"""Pseudo-labels of one image from regions' sets of classes, with 256 features a cell at stride 4.

    python benchmarks/localisation.py [--regions 200] [--plain] [--threads 2]

1024 x 2048 pixels, 2048 regions of 32 x 32, some of them labelled with one to three classes.
Memory is what the process has at its peak beyond what features and probabilities take (Linux).
``--plain`` instead runs a loop over the regions on features upsampled to the image, which takes
2 GiB and more, and prints a digest of the result so that the two may be compared.
"""

from __future__ import annotations

import argparse
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from napari_al.core import IGNORE
from napari_al.core.localisation import localise

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_FEATURES, N_CLASSES, HEIGHT, WIDTH, STRIDE, SIDE = 256, 19, 1024, 2048, 4, 32
ROUNDING = 1e-6


def scene(
    n_labelled: int,
) -> tuple[torch.Tensor, torch.Tensor, NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    coarse = torch.randn(1, N_FEATURES, HEIGHT // 32, WIDTH // 32, generator=generator)
    cells = (HEIGHT // STRIDE, WIDTH // STRIDE)
    features = F.interpolate(coarse, cells, mode="bilinear")[0].relu_()
    logits = torch.randn(1, N_CLASSES, HEIGHT // 16, WIDTH // 16, generator=generator)
    probs = F.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear")[0].softmax(dim=0)
    rows, cols = np.ogrid[:HEIGHT, :WIDTH]
    region_map = (rows // SIDE * (WIDTH // SIDE) + cols // SIDE).astype(np.int32)
    labelled = rng.permutation(int(region_map.max()) + 1)[:n_labelled]
    candidates = np.zeros((n_labelled, N_CLASSES), bool)
    for row in candidates:
        row[rng.permutation(N_CLASSES)[: rng.integers(1, 4)]] = True
    return features, probs, region_map, labelled, candidates


def plain(
    features: torch.Tensor,
    probs: torch.Tensor,
    region_map: NDArray[np.int32],
    labelled: NDArray[np.int64],
    candidates: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Region by region, with masks of the whole image."""
    full = F.interpolate(features[None], (HEIGHT, WIDTH), mode="bilinear")[0]
    full /= torch.linalg.vector_norm(full, dim=0).clamp(min=1e-12)
    class_map = np.full(region_map.shape, IGNORE, np.uint8)
    nearest = np.full(region_map.shape, -np.inf, np.float32)
    for row in np.argsort(labelled):
        class_ids = np.flatnonzero(candidates[row])
        inside = region_map == labelled[row]
        ids = np.unique(region_map[ndimage.binary_dilation(inside, np.ones((3, 3)))])
        around = np.isin(region_map, np.setdiff1d(ids, labelled))
        own = full[:, torch.from_numpy(inside)]
        at = probs[:, torch.from_numpy(inside)][class_ids].argmax(dim=1)
        alike = (own[:, at].T @ own).numpy()
        winners = (alike >= alike.max(axis=0) - ROUNDING).argmax(axis=0)
        class_map[inside] = class_ids[winners]
        outside = (own[:, at].T @ full[:, torch.from_numpy(around)]).numpy()
        for k in range(len(class_ids)):
            won = np.sort(alike[k, winners == k])
            alpha = won[(won.size - 1) // 2] if won.size else np.inf
            outside[k][outside[k] <= alpha + ROUNDING] = -np.inf
        best = outside.max(axis=0)
        taken = best > nearest[around] + ROUNDING
        winners = (outside >= best - ROUNDING).argmax(axis=0)
        class_map[around] = np.where(taken, class_ids[winners], class_map[around])
        nearest[around] = np.where(taken, best, nearest[around])
    return class_map


def peak_mib(*, reset: bool = False) -> float:
    """Largest resident memory so far; ``reset`` begins anew with what is resident now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    arrays = scene(args.regions)
    before, wall, cpu = peak_mib(reset=True), time.perf_counter(), time.process_time()
    got = plain(*arrays) if args.plain else localise(*arrays, stride=STRIDE)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{'plain loop' if args.plain else 'localise'}: {args.regions} labelled regions, "
        f"{wall:.2f} s ({cpu:.2f} s CPU), {peak_mib() - before:.0f} MiB beyond the arrays; "
        f"{(got != IGNORE).mean():.1%} of the pixels labelled, digest {zlib.crc32(got):08x}"
    )


if __name__ == "__main__":
    main()
