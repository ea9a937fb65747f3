"""Starting napari with the dock open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.plugin.dock import ActiveLearning

if TYPE_CHECKING:
    from pathlib import Path

    import napari

NAME = "Active learning"


def open_dock(viewer: napari.Viewer) -> ActiveLearning:
    """Return a viewer's dock widget, opened if it is not there yet."""
    found = viewer.window.dock_widgets.get(NAME) or viewer.window.dock_widgets.get(
        f"{NAME} (napari-al)"
    )
    if found is None:
        found = ActiveLearning(viewer)
        viewer.window.add_dock_widget(found, name=NAME, area="right")
    return found  # type: ignore[no-any-return]


def run(
    path: Path | None = None,
    *,
    project: Path | None = None,
    method: str | None = None,
    settings: dict[str, Any] | None = None,
) -> None:
    """Open napari and stay until its window is closed.

    Parameters
    ----------
    path : Path, optional
        A project, or a data folder; one that names its classes goes straight to the first query
        where a method is named.
    project : Path, optional
        Where a new project goes.
    method : str, optional
        A row of the table of methods.
    settings : dict, optional
        Nested settings, as ``session.settings.make_config`` takes them.
    """
    import napari

    viewer = napari.Viewer(title="napari-al")
    dock = open_dock(viewer)
    if path is not None:
        dock.open(path, project=project, method=method, settings=settings or {})
    napari.run()
