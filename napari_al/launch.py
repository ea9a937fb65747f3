"""napari, started by a command.

The only place below ``commands/`` that knows both the window and the simulated annotator: ``demo``
lets the one work in the other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import typer

from napari_al.errors import InputError
from napari_al.tools.doctor import has_display

if TYPE_CHECKING:
    from pathlib import Path


def open_napari(
    path: Path | None,
    project: Path | None,
    method: str | None,
    settings: dict[str, Any],
    *,
    look_only: bool = False,
) -> None:
    """Open napari with the dock and stay until it is closed."""
    _check_window()
    from napari_al.plugin.app import run

    run(path, project=project, method=method, settings=settings, look_only=look_only)


def simulate_in_window(data: Path, out: Path, rounds: int, settings: dict[str, Any]) -> None:
    """Let ground truth answer in a real window; leave a curve and a screenshot."""
    _check_window()
    from napari_al.formats.dataset import DataFolder
    from napari_al.methods.table import RECOMMENDED
    from napari_al.plugin.app import run_simulated
    from napari_al.session.project.settings import make_config
    from napari_al.simulate.curves import draw_run
    from napari_al.simulate.runner import open_run, oracle_of

    config = make_config(DataFolder.open(data), settings, RECOMMENDED["dominant"])
    with open_run(out, config) as session:
        oracle = oracle_of(session.data, config)
    screenshot, curve = out / "screenshot.png", out / "curve.png"
    rows = run_simulated(out, oracle.answer, rounds, screenshot, typer.echo)
    draw_run(rows, curve)
    typer.echo(f"learning curve: {curve}\nscreenshot: {screenshot}")


def _check_window() -> None:
    """Say what a window needs and is not there; Qt would end the process without a word of help."""
    if not has_display():
        raise InputError(
            "napari needs a display, and DISPLAY is not set; try `xvfb-run -a napari-al ...` for a "
            "virtual one, or `napari-al simulate`, which needs none"
        )
    try:
        importlib.import_module("qtpy.QtWidgets")
    except ImportError as error:
        raise InputError(
            f"napari needs a Qt binding ({error}); install one: pip install 'napari-al[pyqt6]'"
        ) from error
