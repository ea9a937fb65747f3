"""OpenCV packages that overwrite each other: one clear line, whoever comes upon it."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import write_data
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.core import opencv_packages
from napari_al.core.opencv import cv2
from napari_al.core.superpixels import superpixels
from napari_al.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

COMPILED = "cv2/cv2.abi3.so"
SIZE = 1000


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that holds nothing yet; ``install`` puts packages into it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def install(site: Path, name: str, size: int) -> None:
    """Write what installing a wheel leaves behind; the compiled module is that of the last one."""
    info = site / f"{name.replace('-', '_')}-4.12.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.12.0\n")
    (info / "RECORD").write_text(f"cv2/__init__.py,,\n{COMPILED},sha256=x,{size}\n")
    (site / "cv2").mkdir(exist_ok=True)
    (site / COMPILED).write_bytes(bytes(size))


@pytest.mark.parametrize(
    ("in_order", "named"),
    [
        ((), None),
        (("opencv-contrib-python",), None),
        (("opencv-contrib-python-headless",), None),
        (("opencv-python-headless", "opencv-contrib-python"), None),
        (("opencv-contrib-python", "opencv-python-headless"), "opencv-python-headless has"),
        (("opencv-contrib-python", "opencv-python"), "opencv-python has overwritten"),
        (("opencv-python",), "pip uninstall -y opencv-python &&"),
    ],
)
def test_a_package_installed_over_ours_is_named(
    packages: Path, in_order: tuple[str, ...], named: str | None
) -> None:
    for number, name in enumerate(in_order):
        install(packages, name, SIZE + number)
    said = opencv_packages.conflict()
    assert (said is None) if named is None else (said is not None and named in said)
    assert set(opencv_packages.installed()) == set(in_order)


def test_a_compiled_module_that_was_deleted_is_not_intact(packages: Path) -> None:
    install(packages, "opencv-python", SIZE)
    install(packages, "opencv-contrib-python", SIZE)
    assert opencv_packages.conflict() is None
    (packages / COMPILED).unlink()
    assert opencv_packages.conflict() is not None


@pytest.mark.parametrize("is_left", [False, True], ids=["gone", "an empty folder is left"])
def test_seeds_without_contrib_says_what_to_do_and_slic_works(
    monkeypatch: pytest.MonkeyPatch, is_left: bool
) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    if is_left:
        monkeypatch.setattr(cv2, "ximgproc", ModuleType("cv2.ximgproc"), raising=False)
    rows, cols = np.mgrid[:60, :80]
    image = np.stack([3 * rows, 3 * cols, rows + cols], axis=-1).astype(np.uint8)
    with pytest.raises(InputError, match=r"cv2\.ximgproc.*method\.regions=slic"):
        superpixels(image, "seeds", n_per_image=30)
    assert superpixels(image, "slic", n_per_image=30).max() > 10


def test_a_run_without_contrib_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    data = write_data(tmp_path / "data")
    start = ["simulate", str(data), "--method", "classbal", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, start)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("error: SEEDS superpixels need cv2.ximgproc")
    assert "Traceback" not in done.stderr


def test_opencv_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import napari_al.core.opencv"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("napari_al.errors.InputError: OpenCV cannot be loaded (libGL.so.1")
    assert "libgl1" in last
