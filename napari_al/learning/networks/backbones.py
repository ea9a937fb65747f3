"""Backbones from transformers, wrapped to return feature maps at several strides.

transformers is imported only when a backbone is built. A backbone is built from the few config
values that determine its architecture (``catalogue.py``); other values in a file are ignored, since
the file may come from an unknown source.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from napari_al.errors import InputError
from napari_al.learning.networks.pretrained import require_transformers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_al.learning.networks.catalogue import SegmenterInfo

MAX_NUMBER = 100_000
"""In a config that is read; and of layers:"""
MAX_LAYERS = 200
BATCH_NORM_MOMENTUM = 0.1
OUTPUT_STRIDE = 16
"""Of the convolutional backbones, by dilation."""


class Backbone(nn.Module):
    """A transformers model: images in, feature maps out.

    Attributes
    ----------
    config : dict
        With the catalogue row and the number of channels it suffices to rebuild the backbone.
    channels, strides : tuple of int
        Of its maps, finest first.
    rate : float
        Factor of its learning rate, relative to the rest of the network.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int

    def __init__(self, model: nn.Module, info: SegmenterInfo) -> None:
        super().__init__()
        self.model = model
        self.rate = info.rate
        settings: Any = model.config
        self.config = {key: _plain(getattr(settings, key)) for key in info.config}
        self._type = info.model_type
        if info.family == "dino":
            self._patch, self._n_extra = settings.patch_size, _n_extra_tokens(settings)
            self.channels, self.strides = (settings.hidden_size,), (self._patch,)
        elif self._type == "segformer":
            self.channels = tuple(settings.hidden_sizes)
            self.strides = tuple(math.prod(settings.strides[: i + 1]) for i in range(4))
        else:
            self.channels, self.strides = _low_and_high(model, self._type), (4, OUTPUT_STRIDE)
        self.multiple = self._patch if info.family == "dino" else 32
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # MobileNetV2's is TensorFlow's 1 - momentum
                module.momentum = BATCH_NORM_MOMENTUM

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) normalised, sides multiples of ``multiple``, to maps (N, D, h, w)."""
        if len(self.strides) == 1:
            tokens = self.model(images).last_hidden_state[:, self._n_extra :]
            size = (images.shape[2] // self._patch, images.shape[3] // self._patch)
            return [tokens.transpose(1, 2).unflatten(2, size)]
        hidden = self.model(images, output_hidden_states=True).hidden_states
        if self._type == "segformer":
            return list(hidden)
        # ResNet: the stem, then one map per stage; MobileNetV2: one map per block
        return [hidden[1], hidden[-1]]


def new_backbone(info: SegmenterInfo, config: Mapping[str, Any], n_channels: int) -> Backbone:
    """Build a backbone with random weights.

    Parameters
    ----------
    info : SegmenterInfo
    config : mapping
        Values for the keys of ``info.config``.
    n_channels : int
        Of the images.

    Raises
    ------
    InputError
        If transformers is not installed, or the config is not of such a backbone.
    """
    require_transformers()
    from transformers import AutoModel

    settings = _settings(info, config, n_channels)
    try:
        return Backbone(_dilated(AutoModel.from_config(settings), info), info)
    except (ArithmeticError, TypeError, ValueError, LookupError, RuntimeError) as error:
        raise InputError(f"{info.name} cannot be built from {dict(config)} ({error})") from error


def pretrained_backbone(info: SegmenterInfo, folder: Path, n_channels: int) -> Backbone:
    """Build a backbone with the weights in a folder of the hub's layout.

    For images of other channels than the weights' (three), each filter of the first convolution
    becomes the mean of its channels, the same for every channel of the images and scaled so that
    it answers to a grey image as before.

    Raises
    ------
    InputError
        If transformers is not installed, or the folder holds no such backbone.
    """
    require_transformers()
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    try:
        found: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        if found.model_type != info.model_type:
            raise InputError(
                f"{folder} holds a model of type {found.model_type!r}; {info.name} needs one of "
                f"type {info.model_type!r}"
            )
        config = {key: _plain(getattr(found, key)) for key in info.config}
        settings = _settings(info, config, found.num_channels)
        model, report = AutoModel.from_pretrained(
            folder,
            config=settings,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: the weights cannot be loaded ({error})") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of the weights of {info.name}, {missing[0]} for "
            "instance; it is damaged, or of another network"
        )
    _set_channels(model, found.num_channels, n_channels)
    return Backbone(_dilated(model, info), info)


def _settings(info: SegmenterInfo, config: Mapping[str, Any], n_channels: int) -> Any:
    """Make transformers' config of checked values."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    problem = _problem(info, config)
    if problem:
        raise InputError(f"no config of {info.name}: {problem}")
    stride = {"output_stride": OUTPUT_STRIDE} if info.model_type == "mobilenet_v2" else {}
    try:
        return AutoConfig.for_model(
            info.model_type, num_channels=n_channels, **stride, **dict(config)
        )
    except (ArithmeticError, TypeError, ValueError, LookupError, StrictDataclassError) as error:
        raise InputError(f"no config of {info.name}: {error}") from error


def _problem(info: SegmenterInfo, config: Mapping[str, Any]) -> str:
    """Return what is wrong with a config; "" if a backbone can be built from it."""
    if config.keys() != info.config.keys():
        return f"it has {sorted(config)}, expected {sorted(info.config)}"
    for key, default in info.config.items():
        value = config[key]
        numbers = value if isinstance(value, (list, tuple)) else [value]
        expected = default if isinstance(default, tuple) else [default]
        of_kind = len(numbers) == len(expected) and all(
            type(number) is type(expected[0])
            or (type(number) is int and isinstance(expected[0], float))
            for number in numbers
        )
        if not of_kind:
            return f"{key} is {value!r}, expected something like {default!r}"
        if isinstance(expected[0], str):
            continue
        most = MAX_LAYERS if key in ("depths", "num_hidden_layers") else MAX_NUMBER
        if not all(0 <= number <= most for number in numbers) or sum(numbers) > 4 * most:
            return f"{key} is {value!r}, expected numbers from 0 to {most}"
    return ""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _n_extra_tokens(settings: Any) -> int:
    """Tokens before those of the patches: the class token and perhaps registers."""
    return 1 + int(getattr(settings, "num_register_tokens", 0))


def _low_and_high(model: Any, model_type: str) -> tuple[int, ...]:
    """Channels of the maps at stride 4 and at the output stride."""
    if model_type == "resnet":
        return model.config.hidden_sizes[0], model.config.hidden_sizes[-1]
    return tuple(model.layer[i].reduce_1x1.convolution.out_channels for i in (1, -1))


def _dilated(model: Any, info: SegmenterInfo) -> nn.Module:
    """Replace the last stride of a ResNet by dilation, which keeps its receptive field."""
    if info.model_type == "resnet":
        for index, block in enumerate(model.encoder.stages[-1].layers):
            for module in block.modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
                    if module.kernel_size == (3, 3) and index:
                        module.dilation = module.padding = (2, 2)
    return cast("nn.Module", model)


def _set_channels(model: nn.Module, n_old: int, n_new: int) -> None:
    """Adapt the first convolution to the number of image channels."""
    if n_old == n_new:
        return
    cast("Any", model).config.num_channels = n_new
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    mean = first.weight.data.mean(dim=1, keepdim=True) * (n_old / n_new)
    first.weight = nn.Parameter(mean.repeat(1, n_new, 1, 1))
    first.in_channels = n_new
    for module in model.modules():
        if getattr(module, "num_channels", None) == n_old:
            module.num_channels = n_new  # type: ignore[assignment]
