"""Which OpenCV packages are installed, found out without importing any of them.

All of them unpack into the same folder ``cv2/``, so that the one installed last overwrites the
others. SEEDS needs ``cv2.ximgproc``, which opencv-contrib-python has and opencv-python and
opencv-python-headless do not.
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

CONTRIB: Final = ("opencv-contrib-python", "opencv-contrib-python-headless")
WITHOUT_CONTRIB: Final = ("opencv-python", "opencv-python-headless")


def conflict() -> str | None:
    """Say in one line why SEEDS cannot run and how to mend it; None if nothing is known of that.

    Another package has overwritten ours if it is installed too and the size of the compiled module
    is not the one that ours was installed with.
    """
    others = [name for name in WITHOUT_CONTRIB if _installed(name)]
    ours = [found for name in CONTRIB if (found := _installed(name))]
    if not others or any(map(_is_intact, ours)):
        return None
    return no_contrib_message()


def no_contrib_message() -> str:
    """Say that ``cv2.ximgproc`` is missing, which packages are to blame, and what to do."""
    others = [name for name in WITHOUT_CONTRIB if _installed(name)]
    if others:
        packages = " and ".join(others)
        cause = f"{packages} has overwritten opencv-contrib-python in the folder cv2"
        remove = f"pip uninstall -y {' '.join(others)} && "
    else:
        cause, remove = "this OpenCV was built without its contrib modules", ""
    return (
        f"SEEDS superpixels need cv2.ximgproc, and it is missing: {cause}; run `{remove}"
        "pip install --force-reinstall --no-deps opencv-contrib-python`, or begin new projects "
        "with SLIC superpixels, which need none of it (Regions on the start page, or --set "
        "method.regions=slic)"
    )


def installed() -> dict[str, str]:
    """Versions of the OpenCV packages that are installed, by name."""
    found = {name: _installed(name) for name in (*CONTRIB, *WITHOUT_CONTRIB)}
    return {name: package.version for name, package in found.items() if package is not None}


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _is_intact(package: Distribution) -> bool:
    """Whether the package's compiled module is the one that it was installed with."""
    if package.files is None:
        return True  # installed by something that keeps no list of files
    return any(
        file.parent.name == "cv2"
        and file.suffix in (".so", ".pyd")
        and Path(str(file.locate())).is_file()
        and file.size in (None, Path(str(file.locate())).stat().st_size)
        for file in package.files
    )
