"""Active learning for semantic segmentation with cheap clicks, in napari and headless.

What ``__all__`` names is the public API; it is imported when it is first used, so that
``import napari_al`` costs nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_al.core import IGNORE
    from napari_al.core.clicks import Clicks
    from napari_al.core.geometry.masks import Mask
    from napari_al.errors import InputError
    from napari_al.formats.dataset import ClassInfo, DataFolder
    from napari_al.formats.image_rules import ImageRules
    from napari_al.methods.acquisition import register_acquisition
    from napari_al.methods.queries import Answer, Piece, Query, Region
    from napari_al.methods.table import METHODS, Method
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import read_rounds
    from napari_al.session.project.settings import make_config
    from napari_al.session.session import Session
    from napari_al.simulate.oracle import Oracle
    from napari_al.simulate.report import write_report
    from napari_al.simulate.runner import run_simulation
    from napari_al.tools.export_model import export_model
    from napari_al.tools.predict import predict_images
    from napari_al.tools.replay import begin_again, repeat, steps_of
    from napari_al.tools.trained_model import Model, open_model

    __version__: str

__all__ = [
    "IGNORE",
    "METHODS",
    "Answer",
    "ClassInfo",
    "Clicks",
    "DataFolder",
    "ImageRules",
    "InputError",
    "Mask",
    "Method",
    "Model",
    "Oracle",
    "Piece",
    "ProjectConfig",
    "Query",
    "Region",
    "Session",
    "__version__",
    "begin_again",
    "export_model",
    "make_config",
    "open_model",
    "predict_images",
    "read_rounds",
    "register_acquisition",
    "repeat",
    "run_simulation",
    "steps_of",
    "write_report",
]

_HOME = {
    "IGNORE": "core",
    "METHODS": "methods.table",
    "Answer": "methods.queries",
    "ClassInfo": "formats.dataset",
    "Clicks": "core.clicks",
    "DataFolder": "formats.dataset",
    "ImageRules": "formats.image_rules",
    "InputError": "errors",
    "Mask": "core.geometry.masks",
    "Method": "methods.table",
    "Model": "tools.trained_model",
    "Oracle": "simulate.oracle",
    "Piece": "methods.queries",
    "ProjectConfig": "session.project.config",
    "Query": "methods.queries",
    "Region": "methods.queries",
    "Session": "session.session",
    "begin_again": "tools.replay",
    "export_model": "tools.export_model",
    "make_config": "session.project.settings",
    "open_model": "tools.trained_model",
    "predict_images": "tools.predict",
    "read_rounds": "session.project.folder",
    "register_acquisition": "methods.acquisition",
    "repeat": "tools.replay",
    "run_simulation": "simulate.runner",
    "steps_of": "tools.replay",
    "write_report": "simulate.report",
}


logging.getLogger(__name__).addHandler(logging.NullHandler())  # quiet unless a program asks


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-al")
    except PackageNotFoundError:  # a checkout that was not installed
        return "unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
