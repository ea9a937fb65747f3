"""Starting napari with the dock open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.plugin.dock import ActiveLearning
from napari_al.plugin.viewers import find_dock, open_window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import napari

    from napari_al.methods.queries import Answer, Query
    from napari_al.session.rounds.job_function import JobResult

NAME = "Active learning"
TICK_MS = 10
"""Between two answers of a simulated annotator."""
SETTLE_MS = 1000
"""From the last change to the screenshot: background pictures arrive."""


def open_dock(viewer: napari.Viewer) -> ActiveLearning:
    """Return a viewer's dock widget, opened if it is not there yet."""
    found = find_dock(viewer, NAME)
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
    look_only: bool = False,
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
    look_only : bool
        Look at the rounds of the project ``path``.
    """
    import napari

    viewer = open_window()
    if path is not None and look_only:
        from napari_al.plugin.inspect.dock import inspect

        inspect(viewer, path)
        napari.run()
        return
    dock = open_dock(viewer)
    if path is not None:
        dock.opening.open(path, project=project, method=method, settings=settings or {})
    napari.run()


def run_simulated(
    project: Path,
    answer: Callable[[Query], Answer],
    n_rounds: int,
    screenshot: Path,
    tell: Callable[[str], None],
) -> list[dict[str, str]]:
    """Open napari on a project and let a function answer in it, then close it.

    Parameters
    ----------
    project : Path
    answer : callable
    n_rounds : int
        Ends when the model of this round is there.
    screenshot : Path
        Where a picture of the window goes in the end.
    tell : callable
        Gets a line about each round.

    Returns
    -------
    list of dict
        The rows of ``rounds.csv``.

    Raises
    ------
    InputError
        If a training fails.
    """
    import napari
    from qtpy.QtCore import QTimer

    from napari_al.session.session import Session

    viewer = open_window()
    bench = open_dock(viewer).bench
    session = Session.open(project, dispatch=bench.dispatch)
    failures: list[str] = []

    def on_job_finished(result: JobResult) -> None:
        if result.status != "done":
            failures.append(result.reason or result.status)
        elif session.model_round is not None:  # the first job cuts superpixels
            tell(f"round {session.model_round}: {session.clicks.total} clicks")

    def on_tick() -> None:
        if session.is_busy:
            return
        if failures or (session.model_round or 0) >= n_rounds:
            ticks.stop()
            bench.stage.set_wanted("prediction", True)
            QTimer.singleShot(SETTLE_MS, finish)
        elif bench.opened is not None and bench.query is not None:
            session.submit(answer(bench.query))
            bench.opened.queries.ask()

    def finish() -> None:
        viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
        rows.extend(session.rounds())
        bench.close()
        viewer.close()

    rows: list[dict[str, str]] = []
    session.events.job_finished.connect(on_job_finished)
    bench.open(session)
    ticks = QTimer()
    ticks.timeout.connect(on_tick)
    ticks.start(TICK_MS)
    napari.run()
    if failures:
        raise InputError(failures[0])
    return rows
