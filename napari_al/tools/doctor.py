"""Check the machine and the installation, with advice where something is missing.

Changes nothing and does not use the network. The checks are listed in ``CHECKS``; a check that
raises an error becomes a finding.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_al.core import opencv_packages
from napari_al.errors import InputError
from napari_al.processors import n_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Level = Literal["ok", "note", "problem"]

_QT_BINDINGS: Final = ("PyQt5", "PyQt6", "PySide6")
_FOR_DEVELOPERS: Final = ("test", "lint", "docs", "release")
"""Extras that nobody needs to use the program."""
_LEAST_FREE_GB: Final = 2.0
_PROBE_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    topic : str
        What was looked at.
    value : str
        What was found.
    level : {"ok", "note", "problem"}
        A ``note`` limits what can be done; a ``problem`` is to be mended.
    advice : str
        What to do; empty if nothing.
    """

    topic: str
    value: str
    level: Level = "ok"
    advice: str = ""


def examine() -> list[Finding]:
    """Run all checks; takes some seconds, most of it in a child process that starts Qt."""
    found: list[Finding] = []
    for topic, check in CHECKS.items():
        try:
            found.extend(check())
        except Exception as error:  # noqa: BLE001 - a check ends here, and it is reported
            found.append(Finding(topic, f"{type(error).__name__}: {error}", "problem"))
    return found


def as_text(findings: Sequence[Finding]) -> str:
    """Return the report as lines; advice stands under what it is about."""
    marks: dict[Level, str] = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.level]:7}  {finding.topic:{width}}  {finding.value}")
        if finding.advice:
            lines.append(f"{'':7}  {'':{width}}  -> {finding.advice}")
    return "\n".join(lines)


# ---- the checks


def _program() -> Iterator[Finding]:
    yield Finding("napari-al", _version("napari-al") or "not installed as a package")
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", platform.platform())


def _packages() -> Iterator[Finding]:
    """Yield all versions in one line, and a line for each package that is missing or too old."""
    from packaging.requirements import Requirement

    requirements = [Requirement(text) for text in metadata.requires("napari-al") or ()]
    found: dict[str, str] = {}
    for requirement in requirements:
        extra = re.search(r"extra == ['\"](\w+)['\"]", str(requirement.marker or ""))
        if extra and extra[1] in _FOR_DEVELOPERS:
            continue
        name, version = requirement.name, _version(requirement.name)
        if version is None:
            if extra is None:
                yield Finding(name, "not installed", "problem", f"pip install '{_wanted(name)}'")
            continue
        found[name] = version
        if not requirement.specifier.contains(version, prereleases=True):
            wanted = f"{name}{requirement.specifier}"
            yield Finding(
                name, f"{version}, but {wanted} is needed", "problem", f"pip install -U '{wanted}'"
            )
    yield Finding("packages", ", ".join(f"{name} {version}" for name, version in found.items()))


def _opencv() -> Iterator[Finding]:
    packages = opencv_packages.installed()
    listed = ", ".join(f"{name} {version}" for name, version in packages.items()) or "no package"
    try:
        opencv = importlib.import_module("napari_al.core.opencv")
        opencv.ximgproc()
    except InputError as error:
        yield Finding("OpenCV", listed, "problem", str(error))
        return
    yield Finding("OpenCV", f"{opencv.cv2.__version__} with ximgproc ({listed})")


