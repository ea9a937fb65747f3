"""Options shared by several commands, and the settings made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Method = Annotated[str | None, typer.Option(help="a row of `napari-al methods`")]
Budget = Annotated[int | None, typer.Option(min=1, help="clicks a round", show_default="500")]
Seed = Annotated[int | None, typer.Option(min=0, help="of all that is random", show_default="0")]
Segmenter = Annotated[
    str | None,
    typer.Option(
        help="a row of `napari-al methods --segmenters`",
        show_default="efficientnet-lite0, at two scales for small images",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option(help="what trains: a GPU if there is one, or ...", show_default="auto"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="any other setting, e.g. training.steps=50; again for more "
        "(`napari-al methods --settings` lists them)",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="settings and columns of a new method, in TOML or JSON"),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="leave out images that cannot be read")
]

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local:N",
        help="have the work done by a Dask cluster, or by N processes here (docs: clusters)",
    ),
]


def settings_of(
    config: Path | None,
    assignments: list[str] | None,
    budget: int | None,
    seed: int | None,
    segmenter: str | None,
    device: str | None,
    skip_broken: bool,
) -> dict[str, Any]:
    """Nested settings: those of the file, changed by ``--set``, changed by the other options."""
    from napari_al.session.project.settings import merged, parse_assignments, read_settings

    training = {"segmenter": segmenter, "device": device}
    options = {"budget": budget, "seed": seed, "skip_broken": skip_broken or None}
    return merged(
        read_settings(config) if config else {},
        parse_assignments(assignments or []),
        _given(options),
        {"training": _given(training)} if _given(training) else {},
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
