"""napari's File > Save for labels: class ids as PNG, with the class map beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.images import write_png


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a PNG of class ids, 255 = none.

    Raises
    ------
    InputError
        If it is not a 2-D array with ids from 0 to 255.
    """
    labels = np.asarray(data)
    if labels.ndim != 2 or labels.min(initial=0) < 0 or labels.max(initial=0) > IGNORE:
        raise InputError(
            f"PNG holds class ids from 0 to {IGNORE} of one picture; got {labels.shape} with ids "
            f"up to {labels.max(initial=0)}. Save as TIFF instead."
        )
    out = Path(path)
    write_png(out, labels.astype(np.uint8))
    return [str(out)]
