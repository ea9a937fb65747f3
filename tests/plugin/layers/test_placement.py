"""Images that are rotated and sheared in the viewer: everything of ours lies exactly over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.plugin.inspect.dock import find_inspect_dock, inspect
from napari_al.plugin.layers.camera import Camera
from napari_al.plugin.layers.layer_kinds import NAMES
from napari_al.plugin.layers.placement import Placement, world_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Desk
    from napari.layers import Layer

SHAPE = (20, 30)
TURNED: dict[str, dict[str, Any]] = {
    "scale": {"scale": (0.5, 0.1), "translate": (0.3, 7)},
    "mirrored": {"scale": (-2, 3), "translate": (1, 2)},
    "rotated": {"scale": (2, 3), "translate": (10, -4), "rotate": 30},
    "sheared": {"scale": (2, 3), "shear": (0.2,)},
    "all": {"scale": (2, -3), "translate": (10, 4), "rotate": 200, "shear": (0.2,)},
    "affine": {"scale": (2, 3), "rotate": 9, "affine": [[0.9, 0.4, 5], [-0.1, -1, 6], [0, 0, 1]]},
    "upside down": {"affine": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]},
}
CORNERS = ((0, 0), (19, 0), (0, 29), (7, 8))


@pytest.mark.parametrize("place", TURNED.values(), ids=TURNED)
def test_other_layers_lie_where_a_layer_lies(place: dict[str, Any]) -> None:
    layer = Image(np.zeros(SHAPE), **place)
    placement = Placement.of(layer)
    same, moved = Image(np.zeros(SHAPE), **placement.kwargs()), Image(np.zeros(SHAPE))
    fine = Image(np.zeros((40, 120)), **placement.kwargs((2, 4)))
    placement.put(moved)
    for pixel in CORNERS:
        world = layer.data_to_world(pixel)
        np.testing.assert_allclose(placement.world(*pixel), world, atol=1e-9)
        np.testing.assert_allclose(same.data_to_world(pixel), world, atol=1e-9)
        np.testing.assert_allclose(moved.data_to_world(pixel), world, atol=1e-9)
        texel = (2 * pixel[0] + 0.5, 4 * pixel[1] + 1.5)
        np.testing.assert_allclose(fine.data_to_world(texel), world, atol=1e-9)
        assert placement.pixel_at((5, *world)) == pixel
    if "affine" not in place:
        assert placement.scale == pytest.approx(place["scale"]) or place["rotate"] == 200


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_the_planes_of_a_stack_lie_where_they_are_if_they_are_not_tilted() -> None:
    stack = np.zeros((4, *SHAPE))
    layer = Image(stack, name="a", scale=(5, 2, 3), translate=(9, 1, 2), rotate=30)
    flat = Image(stack[0], scale=(2, 3), translate=(1, 2), rotate=30)
    assert Placement.of(layer) == Placement.of(flat)
    for tilt in ({"rotate": (0, 30, 0)}, {"shear": (0.5, 0, 0)}):
        with pytest.raises(InputError, match=r"'a' is rotated or sheared so that its planes are"):
            Placement.of(Image(stack, name="a", **tilt))


def test_the_camera_shows_what_it_moves_to() -> None:
    viewer = ViewerModel()
    camera = Camera(viewer)
    camera.shape = (200, 300)
    camera.placement = Placement((2, 3), (10, -4), rotate=30, shear=0.2)
    camera.whole_image()
    scene = camera.napari
    half = np.array(camera.canvas_size()) / 2 / scene.zoom
    corners = [camera.placement.world(r, c) for r in (-0.5, 199.5) for c in (-0.5, 299.5)]
    off = np.abs(np.array(corners) - scene.center[-2:])
    assert (off <= half).all()
    assert (off.max(axis=0) / half).max() == pytest.approx(0.97)
    mask = Mask.from_array(np.ones((20, 30), bool), (100, 150))
    camera.focus(mask, 3)
    np.testing.assert_allclose(scene.center[-2:], camera.placement.world(109.5, 164.5))


def _lies_over(layer: Layer, other: Layer, atol: float = 1e-9) -> bool:
    return np.allclose(world_matrix(layer), world_matrix(other), atol=atol)


def _click(desk: Desk, world: tuple[float, ...]) -> None:
    """Click where a point of the world is on the canvas."""
    camera, size = desk.viewer.scene.camera, desk.viewer.canvas.size
    y = (world[0] - camera.center[1]) * camera.zoom + size[0] / 2
    x = (world[1] - camera.center[2]) * camera.zoom + size[1] / 2
    point = QPoint(round(x), round(y))
    QTest.mouseMove(desk.canvas, point)
    QTest.mouseClick(desk.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    QApplication.processEvents()


def test_a_rotated_and_sheared_layer_is_annotated_in_place(
    desk: Desk, data_path: Path, tmp_path: Path
) -> None:
    pixels = DataFolder.open(data_path).image("scene_0")
    place = {"scale": (2, 3), "translate": (40, -70), "rotate": 30, "shear": (0.3,)}
    scene = desk.viewer.add_image(pixels, name="scene", rgb=True, **place)
    beside = desk.viewer.add_image(pixels, name="beside", rgb=True, translate=(300, 0))
    page, layers = desk.dock.start, desk.viewer.layers
    desk.until(lambda: page.source is not None and NAMES["borders"] in layers)
    assert _lies_over(layers[NAMES["borders"]], scene)
    page.class_list.entry.setText("ground, sky")
    page.project.setText(str(tmp_path / "project"))
    page._on_own_project()
    desk.press("Start")
    desk.until_asked()
    shown = {"scene": scene, "beside": beside}
    assert _lies_over(layers[NAMES["image"]], shown[desk.query.region.image])
    desk.dock.bench.opened.queries.stay_in("scene")
    desk.until_asked()
    desk.key(Qt.Key.Key_P)
    desk.key(Qt.Key.Key_W)
    desk.until(lambda: NAMES["prediction"] in layers)
    for kind in ("image", "prediction"):
        assert _lies_over(layers[NAMES[kind]], scene)
    asked = desk.query.region
    centre = asked.mask.central_pixel()
    outline = layers[NAMES["query"]]
    k = outline.data.shape[0] / pixels.shape[0]
    texel = [k * (index + 0.5) - 0.5 for index in centre]
    np.testing.assert_allclose(outline.data_to_world(texel), scene.data_to_world(centre))

    others = [q.region for q in desk.session.upcoming(1000) if q.region.image == "scene"]
    for wanted in [region for region in others if region != asked][:3]:
        _click(desk, scene.data_to_world(wanted.mask.central_pixel()))
        assert (desk.query.region, desk.query.source) == (wanted, "picked")
        desk.key(Qt.Key.Key_2)
        assert desk.session.answers()[-1].query.region == wanted

    desk.dock.bench.opened.display.layers.add_labels("exported", np.zeros((48, 64), np.uint8), ())
    assert _lies_over(layers["exported"], scene)
    desk.dock.bench.close()
    desk.dock.opening.open_project(tmp_path / "project")
    desk.until_asked()
    assert _lies_over(layers[NAMES["image"]], shown[desk.query.region.image])
    desk.dock.bench.close()
    inspect(desk.viewer, tmp_path / "project")
    inspector = find_inspect_dock(desk.viewer).inspector
    desk.until(lambda: len(inspector.layers.shown) == 2)
    for layer in layers:
        if "napari_al_round" in layer.metadata:
            assert _lies_over(layer, shown[inspector.project.image])
