"""The preview of a large image covers what is shown, with lines that can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.start.region_preview import MAX_PX, PreviewedImage

if TYPE_CHECKING:
    from conftest import Desk


def test_a_large_image_is_previewed_where_it_is_seen(desk: Desk) -> None:
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 255, (30, 40)), 100, 0), 100, 1).astype(np.uint8)
    assert image.size > 4 * MAX_PX
    preview = desk.dock.opening.preview
    shown = []
    preview.regions_changed.connect(shown.append)
    preview.show(PreviewedImage("large", lambda: image[..., None]), "slic", 400)
    desk.until(lambda: shown)
    lines = desk.viewer.layers[NAMES["borders"]].data
    rows, cols = np.nonzero(lines)
    centre, zoom = desk.viewer.scene.camera.center, desk.viewer.scene.camera.zoom
    half = np.array(desk.viewer.canvas.size) / zoom / 2
    seen = (rows.min(), rows.max(), cols.min(), cols.max())
    assert 0.9 * 2 * half.min() < max(seen[1] - seen[0], seen[3] - seen[2]) < 2.1 * half.max()
    assert abs(sum(seen[:2]) / 2 - centre[1]) < 20
    assert abs(sum(seen[2:]) / 2 - centre[2]) < 20
    assert zoom < 1, "several pixels of the image are one of the screen"
    across = lines[int(centre[1])]
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], across, [0]]))))[::2]
    assert np.median(runs) * zoom >= 0.9, "a line is a pixel of the screen or more"
