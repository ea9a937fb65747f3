"""A stack that is open in the viewer keeps its slider while its planes are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_al.errors import InputError
from napari_al.plugin.layers.highlight import DARK
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.layers.planes_file import NAME, read_planes

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Desk


def _begin(desk: Desk, stack: np.ndarray, folder: Path) -> None:
    """Open a stack and start at once: it is chosen and previewed by itself."""
    desk.viewer.add_image(stack, name="stack", scale=(5, 1, 1), translate=(10, 0, 0))
    desk.viewer.dims.set_current_step(0, 2)
    page = desk.dock.start
    desk.until(lambda: page.source is not None)
    assert "images of the viewer (stack)" in page.sources.images.text()
    desk.until(lambda: NAMES["borders"] in desk.viewer.layers)
    page.class_list.entry.setText("background, cell")
    page.project.setText(str(folder))
    page._on_own_project()
    desk.press("Start")
    desk.until_asked()


def _slider(desk: Desk):
    return desk.viewer.window._qt_viewer.dims.slider_widgets[0].slider


def _plane(desk: Desk) -> int:
    return int(desk.query.region.image.rsplit("_", 1)[1])


def _shown(desk: Desk) -> np.ndarray:
    return desk.viewer.layers[NAMES["image"]].data


def _outline(desk: Desk) -> np.ndarray:
    """Return the codes of the highlight, the same for all shades outside the region."""
    return np.minimum(desk.viewer.layers[NAMES["query"]].data, DARK + 1)


def test_planes_are_asked_in_place_and_their_neighbours_looked_at(
    desk: Desk, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    stack = (rng.random((12, 40, 50)) * 60000).astype(np.uint16)
    _begin(desk, stack, tmp_path / "project")
    assert _slider(desk).isVisible()
    asked = _plane(desk)
    assert _slider(desk).value() == asked
    np.testing.assert_array_equal(_shown(desk), stack[asked])

    neighbour = asked + 1 if asked < 11 else asked - 1
    outline = _outline(desk)
    centre = tuple(desk.viewer.scene.camera.center)
    _slider(desk).setValue(neighbour)
    desk.until(lambda: (_shown(desk) == stack[neighbour]).all())
    assert _plane(desk) == asked, "the question stays"
    desk.until(lambda: desk.dock.bench.stage.image.endswith(str(neighbour)))
    np.testing.assert_array_equal(_outline(desk), outline)
    assert tuple(desk.viewer.scene.camera.center) == centre
    desk.key(Qt.Key.Key_F)
    desk.until(lambda: _slider(desk).value() == asked)
    np.testing.assert_array_equal(_shown(desk), stack[asked])

    _slider(desk).setValue(neighbour)
    for _ in range(4):
        before = desk.query
        desk.key(Qt.Key.Key_2)
        desk.until_asked()
        assert desk.query != before
        assert _slider(desk).value() == _plane(desk)
        np.testing.assert_array_equal(_shown(desk), stack[_plane(desk)])
    assert [a.class_ids for a in desk.session.answers()] == [(1,)] * 4
    desk.dock.bench.close()
    _slider(desk).setValue(3)  # nobody listens any more
    assert desk.viewer.layers["stack"].visible

    for is_there in (True, False):  # opened again, beside the stack and without it
        if not is_there:
            desk.viewer.layers.remove("stack")
        desk.dock.opening.open_project(tmp_path / "project")
        desk.until_asked()
        assert _slider(desk).isVisible()
        assert _slider(desk).value() == _plane(desk)
        assert ("Planes" in desk.viewer.layers) is not is_there
        other = 3 if _plane(desk) != 3 else 4
        _slider(desk).setValue(other)
        desk.until(lambda other=other: (_shown(desk) == stack[other]).all())
        desk.dock.bench.close()
    assert len(desk.viewer.layers) == 0


@pytest.mark.parametrize(
    "text", ["[", '{"a": {"stack": "s"}}', '{"a": {"stack": "s", "index": 3}}']
)
def test_a_damaged_record_of_planes_says_so(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(InputError, match="cannot be used, so there is no slider"):
        read_planes(tmp_path, [])


def test_channels_are_asked_about_on_the_start_page(desk: Desk, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    desk.viewer.add_image(stack, name="cells")
    page = desk.dock.start
    desk.until(lambda: page.source is not None)
    assert page.sources.as_channels.isVisibleTo(page)
    assert page.sources.as_channels.text() == "Axis 0 holds 3 channels"
    assert page.sources.images.text().startswith("3 images of the viewer")
    page.sources.as_channels.click()
    assert page.sources.images.text() == "1 image of 3 channels of the viewer (cells)"
    page.class_list.entry.setText("background, cell")
    page.project.setText(str(tmp_path / "project"))
    page._on_own_project()
    desk.press("Start")
    desk.until_asked()
    assert desk.session.data.n_channels == 3
    np.testing.assert_array_equal(desk.session.data.image("cells"), np.moveaxis(stack, 0, 2))
