"""Check the installation and the machine: ``doctor``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print a JSON list instead")] = False,
) -> None:
    """Say which versions, Qt, GPU, weights and disk space are here, and what to do about faults."""
    from napari_al.tools.doctor import as_text, examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        typer.echo(as_text(findings))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
