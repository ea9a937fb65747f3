"""Choose a torch device: ``auto``, ``cpu`` or ``cuda``."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from napari_al.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> torch.device:
    """The device of that name; ``auto`` is a CUDA GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        For another name, or for ``cuda`` where torch finds no usable GPU.
    """
    if name not in get_args(DeviceName):
        raise InputError(f"device={name!r}: expected one of {', '.join(get_args(DeviceName))}")
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if name == "auto":
        return torch.device("cpu")
    raise InputError(
        "device='cuda': torch finds no CUDA GPU here (no driver, or a CPU-only build of torch); "
        "use 'cpu' or 'auto'"
    )
