"""Published models: folders in the layout of the Hugging Face hub, and the hub's local cache.

Only ``fetch`` uses the network, on the user's request. Weights are read from safetensors only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from napari_al.errors import InputError

HUB_ID: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_FILES: Final = ["*.json", "*.txt", "*.safetensors"]
_CONVERT: Final = (
    "a pytorch_model.bin is a pickle, which can run anything and is never read. Where you trust "
    'it, convert it once: python -c "from transformers import AutoModel; '
    "AutoModel.from_pretrained('OLD').save_pretrained('NEW')\""
)


def find_model(name: str) -> Path:
    """Folder of a model, without the network.

    Parameters
    ----------
    name : str
        A folder, or a hub id that is in the cache.

    Raises
    ------
    InputError
        If it is not here, or has no weights that are read.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return checked(folder)
    if not HUB_ID.fullmatch(name):
        raise InputError(f"{name}: expected a folder that is there, or a hub id (OWNER/NAME)")
    found = cached(name)
    if found is None:
        raise InputError(
            f"{name} is not on this machine: fetch it with `napari-al download {name}`, or put "
            f"all files of https://huggingface.co/{name} into a folder and name that"
        )
    return checked(found)


def cached(hub_id: str) -> Path | None:
    """Folder of a model in the hub's cache on this machine."""
    config = _huggingface_hub().try_to_load_from_cache(hub_id, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def fetch(hub_id: str) -> Path:
    """Fetch a model into the hub's cache on this machine; what is there already is not fetched.

    Raises
    ------
    InputError
        If the hub cannot be reached or refuses.
    """
    errors = _huggingface_hub().errors
    try:
        return checked(Path(_huggingface_hub().snapshot_download(hub_id, allow_patterns=_FILES)))
    except errors.GatedRepoError as error:
        raise InputError(
            f"{hub_id} is for those who have accepted its terms: do so on https://huggingface.co/"
            f"{hub_id}, then log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"the hub has no {hub_id}, or not for you") from error
    except InputError:
        raise
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{hub_id} could not be fetched ({type(error).__name__}: {first_line}); on a machine "
            f"without network, put all files of https://huggingface.co/{hub_id} into a folder and "
            "name that (of a segmenter: training.weights=FOLDER)"
        ) from error


def checked(folder: Path) -> Path:
    """Return the folder if it holds a config and weights in safetensors."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json; a folder in the hub's layout was expected")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        help_ = _CONVERT if pickled else "download model.safetensors beside config.json"
        raise InputError(f"{folder} has no *.safetensors; {help_}")
    return folder


def _huggingface_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise InputError(
            "models of the hub need transformers: pip install 'napari-al[transformers]'"
        ) from error
    return huggingface_hub
