"""OpenCV, imported so that it cannot stop napari from opening.

``import cv2`` from opencv-contrib-python points Qt's environment variables at a Qt of its own, with
which napari aborts at start. Everything that needs OpenCV imports it from here:
``from napari_al.core.opencv import cv2``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


def _import_cv2() -> Any:
    before = dict(os.environ)
    module = importlib.import_module("cv2")
    for name in set(os.environ) - set(before):
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    return module


cv2: Any = _import_cv2()
