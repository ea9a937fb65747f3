"""Makes the pictures of ``docs/inspecting.md``: three short runs on the sample data, looked at.

``scripts/with_display.sh .venv/bin/python docs/make_round_pictures.py RUNS`` takes some minutes;
runs that are in the folder RUNS already are not made again.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_al.plugin.inspect.dock import InspectDock

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "images"
METHODS = ("adaptive-superpixel", "multi-class", "a2lc")
N_ROUNDS, BUDGET = 3, 100
SETTINGS = {
    "regions": {"n_per_image": 150},
    "training": {"steps": 120, "batch_size": 4, "crop_px": 128, "threads": 1},
}
SHEETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "adaptive-superpixel": (
        ("superpixels",),
        ("merged_lines",),
        ("merged_cells",),
        ("merged_counts",),
        ("heatmap",),
        ("queried", "queried_lines"),
        ("sieved", "queried_lines"),
        ("targets",),
        ("target_errors", "queried_lines"),
        ("prediction",),
        ("prediction_errors",),
        ("truth",),
    ),
    "multi-class": (
        ("queried", "queried_lines"),
        ("targets",),
        ("localised",),
        ("expanded",),
        ("localised", "expanded"),
        ("target_errors",),
    ),
    "a2lc": (
        ("initial",),
        ("heatmap",),
        ("queried", "queried_lines"),
        ("corrections",),
        ("corrections_checked",),
        ("targets",),
    ),
}
"""Pictures of each method's last round, those of a tile together."""
TILE_PX, CAPTION_PX, N_IN_ROW = 400, 24, 3


def main(runs: Path) -> None:
    """Make the runs and the pictures."""
    import napari
    from napari.settings import get_settings

    for method in METHODS:
        _run(runs / method, method)
    get_settings().appearance.theme = "dark"
    viewer = napari.Viewer(title="napari-al")
    viewer.window.resize(1280, 720)
    for method, tiles in SHEETS.items():
        dock = _open(viewer, runs, method)
        _look_where_most_happened(dock)
        _sheet(dock, tiles).save(OUT / f"inspect-{method}.jpg", quality=88)
    _windows(viewer, runs)
    viewer.close()


def _run(out: Path, method: str) -> None:
    from napari_al.formats.sample import sample_data_path
    from napari_al.simulate.runner import run_simulation

    run_simulation(
        sample_data_path(),
        method,
        n_rounds=N_ROUNDS,
        budget=BUDGET,
        seed=0,
        settings=SETTINGS,
        out=out,
    )


# -- the window, driven


def _until(holds: Callable[[], object]) -> None:
    from qtpy.QtTest import QTest

    for _ in range(6000):
        if holds():
            break
        QTest.qWait(20)
    else:
        raise TimeoutError
    QTest.qWait(400)  # for the canvas


def _open(viewer: Any, runs: Path, method: str) -> InspectDock:
    from napari_al.plugin.inspect.dock import inspect

    dock = inspect(viewer, runs / method)

    def is_open() -> bool:
        inspection = dock.inspector.inspection
        right = inspection is not None and inspection.config.method.name == method
        return right and len(dock.inspector.layers.shown) == 2

    _until(is_open)
    return dock


def _show(dock: InspectDock, keys: Sequence[str]) -> None:
    inspector = dock.inspector
    for key in tuple(inspector.project.shown_keys):
        inspector.project.set_shown(key, False)
    for key in keys:
        inspector.project.set_shown(key, True)
    _until(lambda: set(inspector.layers.shown) == set(keys))


def _look_where_most_happened(dock: InspectDock) -> None:
    """Go to the image with most pixels in corrections and in answers with several classes."""
    record = dock.inspector.record
    if record is None:
        raise RuntimeError("no round is open")
    regions = [correction.region for correction in record.accepted]
    regions += [a.query.region for a in record.answers if len(a.class_ids) > 1]
    n_px = Counter[str]()
    for region in regions:
        n_px[region.image] += region.mask.size
    if n_px:
        dock.inspector.project.show_image(n_px.most_common(1)[0][0])
        _until(lambda: dock.inspector.layers.picture("queried") is not None)


# -- pictures


def _sheet(dock: InspectDock, tiles: Sequence[Sequence[str]]) -> Image.Image:
    """Return a sheet of tiles, each the canvas with some pictures on, with their names."""
    from napari_al.plugin.inspect.layer_styles import KINDS

    shots = []
    for keys in tiles:
        _show(dock, keys)
        shots.append((" + ".join(KINDS[key].name for key in keys), _canvas(dock.viewer)))
    height = round(TILE_PX * shots[0][1].height / shots[0][1].width)
    n_rows = -(-len(shots) // N_IN_ROW)
    size = (N_IN_ROW * TILE_PX, n_rows * (height + CAPTION_PX))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for n, (caption, shot) in enumerate(shots):
        left, top = n % N_IN_ROW * TILE_PX, n // N_IN_ROW * (height + CAPTION_PX)
        draw.text((left + 2, top + 4), caption, "black", font)
        sheet.paste(shot.resize((TILE_PX - 6, height)), (left, top + CAPTION_PX))
    return sheet


def _canvas(viewer: Any) -> Image.Image:
    """Return the canvas without the black around the image."""
    pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    rows, cols = (np.flatnonzero((pixels > 12).any(axis=(axis, 2))) for axis in (1, 0))
    return Image.fromarray(pixels[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1])


def _save_window(viewer: Any, name: str) -> None:
    pixels = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
    Image.fromarray(pixels).save(OUT / f"inspect-{name}.png", optimize=True)


def _windows(viewer: Any, runs: Path) -> None:
    """Save the window with each of the tabs, once in the light theme."""
    dock = _open(viewer, runs, "adaptive-superpixel")
    inspector = dock.inspector
    _show(dock, ("merged_cells", "queried_lines"))
    _save_window(viewer, "pictures")
    record = inspector.record
    if record is None:
        raise RuntimeError("no round is open")
    here = [a for a in record.answers if a.query.region.image == inspector.project.image]
    asked = max(here, key=lambda answer: len(answer.query.region.ids))
    _show(dock, ("sieved",))
    dock.on_region_clicked()
    inspector.project.pick(asked.query.region.mask.central_pixel())
    _until(dock.region.history.isVisible)
    _save_window(viewer, "region")
    _show(dock, ())
    dock.tabs.setCurrentIndex(2)
    dock.previews.switches["try_acquisition"].setChecked(True)
    _until(lambda: inspector.layers.picture("try_batches") is not None)
    _save_window(viewer, "acquisition")
    dock.previews.switches["try_acquisition"].setChecked(False)
    dock.previews.switches["try_merging"].setChecked(True)
    dock.previews.epsilon.setValue(25)
    _until(lambda: inspector.layers.picture("try_merging") is not None)
    viewer.theme = "light"
    _save_window(viewer, "merging")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
