"""OpenCV, imported so that it cannot stop napari from opening.

``import cv2`` from opencv-contrib-python points Qt's environment variables at a Qt of its own, with
which napari aborts at start. Everything that needs OpenCV imports it from here:
``from napari_al.core.opencv import cv2``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from napari_al.core.opencv_packages import no_contrib_message
from napari_al.errors import InputError


def _import_cv2() -> Any:
    before = dict(os.environ)
    try:
        module = importlib.import_module("cv2")
    except ImportError as error:  # not installed, or a library of the system is missing
        raise InputError(
            f"OpenCV cannot be loaded ({error}); run `pip install --force-reinstall --no-deps "
            "opencv-contrib-python`, and on a Linux server without a desktop also install libGL "
            "(Debian: libgl1 and libglib2.0-0)"
        ) from error
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
    return module


cv2: Any = _import_cv2()


def ximgproc() -> Any:
    """``cv2.ximgproc``, which only opencv-contrib-python has.

    Raises
    ------
    InputError
        If the OpenCV that is installed does not have it; says which package is to blame.
    """
    module = getattr(cv2, "ximgproc", None)  # an empty one may be left of an overwritten package
    if not hasattr(module, "createSuperpixelSEEDS"):
        raise InputError(no_contrib_message())
    return module
