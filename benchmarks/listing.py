"""Opening a data folder of many images: names, headers when it is new, and headers that are known.

    python benchmarks/listing.py [--images 100000] [--folder DIR]

Writes so many images of 64 x 64 pixels and as many labels, which takes a while, and deletes them.
Seconds of the clock, and of the processor (which count where other programs are busy).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np

from napari_al.formats.dataset import DataFolder
from napari_al.formats.known_headers import KnownHeaders
from napari_al.formats.listing import list_images

if TYPE_CHECKING:
    from collections.abc import Callable


def write_images(root: Path, n_images: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for kind, picture in (("images", pixels), ("labels", pixels[..., 0] % 2)):
        data = iio.imwrite("<bytes>", picture, extension=".png")
        for number in range(n_images):
            place = root / "train" / kind / f"{number // 1000:03d}" / f"{number:06d}.png"
            if number % 1000 == 0:
                place.parent.mkdir(parents=True)
            place.write_bytes(data)
    classes = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    (root / "classes.json").write_text(json.dumps(classes))


def timed(what: str, call: Callable[[], object]) -> None:
    began, began_cpu = time.perf_counter(), time.process_time()
    call()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    print(f"{what:28s} {seconds:7.2f} s   processor {cpu:7.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        root, record = Path(work) / "data", Path(work) / "headers.json"
        write_images(root, options.images)
        timed("names", lambda: list_images(root))
        headers = KnownHeaders(root, record)
        timed("new", lambda: DataFolder.open(root, check_labels=False, headers=headers))
        timed("headers written", headers.save)

        def again() -> None:
            DataFolder.open(root, check_labels=False, headers=KnownHeaders(root, record))

        timed("known", again)


if __name__ == "__main__":
    main()