def _window() -> Iterator[Finding]:
    """Start Qt in a process of its own: where it cannot start, it ends its process."""
    bindings = [f"{name} {version}" for name in _QT_BINDINGS if (version := _version(name))]
    if not bindings:
        advice = "for the window: pip install 'napari-al[pyqt6]'; nothing else needs it"
        yield Finding("Qt", "no binding is installed", "note", advice)
        return
    listed = ", ".join(bindings)
    if not has_display():
        advice = "for the window: set DISPLAY, or try `xvfb-run -a napari-al ...`"
        yield Finding("Qt", f"{listed}; no display (DISPLAY is not set)", "note", advice)
        return
    probe = _probe_window()
    if "error" in probe:
        advice = (
            "install what Qt misses: on Debian `apt install libxcb-cursor0 libxcb-icccm4 "
            "libxcb-keysyms1 libxkbcommon-x11-0 libegl1 libgl1`, elsewhere a current graphics "
            "driver"
        )
        yield Finding("Qt", f"{listed}; Qt cannot start: {probe['error']}", "problem", advice)
        return
    yield Finding("Qt", f"{listed}; {probe['binding']} on {probe['platform']}")
    if probe["gl"]:
        yield Finding("OpenGL", probe["gl"])
    else:
        advice = "napari draws by OpenGL: install a graphics driver (Debian: libgl1-mesa-dri)"
        yield Finding("OpenGL", "Qt gets no OpenGL context", "problem", advice)


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        names = ", ".join(f"{d.name} ({d.total_memory / 2**30:.0f} GiB)" for d in devices)
        yield Finding("GPU", f"{names}, CUDA {torch.version.cuda}")
    elif shutil.which("nvidia-smi"):
        advice = "install a CUDA build of torch (its site has the command), or use device=cpu"
        yield Finding(
            "GPU", f"there is an NVIDIA driver, but torch {torch.__version__} finds no GPU",
            "note", advice,
        )  # fmt: skip
    else:
        yield Finding("GPU", "none that torch can use; the CPU trains")
    chosen = os.environ.get("OMP_NUM_THREADS")
    given = f", OMP_NUM_THREADS={chosen}" if chosen else ""
    yield Finding("threads", f"torch uses {torch.get_num_threads()} of {n_cores()} cores{given}")


def _weights() -> Iterator[Finding]:
    from napari_al.learning.networks.catalogue import SEGMENTERS
    from napari_al.learning.networks.pretrained import find_weights

    found = []
    for name in SEGMENTERS:
        try:
            if find_weights(name, "pretrained") is not None:
                found.append(name)
        except InputError:  # says that they are not here
            continue
    advice = "" if found else "`napari-al download NAME` fetches them for a segmenter that has any"
    yield Finding("pretrained weights", ", ".join(found) or "none on this machine", advice=advice)


def _disk() -> Iterator[Finding]:
    """Look at the places where projects, downloads and temporary files go."""
    for topic, folder in (
        ("current folder", Path.cwd()),
        ("home folder", Path.home()),
        ("temporary folder", Path(tempfile.gettempdir())),
    ):
        free_gb = shutil.disk_usage(folder).free / 1e9
        value = f"{folder}: {free_gb:.1f} GB free"
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = f"{folder} cannot be written ({error.strerror})"
            yield Finding(topic, reason, "note", "keep projects in a folder of yours")
            continue
        if free_gb < _LEAST_FREE_GB:
            yield Finding(topic, value, "problem", "make room: a project may need gigabytes")
        else:
            yield Finding(topic, value)


CHECKS: Final[Mapping[str, Callable[[], Iterable[Finding]]]] = {
    "napari-al": _program,
    "packages": _packages,
    "OpenCV": _opencv,
    "Qt": _window,
    "GPU": _gpu,
    "pretrained weights": _weights,
    "disk": _disk,
}


# ---- inside


def has_display() -> bool:
    """Whether a window can come up; on Linux only where the environment names a display."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _probe_window() -> dict[str, Any]:
    """Return what ``plugin/qt_probe.py`` prints, or why it printed nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "napari_al.plugin.qt_probe"],
            capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return {"error": said[-1] if said else f"exit status {done.returncode}"}
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted(name: str) -> str:
    """Return a requirement of ours as it is written in the package."""
    texts = metadata.requires("napari-al") or ()
    return next(text for text in texts if re.match(rf"{re.escape(name)}\b", text))
