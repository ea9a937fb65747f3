"""Fully supervised reference: the same network, trained as long, on all labels at once.

It is an ordinary project of a correction method whose initial labels are ground truth, so that
there are no queries. Its round k has had as many training steps as a method's model after its k-th
training, with weights kept or new as the settings say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.methods.table import Method
from napari_al.session.project.settings import make_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.project.config import ProjectConfig

SUPERVISED = Method(
    name="supervised",
    summary="all labels at once, nothing asked: the upper end of the curves",
    regions="seeds",
    query="correction",
    acquisition="random",
    targets="correct",
)
"""No row of ``METHODS``: nobody annotates with it."""

SETTINGS_THAT_MATTER = ("seed", "skip_broken", "training")


def supervised_config(data: DataFolder, settings: Mapping[str, Any]) -> ProjectConfig:
    """Config of the fully supervised run for these settings."""
    fields = {name: settings[name] for name in SETTINGS_THAT_MATTER if name in settings}
    truth = {"source": "noisy", "error_rate": 0.0}  # noise that changes nothing
    return make_config(data, {**fields, "initial": truth}, SUPERVISED)
