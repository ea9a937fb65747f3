"""One workbench a viewer: found again by whatever dock widget comes next."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from napari_al.plugin.control.workbench import Workbench

if TYPE_CHECKING:
    from napari.viewer import Viewer

_WORKBENCHES: dict[int, Workbench] = {}


def workbench_of(viewer: Viewer) -> Workbench:
    """Return a viewer's workbench, until `close_workbench`."""
    own = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy
    if id(own) not in _WORKBENCHES:
        _WORKBENCHES[id(own)] = Workbench(own)
    return _WORKBENCHES[id(own)]


def find_workbench(viewer: Viewer) -> Workbench | None:
    """Return a viewer's workbench if it has one."""
    return _WORKBENCHES.get(id(getattr(viewer, "__wrapped__", viewer)))


def is_annotating() -> bool:
    """Whether a project is annotated in any viewer."""
    return any(bench.session is not None for bench in _WORKBENCHES.values())


def close_workbench(viewer: Viewer) -> None:
    """Close a viewer's session and let go of the viewer; may be called again."""
    own = getattr(viewer, "__wrapped__", viewer)
    bench = _WORKBENCHES.pop(id(own), None)
    if bench is not None:
        bench.end()


def close_all() -> None:
    """Close every session; for the end of the program."""
    while _WORKBENCHES:
        _, bench = _WORKBENCHES.popitem()
        bench.end()


atexit.register(close_all)
