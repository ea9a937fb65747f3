"""A large picture in the window: to the first question, stalls, memory of every process; exactness.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/large_picture.py [--side 40000]

The picture is made block by block: OME-Zarr with a coarse resolution beside the full one. Then the
window opens its folder, as ``napari-al label DATA --method classbal`` does, and answers questions.
Seconds, the longest time between two ticks of its event loop (also in CPU seconds of its thread,
which other programs do not lengthen), and the peak resident memory of the window and its children.
Last, the predictions of a block are compared with one pass over it and what lies around it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 1024
COARSER = 16
SETTINGS = {"training": {"device": "cpu"}}


def draw(folder: Path, side: int) -> None:
    """Write a data folder with one picture of side x side RGB pixels."""
    import zarr
    from scipy.ndimage import gaussian_filter, zoom

    (folder / "images").mkdir(parents=True)
    classes = [{"id": i, "name": name} for i, name in enumerate(("tissue", "fat", "glass"))]
    (folder / "classes.json").write_text(json.dumps(classes))
    rng = np.random.default_rng(0)
    group = zarr.open_group(folder / "images" / "slide.zarr", mode="w")
    small = -(-side // COARSER)
    field = gaussian_filter(rng.normal(size=(small, small)), 20)
    coarse = np.digitize(field, np.quantile(field, [0.4, 0.75]))
    colours = np.array([[190, 90, 150], [230, 190, 220], [240, 240, 240]])
    noise = zoom(rng.normal(0, 9, (CHUNK // 4, CHUNK // 4)), 4, order=0)[..., None]
    full = group.create_array("0", shape=(3, side, side), chunks=(3, CHUNK, CHUNK), dtype="uint8")
    for top in range(0, side, CHUNK):
        for left in range(0, side, CHUNK):
            rows, cols = (slice(at, min(at + CHUNK, side)) for at in (top, left))
            part = coarse[top // COARSER : (top + CHUNK) // COARSER,
                          left // COARSER : (left + CHUNK) // COARSER]  # fmt: skip
            pixels = colours[part].repeat(COARSER, 0).repeat(COARSER, 1)
            pixels = pixels[: rows.stop - top, : cols.stop - left]
            drawn = pixels + noise[: pixels.shape[0], : pixels.shape[1]]
            full[:, rows, cols] = drawn.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    group.create_array("1", data=colours[coarse].astype(np.uint8).transpose(2, 0, 1))
    datasets = [{"path": "0"}, {"path": "1"}]
    axes = [{"name": name} for name in "cyx"]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": datasets}]}


def peak_mb(pid: int | str) -> float:
    """Return the highest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def children() -> list[str]:
    """Return the processes that this one has started, and they."""
    found, waiting = [], ["self"]
    while waiting:
        for file in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            found += file.read_text().split()
            waiting += file.read_text().split()
    return found


