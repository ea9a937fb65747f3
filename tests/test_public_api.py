from __future__ import annotations

import subprocess
import sys

import pytest

import napari_al

HEAVY = ("torch", "cv2", "napari", "qtpy", "matplotlib", "numpy")


@pytest.mark.parametrize("name", napari_al.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(napari_al, name) is not None
    assert name in dir(napari_al)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = napari_al.nope


@pytest.mark.parametrize(
    "code",
    [
        "import napari_al",
        "import napari_al.cli",
        "import sys; sys.argv = ['napari-al', '--help']; from napari_al.cli import app; "
        "app(standalone_mode=False)",
        "import sys; sys.argv = ['napari-al', 'methods']; from napari_al.cli import app; "
        "app(standalone_mode=False)",
    ],
)
def test_little_is_imported_before_it_is_needed(code: str) -> None:
    check = f"{code}\nimport sys; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
