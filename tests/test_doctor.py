"""What ``napari-al doctor`` says of machines that lack something, and of this one."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import napari_al
from napari_al.cli import app
from napari_al.core.opencv import cv2
from napari_al.tools import doctor
from napari_al.tools.doctor import Finding, as_text, examine

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.tools.doctor import Level


def of(topic: str, findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.topic == topic]
    return found


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


def test_version_is_shown() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"napari-al {napari_al.__version__}\n")


def test_json_holds_what_the_text_says(no_display: None) -> None:
    as_json = CliRunner().invoke(app, ["doctor", "--json"])
    assert as_json.exit_code == 0, as_json.stdout
    found = [Finding(**row) for row in json.loads(as_json.stdout)]
    topics = {finding.topic for finding in found}
    assert {"napari-al", "Python", "packages", "OpenCV", "Qt", "GPU", "threads"} <= topics
    assert of("Qt", found).level == "note"
    assert "DISPLAY is not set" in of("Qt", found).value
    assert "ximgproc" in of("OpenCV", found).value
    assert f"numpy {metadata.version('numpy')}" in of("packages", found).value
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert text.splitlines()[0].startswith("ok       napari-al")


def test_advice_stands_under_its_line() -> None:
    text = as_text([Finding("Qt", "5"), Finding("OpenCV", "broken", "problem", "mend it")])
    assert text.splitlines() == [
        "ok       Qt      5",
        "PROBLEM  OpenCV  broken",
        "                 -> mend it",
    ]


def test_a_problem_ends_with_status_1(monkeypatch: pytest.MonkeyPatch, no_display: None) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    opencv = of("OpenCV", [Finding(**row) for row in json.loads(done.stdout)])
    assert opencv.level == "problem"
    assert "method.regions=slic" in opencv.advice


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> list[Finding]:
        raise RuntimeError("no such driver")

    monkeypatch.setattr(doctor, "CHECKS", {"GPU": fails, "disk": doctor.CHECKS["disk"]})
    found = examine()
    assert found[0] == Finding("GPU", "RuntimeError: no such driver", "problem")
    assert len(found) == 4


@pytest.mark.parametrize(
    ("version", "value", "level"),
    [
        ("0.1", "0.1, but typer>=", "problem"),
        (None, "not installed", "problem"),
    ],
)
def test_packages_that_are_too_old_or_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, version: str | None, value: str, level: Level
) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: version if name == "typer" else real(name))
    typer = of("typer", list(doctor.CHECKS["packages"]()))
    assert typer.level == level
    assert typer.value.startswith(value)
    assert "pip install" in typer.advice


def test_no_qt_binding_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda _: None)
    (qt,) = doctor.CHECKS["Qt"]()
    assert (qt.level, qt.value) == ("note", "no binding is installed")


def test_a_qt_that_cannot_start_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    (qt,) = doctor.CHECKS["Qt"]()
    assert qt.level == "problem"
    assert "Qt cannot start" in qt.value


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="needs a display")
def test_qt_and_opengl_are_named_where_there_is_a_display() -> None:
    found = list(doctor.CHECKS["Qt"]())
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "(Qt " in of("Qt", found).value
    assert "OpenGL" in of("OpenGL", found).value


def test_a_full_disk_and_a_folder_of_others_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    assert of("current folder", list(doctor.CHECKS["disk"]())).level == "problem"

    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    current = of("current folder", list(doctor.CHECKS["disk"]()))
    assert current.level == "note"
    assert "cannot be written (Permission denied)" in current.value
