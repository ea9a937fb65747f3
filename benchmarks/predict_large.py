"""A large image through `napari-al predict`: peak memory and time, for growing sides.

    python benchmarks/predict_large.py [--sides 5000 10000 20000] [--layout tiles]

Each image is drawn in one process and predicted in another, whose peak is its resident set
(``ru_maxrss``); beside it stands what that was after torch and the model were loaded. Layouts:
``tiles`` and ``strips`` (TIFF, deflate), ``plain`` (TIFF, uncompressed), ``zarr`` (OME-Zarr).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

N_CLASSES = 19
SIDE = 512


def squares(side: int):
    """Parts of a drawn image: a texture that repeats with other brightness."""
    texture = np.random.default_rng(0).integers(0, 120, (SIDE, SIDE, 3), np.uint8)
    for top in range(0, side, SIDE):
        for left in range(0, side, SIDE):
            brightness = np.uint8((top // SIDE + left // SIDE) % 100)
            yield top, left, texture[: side - top, : side - left] + brightness


def draw(path: Path, side: int, layout: str) -> None:
    if layout == "zarr":
        import zarr

        group = zarr.open_group(path, mode="w", zarr_format=2)
        stored = group.create_array(
            "0", shape=(side, side, 3), chunks=(SIDE, SIDE, 3), dtype="uint8"
        )
        axes = [{"name": name} for name in "yxc"]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
        for top, left, part in squares(side):
            stored[top : top + SIDE, left : left + SIDE] = part
        return
    shape = (side, side, 3)
    if layout == "tiles":
        parts = (part for _, _, part in squares(side))
        tifffile.imwrite(
            path, parts, shape=shape, dtype=np.uint8, tile=(SIDE, SIDE), photometric="rgb",
            compression="zlib",
        )  # fmt: skip
        return
    mapped = tifffile.memmap(path, shape=shape, dtype=np.uint8, photometric="rgb")
    for top, left, part in squares(side):
        mapped[top : top + SIDE, left : left + SIDE] = part
    mapped.flush()
    if layout == "strips":
        tifffile.imwrite(path, np.array(mapped), photometric="rgb", compression="zlib")


def predict(path: Path, out: Path, segmenter: str, probabilities: bool) -> dict[str, float]:
    from napari_al.learning.segmenter import build_segmenter
    from napari_al.learning.weights import save_segmenter
    from napari_al.tools.predict import predict_images
    from napari_al.tools.trained_model import open_model

    statistics = {"mean": [90.0] * 3, "std": [50.0] * 3}
    model_path = out.with_suffix(".safetensors")
    save_segmenter(model_path, build_segmenter(segmenter, 3, N_CLASSES, seed=0, **statistics), {})
    model = open_model(model_path)
    before, started_s = peak_mb(), time.perf_counter()
    used_s = time.process_time()
    predict_images(model, [path], out, probabilities=probabilities)
    return {
        "before_mb": before,
        "peak_mb": peak_mb(),
        "wall_s": time.perf_counter() - started_s,
        "cpu_s": time.process_time() - used_s,
    }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument("--layout", choices=["tiles", "strips", "plain", "zarr"], default="tiles")
    parser.add_argument("--segmenter", default="compact")
    parser.add_argument("--probabilities", action="store_true")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--predict", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw is not None:
        draw(options.draw, options.sides[0], options.layout)
        return
    if options.predict is not None:
        out = options.predict.with_name("out")
        figures = predict(options.predict, out, options.segmenter, options.probabilities)
        print(json.dumps(figures))
        return
    # a process begins with the peak of the one that starts it, so this one stays small
    again = [sys.executable, __file__, *sys.argv[1:]]
    for side in options.sides:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("image.zarr" if options.layout == "zarr" else "image.tif")
            subprocess.run([*again, "--sides", str(side), "--draw", str(path)], check=True)
            done = subprocess.run(
                [*again, "--predict", str(path)], stdout=subprocess.PIPE, text=True, check=True
            )
            figures = json.loads(done.stdout)
            written = sum(f.stat().st_size for f in Path(folder, "out").rglob("*") if f.is_file())
        print(
            f"{options.layout} {side} x {side}: peak {figures['peak_mb']:.0f} MB "
            f"({figures['before_mb']:.0f} MB before), {figures['cpu_s']:.0f} s CPU, "
            f"{figures['wall_s']:.0f} s, {side**2 / figures['cpu_s'] / 1e6:.2f} Mpx per s of CPU, "
            f"{written / 2**20:.1f} MB written"
        )


if __name__ == "__main__":
    main()
