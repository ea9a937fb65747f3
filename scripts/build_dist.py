"""Build the wheel and the sdist into ``dist/`` and look into both: ``make dist``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

TOP = Path(__file__).parents[1]
DIST = TOP / "dist"
MAX_WHEEL_MB = 20.0
IN_WHEEL = (
    "napari_al/__init__.py", "napari_al/cli.py", "napari_al/napari.yaml", "napari_al/py.typed",
    "napari_al/sample_data/classes.json",
)  # fmt: skip
IN_SDIST = (
    "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "constraints.txt",
    "docs/conf.py", "napari_al/py.typed", "scripts/setup.sh", "tests/conftest.py",
)  # fmt: skip
NOT_THERE = (".venv", "__pycache__", ".pytest_cache", "build/", "docs/reference/")


def main() -> None:
    """Build, look, and say what is wrong."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "-o", str(DIST), str(TOP)], check=True)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    faults = [*faults_of_wheel(wheel), *faults_of_sdist(sdist)]
    for path in (wheel, sdist):
        print(f"{path.relative_to(TOP)}: {path.stat().st_size / 1e6:.1f} MB")
    if faults:
        sys.exit("\n".join(faults))


def faults_of_wheel(path: Path) -> list[str]:
    """Return what is missing, superfluous or wrong in it."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata_name,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(wheel.read(metadata_name))
    faults = [f"wheel: no {name}" for name in IN_WHEEL if name not in names]
    faults += [f"wheel: {n}" for n in names if not n.startswith(("napari_al/", "napari_al-"))]
    faults += superfluous("wheel", names)
    if not any(name.endswith("/entry_points.txt") for name in names):
        faults.append("wheel: no entry points")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        faults.append("wheel: no licence")
    if metadata["Description-Content-Type"] != "text/markdown" or not metadata.get_payload():
        faults.append("wheel: no description in Markdown")
    if "Framework :: napari" not in metadata.get_all("Classifier", []):
        faults.append("wheel: not classified as a napari plugin")
    if path.stat().st_size > MAX_WHEEL_MB * 1e6:
        faults.append(f"wheel: more than {MAX_WHEEL_MB} MB")
    return faults


def faults_of_sdist(path: Path) -> list[str]:
    """Return what is missing or superfluous in it."""
    with tarfile.open(path) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
    return [f"sdist: no {name}" for name in IN_SDIST if name not in names] + superfluous(
        "sdist", names
    )


def superfluous(where: str, names: list[str]) -> list[str]:
    """Return files that belong to nobody but the one who built it."""
    return [f"{where}: {name}" for name in names if any(part in name for part in NOT_THERE)]


if __name__ == "__main__":
    main()
