"""Regions beside plain loops: table, neighbours and merging, sieving, selection of a batch.

    python benchmarks/core_regions.py [--threads 2] [--repeats 5] [--no-plain]

One image of 1024 x 2048 pixels with 19 classes and 8192 superpixels; 2000 regions to sieve; a pool
of 6 million regions and a budget of 100,000 clicks. Each is timed (least of the repeats, wall clock
and CPU), then done by a loop over regions that gives the same, which takes a minute or two in all.
Memory is the peak of what Python and NumPy allocate during the call.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_al.core.acquisition import rank
from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.merging import adaptive_merge
from napari_al.core.regions import region_table
from napari_al.core.sieving import confidence_curve, sieve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_CLASSES, HEIGHT, WIDTH, SIDE = 19, 1024, 2048, 16
N_REGIONS = HEIGHT * WIDTH // SIDE**2
EPSILON = 0.1
N_SIEVED, SIEVED_PX = 2000, 600
N_POOL, BUDGET = 6_000_000, 100_000

Merging = tuple["NDArray[np.int32]", "NDArray[np.int32]"]


def scene(rng: np.random.Generator) -> tuple[torch.Tensor, NDArray[np.int32]]:
    """Smooth probabilities with noise; squares bent by up to some pixels as superpixels."""

    def smooth(n: int, spread: float) -> torch.Tensor:
        coarse = torch.from_numpy(rng.normal(0, spread, (1, n, 16, 32)).astype(np.float32))
        return torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")[0]

    logits = smooth(N_CLASSES, 4)
    logits += 0.3 * torch.from_numpy(rng.standard_normal(logits.shape, np.float32))
    down, right = smooth(2, 5).numpy()
    rows = np.clip((np.arange(HEIGHT)[:, None] + down) // SIDE, 0, HEIGHT // SIDE - 1)
    cols = np.clip((np.arange(WIDTH) + right) // SIDE, 0, WIDTH // SIDE - 1)
    return logits.softmax(dim=0), (rows * (WIDTH // SIDE) + cols).astype(np.int32)


def plain_table(probs: NDArray[np.float32], region_map: NDArray[np.int32]) -> NDArray[np.float64]:
    """(R, 2 C + 1) mean probabilities, sums of BvSB by class and sizes."""
    out = np.zeros((N_REGIONS, 2 * N_CLASSES + 1))
    for region_id in range(N_REGIONS):
        pixels = probs[:, region_map == region_id]
        if pixels.size == 0:
            continue
        ordered = np.sort(pixels, axis=0)
        ratio = ordered[-2] / ordered[-1]
        out[region_id, :N_CLASSES] = pixels.mean(axis=1)
        np.add.at(out[region_id, N_CLASSES:-1], pixels.argmax(axis=0), ratio)
        out[region_id, -1] = pixels.shape[1]
    return out


def plain_merging(
    mean_probs: NDArray[np.float32], uncertainty: NDArray[np.float32], region_map: NDArray[np.int32]
) -> Merging:
    """Edges and the seed of each region, one region at a time."""
    padded = np.pad(region_map, 1, constant_values=-1)
    neighbours: list[set[int]] = []
    for region_id in range(N_REGIONS):
        rows, cols = np.nonzero(region_map == region_id)
        around = [padded[rows + r, cols + c] for r, c in ((0, 1), (2, 1), (1, 0), (1, 2))]
        neighbours.append(set(np.unique(around).tolist()) - {-1, region_id})
    edges = [(a, b) for a in range(N_REGIONS) for b in sorted(neighbours[a]) if a < b]
    seed_of = np.full(N_REGIONS, -1, np.int32)
    f = np.divide(mean_probs, mean_probs.sum(axis=1, keepdims=True), dtype=np.float64)
    for seed in np.argsort(-uncertainty, kind="stable").tolist():
        waiting = [seed] if seed_of[seed] < 0 else []
        while waiting:
            region_id = waiting.pop()
            seed_of[region_id] = seed
            for other in neighbours[region_id]:
                if seed_of[other] < 0 and other not in waiting:
                    p, q = f[seed], f[other]
                    m = (p + q) / 2
                    divergence = (p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()
                    if divergence / 2 < EPSILON**2:
                        waiting.append(other)
    return np.array(edges, np.int32), seed_of


def plain_sieve(confidence: NDArray[np.float64]) -> list[bool]:
    """Kneedle point by point."""
    ordered = sorted(confidence.tolist())
    y = ordered[:: max(1, len(ordered) // 20)]
    n = len(y)
    over = [(v - y[0]) / (y[-1] - y[0]) - i / (n - 1) for i, v in enumerate(y)]
    top, threshold, knee = None, 0.0, None
    for i in range(n - 1):
        before, after = over[max(i - 1, 0)], over[i + 1]
        if over[i] >= before and over[i] >= after:
            top, threshold = i, over[i] - 1 / (n - 1)
        if over[i] <= before and over[i] <= after:
            threshold = 0.0
        if top is not None and after < threshold:
            knee = top
            break
    return [knee is None or value >= y[knee] for value in confidence.tolist()]


def plain_selection(scores: list[float], costs: list[int]) -> list[int]:
    batch, spent = [], 0
    for region_id in sorted(range(len(scores)), key=scores.__getitem__, reverse=True):
        if spent >= BUDGET:
            break
        batch.append(region_id)
        spent += costs[region_id]
    return batch


def timed(do: Callable[[], Any], repeats: int) -> tuple[Any, float, float]:
    """Result, and least wall-clock and CPU seconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = do()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return result, min(walls), min(cpus)


