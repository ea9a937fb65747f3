"""The page of this plugin in napari's Preferences; ``napari.yaml`` declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari_al.methods.table import Method

PLUGIN = "napari-al"


@dataclass(slots=True)
class Preferences:
    """Defaults for new projects and for the view, equal to those of the manifest.

    Each viewer has its own copy, which the panels of the dock change.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    budget: int = 100
    first_training: int = 30
    retrain_after: int = 20
    validate_every: int = 5
    random_share: float = 0.05
    train_when_spent: bool = True
    review_corrections: bool = True
    cluster: str = ""
    context: int = 5
    keep_zoom: bool = False
    dim: int = 40
    class_keys: str = ""
    keys: str = ""

    def settings(self, method: Method) -> dict[str, Any]:
        """Return them as settings of a new project of a method (``make_config``)."""
        is_live = can_be_live(method)
        return {
            "budget": self.budget,
            "first_training": self.first_training,
            "retrain_after": self.retrain_after or None if is_live else None,
            "validate_every": self.validate_every if is_live else 1,
            "acquisition": {"random_share": self.random_share},
            "training": {"device": self.device},
        }


def can_be_live(method: Method) -> bool:
    """Whether a method trains while the annotator goes on: not if corrections are reviewed."""
    return method.correction == "manual"


def load() -> Preferences:
    """Return the user's preferences; the defaults with a napari that has no such page."""
    settings = _settings()
    if settings is None:
        return Preferences()
    new, view = settings.new_projects, settings.view
    return Preferences(
        device=new.device,
        budget=new.budget,
        first_training=new.first_training,
        retrain_after=new.retrain_after,
        validate_every=new.validate_every,
        random_share=new.random_share,
        train_when_spent=new.train_when_spent,
        review_corrections=new.review_corrections,
        cluster=new.cluster.strip(),
        context=view.context,
        keep_zoom=view.keep_zoom,
        dim=view.dim,
        class_keys=view.class_keys,
        keys=view.keys,
    )


def save_keys(keys: str, class_keys: str) -> bool:
    """Keep the user's keys (`Preferences.keys`); return whether there is a place for them."""
    settings = _settings()
    if settings is None:
        return False
    settings.view.keys, settings.view.class_keys = keys, class_keys  # napari writes them at once
    return True


def _settings() -> Any:
    """Return napari's settings of this plugin, or None."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # before napari 0.9
        return None
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # not installed as a plugin
        return None
