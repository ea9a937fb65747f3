"""Active learning for semantic segmentation with cheap clicks, in napari and headless.

What ``__all__`` names is the public API; it is imported when it is first used, so that
``import napari_al`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_al.core import IGNORE
    from napari_al.core.clicks import Clicks
    from napari_al.core.masks import Mask
    from napari_al.errors import InputError
    from napari_al.formats.dataset import ClassInfo, DataFolder
    from napari_al.methods import METHODS, Method
    from napari_al.session.acquisition import register_acquisition
    from napari_al.session.config import ProjectConfig
    from napari_al.session.model_export import export_model
    from napari_al.session.models import Model, open_model
    from napari_al.session.predicting import predict_images
    from napari_al.session.project import read_rounds
    from napari_al.session.records import Answer, Piece, Query, Region
    from napari_al.session.replay import begin_again, repeat, steps_of
    from napari_al.session.session import Session
    from napari_al.session.settings import make_config
    from napari_al.simulate.oracle import Oracle
    from napari_al.simulate.report import write_report
    from napari_al.simulate.runner import run_simulation

    __version__: str

__all__ = [
    "IGNORE",
    "METHODS",
    "Answer",
    "ClassInfo",
    "Clicks",
    "DataFolder",
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
    "METHODS": "methods",
    "Answer": "session.records",
    "ClassInfo": "formats.dataset",
    "Clicks": "core.clicks",
    "DataFolder": "formats.dataset",
    "InputError": "errors",
    "Mask": "core.masks",
    "Method": "methods",
    "Model": "session.models",
    "Oracle": "simulate.oracle",
    "Piece": "session.records",
    "ProjectConfig": "session.config",
    "Query": "session.records",
    "Region": "session.records",
    "Session": "session.session",
    "begin_again": "session.replay",
    "export_model": "session.model_export",
    "make_config": "session.settings",
    "open_model": "session.models",
    "predict_images": "session.predicting",
    "read_rounds": "session.project",
    "register_acquisition": "session.acquisition",
    "repeat": "session.replay",
    "run_simulation": "simulate.runner",
    "steps_of": "session.replay",
    "write_report": "simulate.report",
}


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
