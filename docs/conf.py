"""How Sphinx builds the documentation site: ``make docs``.

The command line, the settings and the tables of methods and segmenters are written by the program
itself before the pages are read, into ``docs/reference`` (not under version control).
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command
from typer.testing import CliRunner

import napari_al
from napari_al.cli import app as program
from napari_al.learning.networks.catalogue import SEGMENTERS
from napari_al.methods.table import COLUMNS, METHODS
from napari_al.session.project.settings import setting_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sphinx.application import Sphinx

HERE = Path(__file__).parent
CHANGELOG = HERE.parent / "CHANGELOG.md"
DATA = {
    "IGNORE": "255: the class id of a pixel that has no label.",
    "METHODS": "The table of methods: ``Method`` by name (`the table <tables.html>`_).",
    "__version__": "Version of the installed package.",
}
"""What has no docstring of its own."""

project = "napari-al"
author = "the napari-al developers"
copyright = f"2026, {author}"
release = version_of("napari-al")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "pydata_sphinx_theme"
html_title = "napari-al"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "navbar_center": []}
html_sidebars = {"**": ["all-pages"]}  # instead of links in the head
templates_path = ["_templates"]
toc_object_entries = False  # each has a heading of its own
napoleon_google_docstring = False
autodoc_typehints = "none"  # the docstrings have them, with shapes and units
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for pages."""
    app.connect("builder-inited", write_reference)


def write_reference(_: Sphinx) -> None:
    """Write all pages that the program knows better than any author."""
    pages = {
        "cli": cli_page(),
        "settings": settings_page(),
        "tables": tables_page(),
        "api": api_page(),
        "changelog": CHANGELOG.read_text(encoding="utf-8"),
    }
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def cli_page() -> str:
    """Return the help of every command, as the program prints it."""
    names = list(get_command(program).commands)  # type: ignore[attr-defined]
    parts = ["# Command line", block(shown("--help"))]
    for name in names:
        parts += [f"## napari-al {name}", block(shown(name, "--help"))]
    return "\n\n".join(parts) + "\n"


def shown(*arguments: str) -> str:
    """Return what the program prints."""
    result = CliRunner().invoke(
        program, arguments, prog_name="napari-al", terminal_width=100, env={"COLUMNS": "100"}
    )
    if result.exit_code:
        raise RuntimeError(f"napari-al {' '.join(arguments)}: {result.output}")
    return result.output.strip()


def settings_page() -> str:
    """Return a table of every setting for each group of settings."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, default, meaning in setting_rows():
        group = name.rpartition(".")[0] or "project"
        groups.setdefault(group, []).append(
            (f"`{name}`", f"`{default}`" if default else "", meaning)
        )
    parts = [
        "# Settings",
        "`--set NAME=VALUE` changes one, `--config FILE` reads many from TOML or JSON. A project "
        "keeps all of them in its `config.json`.",
    ]
    for group, rows in groups.items():
        parts += [f"## {group}", table(("setting", "default", "what it is"), rows)]
    return "\n\n".join(parts) + "\n"


def tables_page() -> str:
    """Return the table of methods and that of segmenters."""
    methods = [
        (f"`{row.name}`", *(str(getattr(row, column)) for column in COLUMNS), row.paper)
        for row in METHODS.values()
    ]
    segmenters = [
        (f"`{row.name}`", f"{row.n_million:.1f}", row.licence, row.summary)
        for row in SEGMENTERS.values()
    ]
    return "\n\n".join(
        (
            "# Tables of methods and segmenters",
            "## Methods",
            table(("method", *COLUMNS, "paper"), methods),
            "## Segmenters",
            table(("segmenter", "million parameters", "licence of the weights", ""), segmenters),
        )
    )


def api_page() -> str:
    """Return the reference of the public API, from its docstrings."""
    parts = [(HERE / "reference_api.txt").read_text(encoding="utf-8").strip()]
    for name in napari_al.__all__:
        thing = getattr(napari_al, name)
        directive = "autoclass" if isinstance(thing, type) else "autofunction"
        entry = f".. {directive}:: napari_al.{name}"
        if name in DATA:
            entry = f".. py:data:: napari_al.{name}\n\n   {DATA[name]}"
        heading = name.replace("_", "\\_")
        parts.append(f"## {heading}\n\n```{{eval-rst}}\n{entry}\n```")
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(text: Any) -> str:
    """Return a text that stays in its cell."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|")


def block(text: str) -> str:
    """Return a text to be shown as it is."""
    return f"```text\n{text}\n```"
