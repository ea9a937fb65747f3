"""Half precision on GPUs that support it: bfloat16, or float16 on older ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

BFLOAT16_SINCE = (8, 0)
FLOAT16_SINCE = (7, 0)
"""CUDA compute capabilities with fast units for them."""


def half_dtype(device: torch.device) -> torch.dtype | None:
    """The half-precision type of a device; None where float32 is as fast."""
    if device.type != "cuda":
        return None
    capability = torch.cuda.get_device_capability(device)
    if capability >= BFLOAT16_SINCE:
        return torch.bfloat16
    return torch.float16 if capability >= FLOAT16_SINCE else None


def half_precision(device: torch.device) -> torch.autocast:
    """A context in which networks compute in half precision where that is faster."""
    dtype = half_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def in_half(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Run a network in half precision where that is faster; the result is float32."""
    with half_precision(images.device):
        return run(images).float()


def network_to(network: torch.nn.Module, device: torch.device) -> None:
    """Move a network to a device, in the memory layout that its convolutions are fastest in."""
    if device.type == "cuda":
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        network.to(device)
