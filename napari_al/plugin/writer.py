"""napari's File > Save for labels: class ids as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.images import write_png

MAX_ID = 65535


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a PNG of class ids: of 8 bits up to 255, else of 16.

    Raises
    ------
    InputError
        If it is not a 2-D array with ids from 0 to 65535.
    """
    labels = np.asarray(data)
    if labels.ndim != 2 or labels.min(initial=0) < 0 or labels.max(initial=0) > MAX_ID:
        raise InputError(
            f"PNG holds class ids from 0 to {MAX_ID} of one picture; got {labels.shape} with ids "
            f"up to {labels.max(initial=0)}. Save as TIFF instead."
        )
    out = Path(path)
    fits = labels.max(initial=0) <= IGNORE
    write_png(out, labels.astype(np.uint8) if fits else labels.astype(np.uint16))
    return [str(out)]
