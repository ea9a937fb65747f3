"""What is published with the package: metadata, manifest, citation, floors and pins."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MANIFEST = ROOT / "napari_al" / "napari.yaml"
PINS = dict(
    line.lower().replace("_", "-").split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
)
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
]


def test_npe2_accepts_the_manifest() -> None:
    command = [sys.executable, "-m", "npe2", "validate", str(MANIFEST)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_has_a_name_of_its_own() -> None:
    assert PluginManifest.from_file(MANIFEST).display_name == "Active learning for segmentation"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_what_tests_install_is_allowed_and_pinned(requirement: Requirement) -> None:
    pin = PINS.get(requirement.name.lower().replace(".", "-").replace("_", "-"))
    pin = pin or PINS.get(requirement.name.lower())
    assert pin, f"{requirement.name} has no pin in constraints.txt"
    assert Version(pin) in requirement.specifier


def test_every_requirement_of_the_program_has_a_floor() -> None:
    optional = PROJECT["optional-dependencies"]
    users = {name: optional[name] for name in optional if name not in ("test", "lint", "docs")}
    for text in (*PROJECT["dependencies"], *(text for texts in users.values() for text in texts)):
        assert any(part.operator == ">=" for part in Requirement(text).specifier), text


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["title"] == PROJECT["name"]


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflows_fit_their_schema() -> None:
    assert WORKFLOWS
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
    ]
    done = subprocess.run(
        [*check, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_that_the_makefile_has(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    run = set(re.findall(r"- run: make ([a-z-]+)", path.read_text(encoding="utf-8")))
    assert run
    assert run <= targets