class Ticks:
    """How late the event loop is, and the memory of child processes."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.longest_s = self.longest_cpu_s = 0.0
        self.peaks: dict[str, float] = {}
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._n = 0

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.longest_cpu_s = max(self.longest_cpu_s, cpu - self._last_cpu)
        self._n += 1
        if self._n % 20 == 0:
            for pid in children():
                try:
                    self.peaks[pid] = peak_mb(pid)
                except (OSError, StopIteration):  # it has ended
                    continue
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()

    def told(self) -> str:
        """Return what was measured since the last time, in words."""
        words = (
            f"longest stall {1000 * self.longest_s:.0f} ms "
            f"({1000 * self.longest_cpu_s:.0f} ms of CPU)"
        )
        self.longest_s = self.longest_cpu_s = 0.0
        return words


def annotate(data: Path, n_answers: int, limit_s: float) -> None:
    """Open the folder in a window, and answer by the first class."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_al.plugin.app import open_dock
    from napari_al.plugin.viewers import close_all

    viewer = napari.Viewer()
    dock = open_dock(viewer)
    bench = dock.bench

    def until(holds: Any, limit: float) -> bool:
        end = time.perf_counter() + limit
        while not holds() and time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.001)
        return bool(holds())

    until(lambda: False, 2)
    ticks, started_s = Ticks(), time.perf_counter()
    project = data.with_name("project")
    dock.opening.open(data, project=project, method="classbal", settings=SETTINGS)
    until(lambda: bench.query is not None and bench.stage.image == bench.query.region.image, 600)
    print(f"first question after {time.perf_counter() - started_s:.1f} s; {ticks.told()}")
    canvas = viewer.window._qt_viewer.canvas.native
    for _ in range(n_answers):
        before = bench.query
        QTest.keyClick(canvas, Qt.Key.Key_1)
        until(lambda before=before: bench.query is not None and bench.query is not before, 60)
        until(lambda: bench.stage.image == bench.query.region.image, 60)
        until(lambda: False, 0.2)
    print(f"{n_answers} answers; {ticks.told()}")
    session, answered_s = bench.session, time.perf_counter()
    is_there = until(lambda: session.model_round is not None, limit_s)
    words = "first model" if is_there else "no model yet"
    print(f"{words} {time.perf_counter() - answered_s:.0f} s later; {ticks.told()}")
    print(f"window: peak {peak_mb('self'):.0f} MB")
    for pid, mb in ticks.peaks.items():
        print(f"child {pid}: peak {mb:.0f} MB")
    close_all()
    viewer.close()


def compare(data: Path) -> None:
    """Print how far predictions of a block are from those of one pass."""
    import torch

    from napari_al.formats.dataset import DataFolder
    from napari_al.learning import inference
    from napari_al.learning.networks.pretrained import find_weights
    from napari_al.learning.segmenter import build_segmenter

    name = "efficientnet-lite0"
    model = build_segmenter(
        name, 3, 3, mean=[124.0, 116.0, 104.0], std=[58.0, 57.0, 57.0], seed=0, frozen=True,
        n_members=3, backbone=find_weights(name, "pretrained"),
    )  # fmt: skip
    folder = DataFolder.open(data, check_labels=False)
    block = folder.block(folder.train[len(folder.train) // 2])
    assert block is not None
    cpu, started_s = torch.device("cpu"), time.process_time()
    part, _ = inference.predict_features(model.eval(), block, cpu)
    print(f"a block: {time.process_time() - started_s:.0f} s of CPU, peak {peak_mb('self'):.0f} MB")
    # what the network can see from the block, in one piece
    grown = [
        slice(max(span.start - 512, 0), min(span.stop + 512, length))
        for span, length in zip((block.rows, block.cols), block.picture_shape, strict=True)
    ]
    inference.MAX_WHOLE_PX = 2**26
    whole, _ = inference.predict_features(model, block.read(*grown), cpu)
    top, left = block.rows.start - grown[0].start, block.cols.start - grown[1].start
    inner = whole[:, top : top + part.shape[1], left : left + part.shape[2]]
    print(f"largest difference of a probability from one pass: {(part - inner).abs().max():.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=40_000)
    parser.add_argument("--answers", type=int, default=30)
    parser.add_argument("--limit", type=float, default=300, help="seconds to wait for a model")
    parser.add_argument("--data", type=Path, help="a folder made before, or to be made and kept")
    parser.add_argument("--step", choices=["draw", "annotate", "compare"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "draw":
        draw(options.data, options.side)
    elif options.step == "annotate":
        annotate(options.data, options.answers, options.limit)
    elif options.step == "compare":
        compare(options.data)
    else:
        with tempfile.TemporaryDirectory() as folder:
            data = options.data or Path(folder) / "data"
            again = [sys.executable, __file__, *sys.argv[1:], "--data", str(data)]
            for step in ("draw", "annotate", "compare"):
                if step != "draw" or not data.exists():
                    subprocess.run([*again, "--step", step], check=True)


if __name__ == "__main__":
    main()
