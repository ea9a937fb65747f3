"""Models of others, in folders or in the model hub's cache on this machine.

``download`` alone uses the network, and runs when somebody asks for it. A folder has the hub's
layout; weights are read from safetensors and nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from napari_al.errors import InputError

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_FILES: Final = ["*.json", "*.txt", "*.safetensors"]


def find_model(name: str) -> Path:
    """Return the folder of a model without using the network.

    Parameters
    ----------
    name : str
        A folder, or a hub id (``OWNER/NAME``) that was downloaded before.

    Raises
    ------
    InputError
        If it is not here, or has no weights that are read.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if not _HUB_ID.fullmatch(name):
        raise InputError(f"{name}: expected a folder that is there, or a hub id (OWNER/NAME)")
    from_hub = _hub().try_to_load_from_cache(name, "config.json")
    if not isinstance(from_hub, str):
        raise InputError(
            f"{name} is not on this machine; fetch it once with --download, or put all files of "
            f"https://huggingface.co/{name} into a folder and name that"
        )
    return _checked(Path(from_hub).parent)


def download(name: str) -> Path:
    """Fetch a model into the hub's cache on this machine, unless it is a folder or there already.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    if Path(name).expanduser().is_dir() or not _HUB_ID.fullmatch(name):
        return find_model(name)
    try:
        return _checked(Path(_hub().snapshot_download(name, allow_patterns=_FILES)))
    except InputError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{name} could not be fetched ({type(error).__name__}: {first}); on a machine without "
            f"network, put all files of https://huggingface.co/{name} into a folder and name that"
        ) from error


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json; a folder in the hub's layout was expected")
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder} has no *.safetensors (pickled weights, *.bin, are not read: they can run "
            "programs); fetch model.safetensors, or convert them where you trust them"
        )
    return folder


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            "models of others need transformers: pip install 'napari-al[transformers]'"
        ) from error
    return huggingface_hub
