"""Where the sample data folder is."""

from __future__ import annotations

from pathlib import Path

from napari_al.errors import InputError

_INSTALLED = Path(__file__).parents[1] / "sample_data"
_CHECKOUT = Path(__file__).parents[2] / "sample_data" / "data"


def sample_data_path() -> Path:
    """Return the data folder that comes with the program; it is not to be written to."""
    for path in (_INSTALLED, _CHECKOUT):
        if (path / "classes.json").is_file():
            return path
    raise InputError(
        f"The sample data is missing ({_INSTALLED}); install napari-al again, or draw it with "
        "sample_data/draw.py of the source."
    )
