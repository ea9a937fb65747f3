"""How long the annotation log takes: an answer to be on disk, a large log to open.

    python benchmarks/log.py [--folder DIR] [--entries 100000] [--appends 500]

Give a folder on the disk in question; a temporary folder may be in memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.methods.queries import Answer, Query, Region
from napari_al.session.log.log import AnnotationLog


def answers(n: int, rng: np.random.Generator) -> list[Answer]:
    """Answers about round regions of about 1300 pixels, as SEEDS gives for 200 an image."""
    rows, cols = np.mgrid[:48, :48]
    made = []
    for number in range(n):
        row, col = rng.uniform(20, 28, 2)
        inside = (rows - row) ** 2 + (cols - col) ** 2 < rng.uniform(16, 20) ** 2
        mask = Mask.from_array(inside, (int(rng.integers(300)), int(rng.integers(300))))
        region = Region(f"image_{number % 300:03d}", (number % 200,), mask)
        made.append(Answer(Query(region, "dominant", 0.5, 1, 0), (number % 11,), Clicks(1)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--appends", type=int, default=500)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        path = Path(name) / "annotations.sqlite"
        some = answers(2000, rng)
        with AnnotationLog(path) as log:
            log._connection.execute("PRAGMA synchronous = OFF")  # filling is not what is measured
            for number in range(arguments.entries):
                base = some[number % len(some)]
                log.append([Answer(base.query, base.class_ids, base.clicks)])
        size = path.stat().st_size

        start, start_cpu = time.perf_counter(), time.process_time()
        log = AnnotationLog(path)
        cpu, wall = time.process_time() - start_cpu, time.perf_counter() - start
        print(
            f"open {arguments.entries} entries: {wall:.2f} s ({cpu:.2f} s CPU), {size / 1e6:.0f} MB"
        )

        start = time.perf_counter()
        n_active = len(log.active(log.last_seq - 1))
        print(f"state as of an earlier position: {time.perf_counter() - start:.3f} s ({n_active})")

        append_s, undo_s, active_s = [], [], []
        for answer in answers(arguments.appends, rng):
            start = time.perf_counter()
            log.append([answer])
            append_s.append(time.perf_counter() - start)
            start = time.perf_counter()
            log.active()
            active_s.append(time.perf_counter() - start)
        for _ in range(arguments.appends):
            start = time.perf_counter()
            log.undo()
            undo_s.append(time.perf_counter() - start)
        log.close()
        for what, seconds in (("append", append_s), ("undo", undo_s), ("active", active_s)):
            p50, p95, worst = np.percentile(seconds, [50, 95, 100]) * 1e3
            print(f"{what}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, longest {worst:.1f} ms")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
