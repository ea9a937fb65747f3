"""napari's File > Open sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.formats.dataset import DataFolder
from napari_al.formats.sample import sample_data_path

if TYPE_CHECKING:
    from napari.types import LayerDataTuple


def sample_images() -> list[LayerDataTuple]:
    """Return the sample's training images as one stack."""
    data = DataFolder.open(sample_data_path())
    stack: Any = np.stack([data.image(name) for name in data.train])
    return [(stack, {"name": "coast", "rgb": stack.shape[-1] == 3}, "image")]
