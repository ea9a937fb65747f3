"""Where a backbone's weights come from: a folder, the hub's cache on this machine, or nowhere.

The network is used by ``download`` alone, which runs when somebody asks for it; everything else
takes what is there. A folder has the hub's layout: ``config.json`` and ``*.safetensors``.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError
from napari_al.learning.catalogue import SEGMENTERS, segmenter_info

if TYPE_CHECKING:
    from napari_al.learning.catalogue import SegmenterInfo

PRETRAINED: Final = "pretrained"
NONE: Final = "none"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CONVERT: Final = (
    "a pytorch_model.bin is a pickle, which can run anything and is never read. Where you trust "
    'it, convert it once: python -c "from transformers import AutoModel; '
    "AutoModel.from_pretrained('OLD').save_pretrained('NEW')\""
)
_FILES: Final = ["config.json", "*.safetensors", "*.safetensors.index.json"]


def find_weights(name: str, weights: str) -> Path | None:
    """Folder with the weights that a new segmenter starts from, without the network.

    Parameters
    ----------
    name : str
        A row of the catalogue.
    weights : str
        ``pretrained``: those of the row, from the hub's cache; ``none``: random ones; else a folder
        or a hub id that is in the cache.

    Returns
    -------
    Path or None
        None for random weights, and for rows that have no backbone.

    Raises
    ------
    InputError
        If transformers is needed and not installed, or the weights are not here; says how to
        bring them.
    """
    info = segmenter_info(name)
    if not info.hub_id:
        return None
    require_transformers()
    if weights == NONE:
        return None
    folder = Path(weights).expanduser()
    if weights != PRETRAINED and folder.is_dir():
        return _checked(folder)
    hub_id = _hub_id(info, weights)
    cached = _cached(hub_id)
    if cached is None:
        raise InputError(
            f"the weights of {hub_id} are not on this machine: fetch them with `napari-al download "
            f"{name if weights == PRETRAINED else hub_id}`, or put config.json and "
            "model.safetensors of that hub page into a folder and name it by "
            "training.weights=FOLDER, or begin with random ones by training.weights=none"
        )
    return _checked(cached)


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
        raise InputError(f"{name} needs no weights: there is nothing to download")
    if not _HUB_ID.fullmatch(hub_id):
        rows = ", ".join(row.name for row in SEGMENTERS.values() if row.hub_id)
        raise InputError(f"{name!r} is neither a hub id (OWNER/NAME) nor one of {rows}")
    require_transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return _checked(Path(snapshot_download(hub_id, allow_patterns=_FILES)))
    except GatedRepoError as error:
        raise InputError(
            f"{hub_id} is for those who have accepted its terms: do so on https://huggingface.co/"
            f"{hub_id}, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"the hub has no {hub_id}, or not for you") from error
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{hub_id} could not be fetched ({type(error).__name__}: {_first_line(error)}); on a "
            "machine without network, copy config.json and model.safetensors of "
            f"https://huggingface.co/{hub_id} into a folder and name it by training.weights=FOLDER"
        ) from error


def require_transformers() -> None:
    """Raise InputError, saying what to install, where transformers is not installed."""
    if importlib.util.find_spec("transformers") is None:
        raise InputError(
            "this segmenter needs the package transformers, which is not installed: "
            "pip install 'napari-al[transformers]'; the segmenters compact and filters need nothing"
        )


def _hub_id(info: SegmenterInfo, weights: str) -> str:
    if weights == PRETRAINED:
        return info.hub_id
    if not _HUB_ID.fullmatch(weights):
        raise InputError(
            f"training.weights={weights!r}: expected {PRETRAINED}, {NONE}, a folder that is there, "
            "or a hub id (OWNER/NAME)"
        )
    return weights


def _cached(hub_id: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(hub_id, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def _checked(folder: Path) -> Path:
    """Return the folder if it holds a config and weights in safetensors."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json; a folder in the hub's layout was expected")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        help_ = _CONVERT if pickled else "download model.safetensors beside config.json"
        raise InputError(f"{folder} has no *.safetensors; {help_}")
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