def peak_mib(do: Callable[[], Any]) -> float:
    tracemalloc.start()
    do()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def compare(
    name: str, do: Callable[[], Any], plain: Callable[[], Any] | None, repeats: int
) -> tuple[Any, Any]:
    result, wall, cpu = timed(do, repeats)
    line = f"{name}: {wall:.3f} s ({cpu:.3f} s CPU), {peak_mib(do):.0f} MiB"
    if plain is None:
        print(line, flush=True)
        return result, None
    expected, plain_wall, plain_cpu = timed(plain, 1)
    print(
        f"{line}; plain loop {plain_wall:.1f} s ({plain_cpu:.1f} s CPU), "
        f"{plain_cpu / cpu:.0f} times the CPU time",
        flush=True,
    )
    return result, expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-plain", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    probs, region_map = scene(rng)

    def either(plain: Callable[[], Any]) -> Callable[[], Any] | None:
        return None if args.no_plain else plain

    table, expected = compare(
        "table",
        lambda: region_table(probs, region_map, N_REGIONS),
        either(lambda: plain_table(probs.numpy(), region_map)),
        args.repeats,
    )
    n_bytes = sum(getattr(table, field.name).nbytes for field in fields(table))
    print(f"  {n_bytes / N_REGIONS:.0f} bytes a region")
    if expected is not None:
        columns = (table.mean_probs, table.bvsb_by_class, table.size[:, None])
        print(f"  largest difference {np.abs(np.hstack(columns) - expected).max():.1e}")

    def merge(epsilon: float = EPSILON) -> Merging:
        edges = adjacency(region_map)
        return edges, adaptive_merge(table.mean_probs, table.mean_bvsb, edges, epsilon)

    merged, expected = compare(
        "neighbours and merging",
        merge,
        either(lambda: plain_merging(table.mean_probs, table.mean_bvsb, region_map)),
        args.repeats,
    )
    print(f"  {len(merged[0])} edges, {len(np.unique(merged[1]))} merged regions")
    if expected is not None:
        same = all(np.array_equal(a, b) for a, b in zip(merged, expected, strict=True))
        print(f"  {'the same edges and regions' if same else 'DIFFERENT edges or regions'}")
    for epsilon in (0, 0.3, 1):
        (_, seeds), wall, cpu = timed(lambda e=epsilon: merge(e), args.repeats)
        n_merged = len(np.unique(seeds))
        print(f"  epsilon {epsilon}: {n_merged} merged regions, {wall:.3f} s ({cpu:.3f} s CPU)")

    confidences = rng.random((N_SIEVED, SIEVED_PX)) ** rng.uniform(0.1, 0.7, (N_SIEVED, 1))
    kept, expected = compare(
        f"sieving of {N_SIEVED} regions",
        lambda: np.array([sieve(c, confidence_curve(c, min_size=512)) for c in confidences]),
        either(lambda: np.array([plain_sieve(confidence) for confidence in confidences])),
        args.repeats,
    )
    print(f"  {kept.mean():.1%} of the pixels kept")
    if expected is not None:
        print(f"  {(kept != expected).any(axis=1).sum()} regions sieved differently")

    scores, costs = rng.random(N_POOL), rng.integers(1, 4, N_POOL)

    def select() -> NDArray[np.int64]:
        order = rank(scores, (0,))
        return order[: np.searchsorted(np.cumsum(costs[order]), BUDGET) + 1]

    batch, expected = compare(
        f"batch from {N_POOL} regions",
        select,
        either(lambda: plain_selection(scores.tolist(), costs.tolist())),
        args.repeats,
    )
    if expected is not None:
        same = batch.tolist() == expected
        print(f"  {len(batch)} regions, {'the same' if same else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
