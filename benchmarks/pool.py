"""A batch from a pool of many regions: time and peak memory, with made rows.

    python benchmarks/pool.py --rows 1e6 1e7 1e8 [--method classbal] [--folder DIR]

Each size runs in a process of its own, through the code of a round: rows come in image by image
(``RowStore``), are scored (``pool_scores``), written, read again (``PoolScores``) and ordered
(``Pool``); then the first queries' rows are taken. Anonymous memory is what has to be there; pages
mapped from files count as resident, too, but the system takes them back when it needs room.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_al.formats.classes import default_classes
from napari_al.methods.table import METHODS
from napari_al.session.pool.order import ModelScores, Pool
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project.config import ProjectConfig
from napari_al.session.rounds.scoring import ImageRows, assemble

if TYPE_CHECKING:
    from collections.abc import Iterator

N_CLASSES, PER_IMAGE = 19, 8192
BATCH = 10_000


class MadeData:
    """Stands for a data folder: sizes of images."""

    def shape(self, image: str) -> tuple[int, int]:
        return (1024, 2048)


class MadeSnapshot:
    """What ``assemble`` reads of a snapshot."""

    def __init__(self, config: ProjectConfig) -> None:
        self.config, self.data = config, MadeData()


def made_rows(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    dominant = rng.integers(0, N_CLASSES, n)
    columns = {"mean_bvsb": rng.random(n, np.float32), "dominant": dominant}
    ids = np.arange(n, dtype=np.int32)
    return ImageRows(ids, columns, predicted=dominant.astype(np.int32)).stored()


def memory() -> dict[str, float]:
    """MiB: anonymous, resident."""
    text = Path("/proc/self/status").read_text()
    read = {k: int(v) / 1024 for k, v in re.findall(r"(RssAnon|VmRSS):\s+(\d+) kB", text)}
    return {"anonymous": read["RssAnon"], "resident": read["VmRSS"]}


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print the seconds and the highest memory of what is done meanwhile."""
    peak, done = memory(), threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for name, value in memory().items():
                peak[name] = max(peak[name], value)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    print(
        f"  {what:28s} {seconds:8.2f} s   anonymous {peak['anonymous']:7.0f} MiB   "
        f"resident {peak['resident']:7.0f} MiB",
        flush=True,
    )


def run(n_rows: int, method: str, folder: Path) -> None:
    from napari_al.session.pool.row_store import RowStore

    classes = default_classes([f"class {i}" for i in range(N_CLASSES)])
    config = ProjectConfig(data="made", classes=classes, method=METHODS[method], budget=BATCH)
    n_images = -(-n_rows // PER_IMAGE)
    names = [f"image_{number:06d}" for number in range(n_images)]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        print(f"{n_rows:,} rows of {n_images:,} images, {method}", flush=True)
        with measured("before"):
            pass
        with RowStore(Path(work)) as rows:
            with measured("rows come in"):
                for number in rng.permutation(n_images).tolist():
                    n = min(PER_IMAGE, n_rows - number * PER_IMAGE)
                    rows.append(names[number], made_rows(n, rng))
            with measured("in order of the images"):
                in_order = rows.in_order(names)
        with in_order, measured("scored"):
            scores = assemble(MadeSnapshot(config), in_order, by_model=True)  # type: ignore[arg-type]
        path = Path(work) / "scores.safetensors"
        with measured("written"):
            scores.save(path)
        del scores, in_order
        with measured("read and checked"):
            read = PoolScores.load(path)
        assert read is not None
        with measured("ordered"):
            shapes = dict.fromkeys(names, (1024, 2048))
            pool = Pool([ModelScores(1, read)], shapes, config)
        with measured(f"first {BATCH:,} regions"):
            batch = [(pool.image(row), pool.locate(row)[1]) for row in islice(pool.rows(), BATCH)]
        assert len(set(batch)) == min(BATCH, n_rows)
        assert len(pool) == n_rows
        if n_rows <= 10**7:  # against the whole order
            best = np.sort(read.score)[::-1][: len(batch)]
            assert [read.score[row] for _, row in batch] == best.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", type=float, default=[1e6, 1e7])
    parser.add_argument("--method", default="classbal")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if len(options.rows) == 1:
        run(int(options.rows[0]), options.method, options.folder)
        return
    for n_rows in options.rows:  # memory that was freed is not given back at once
        again = ["--rows", str(n_rows), "--method", options.method, "--folder", str(options.folder)]
        subprocess.run([sys.executable, __file__, *again], check=True)


if __name__ == "__main__":
    main()
