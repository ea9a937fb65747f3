"""Keys and buttons that change how the picture is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt

from napari_al.plugin.layers.layer_kinds import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Desk

VIEW = 2


def test_a_dark_picture_is_brightened_by_a_key_and_by_a_button(
    open_session: Callable[..., Desk],
) -> None:
    desk = open_session()
    image = desk.viewer.layers[NAMES["image"]]
    assert (image.gamma, image.interpolation2d) == (1.0, "linear")
    desk.key(Qt.Key.Key_F3)
    assert image.gamma == 0.5
    desk.key(Qt.Key.Key_1)
    desk.until_asked()
    assert desk.viewer.layers[NAMES["image"]].gamma == 0.5  # the next one, too
    desk.dock.annotate.tabs.setCurrentIndex(VIEW)
    desk.press("Brighten")
    assert desk.viewer.layers[NAMES["image"]].gamma == 1.0


def test_the_panels_of_napari_are_folded_and_come_back(open_session: Callable[..., Desk]) -> None:
    desk = open_session()
    window = desk.viewer.window._qt_viewer
    panels = (window.dockLayerList, window.dockLayerControls)
    assert all(panel.isVisible() for panel in panels)
    desk.key(Qt.Key.Key_F4)
    assert not any(panel.isVisible() for panel in panels)
    assert desk.dock.isVisible()
    desk.dock.annotate.tabs.setCurrentIndex(VIEW)
    desk.press("Fold panels")
    assert all(panel.isVisible() for panel in panels)
