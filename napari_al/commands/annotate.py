"""Commands that open a window: ``label``, ``demo``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_al.commands.options import (
    Assignments,
    ConfigFile,
    Device,
    Method,
    Seed,
    Segmenter,
    SkipBroken,
    settings_of,
)
from napari_al.errors import InputError
from napari_al.launch import open_napari, simulate_in_window


def label(
    path: Annotated[
        Path | None, typer.Argument(metavar="[DATA|PROJECT]", help="a folder to open at once")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where a new project goes")
    ] = None,
    method: Method = None,
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="clicks a round", show_default="of the preferences: 100"),
    ] = None,
    seed: Seed = None,
    segmenter: Segmenter = None,
    device: Device = None,
    assignments: Assignments = None,
    config: ConfigFile = None,
    skip_broken: SkipBroken = False,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="look at a project's rounds; nothing is written")
    ] = False,
) -> None:
    """Open napari, ready to annotate."""
    settings = settings_of(config, assignments, budget, seed, segmenter, device, skip_broken)
    if inspect and (path is None or not (path / "config.json").is_file()):
        raise InputError(f"--inspect looks at a project, and {path or 'no folder'} is none")
    _check_while_there_is_a_terminal(path, method)
    open_napari(path, project, method, settings, look_only=inspect)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the project goes")] = Path(
        "demo-project"
    ),
    simulated: Annotated[
        bool, typer.Option("--simulated", help="let ground truth answer, then leave pictures")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="of a simulated annotator")] = 3,
) -> None:
    """Open napari on the sample data, ready to annotate."""
    from napari_al.formats.sample import sample_data_path
    from napari_al.methods.table import RECOMMENDED

    settings: dict[str, Any] = {"budget": 60}
    is_there = (out / "config.json").exists()
    if not simulated:
        path = out if is_there else sample_data_path()
        open_napari(path, out, RECOMMENDED["dominant"], settings)
        return
    simulate_in_window(sample_data_path(), out, rounds, settings)


def _check_while_there_is_a_terminal(path: Path | None, method: str | None) -> None:
    """Check arguments on the terminal, before a window opens."""
    from napari_al.session.project.folder import Project
    from napari_al.session.project.settings import method_named

    if path is not None and not path.is_dir():
        raise InputError(f"{path} is no folder; name a project, or a folder of images")
    if path is not None and (path / "config.json").is_file():
        Project.open(path, read_only=True).read_config()
    if method is not None:
        method_named(method)
