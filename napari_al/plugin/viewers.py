"""The viewers of this process: their workbenches, their docks, new windows."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from napari_al.plugin.control.workbench import Workbench

if TYPE_CHECKING:
    import napari
    from napari.viewer import Viewer

MAX_WIDTH_PX, MAX_HEIGHT_PX = 1700, 1100
_WORKBENCHES: dict[int, Workbench] = {}


def workbench_of(viewer: Viewer) -> Workbench:
    """Return a viewer's workbench; made when first asked for, with the keys of the others."""
    own = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy
    if id(own) not in _WORKBENCHES:
        keys = next((bench.keys for bench in _WORKBENCHES.values()), None)
        _WORKBENCHES[id(own)] = Workbench(own, keys)
    return _WORKBENCHES[id(own)]


def find_workbench(viewer: Viewer) -> Workbench | None:
    """Return a viewer's workbench if it has one."""
    return _WORKBENCHES.get(id(getattr(viewer, "__wrapped__", viewer)))


def is_annotating() -> bool:
    """Whether a session is open in any viewer."""
    return any(bench.opened is not None for bench in _WORKBENCHES.values())


def close_workbench(viewer: Viewer) -> None:
    """Close a viewer's session and forget the viewer; may be called again."""
    own = getattr(viewer, "__wrapped__", viewer)
    bench = _WORKBENCHES.pop(id(own), None)
    if bench is not None:
        bench.end()


def close_all() -> None:
    """Close every session; for the end of the program."""
    while _WORKBENCHES:
        _, bench = _WORKBENCHES.popitem()
        bench.end()


def find_dock(viewer: Viewer, name: str) -> Any:
    """Return a viewer's dock widget by its name, opened by us or from napari's menu; or None."""
    docks = viewer.window.dock_widgets
    return docks.get(name) or docks.get(f"{name} (napari-al)")


def open_window() -> napari.Viewer:
    """Return a new viewer whose window fills most of the screen."""
    import napari
    from qtpy.QtGui import QGuiApplication

    viewer = napari.Viewer(title="napari-al")
    screen = QGuiApplication.primaryScreen()
    if screen is not None:
        available = screen.availableGeometry()
        viewer.window.resize(
            min(MAX_WIDTH_PX, available.width() * 95 // 100),
            min(MAX_HEIGHT_PX, available.height() * 9 // 10),
        )
    return viewer


atexit.register(close_all)
