"""Segmenters on disk (safetensors, never pickle), and the statistics their inputs are scaled by."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.learning.segmenter import ClassifierName, Segmenter, build_segmenter
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_al.learning.networks.catalogue import SegmenterInfo

MAX_CHANNELS = 4096
"""Of a model file that is read."""


def save_segmenter(path: Path, segmenter: Segmenter, metadata: Mapping[str, str]) -> None:
    """Write a segmenter so that a reader sees the old file or the new one, never half of it.

    Parameters
    ----------
    path : Path
        ``*.safetensors``.
    segmenter : Segmenter
    metadata : mapping of str to str
        Kept in the file's header beside what rebuilds the segmenter.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written.
    """
    header = {
        **metadata,
        "name": segmenter.name,
        "n_channels": str(segmenter.n_channels),
        "n_classes": str(segmenter.n_classes),
        "classifier": segmenter.classifier_name,
        "temperature": repr(segmenter.temperature),
        "frozen": json.dumps(segmenter.frozen is not None),
    }
    if segmenter.backbone is not None:
        header["backbone"] = json.dumps(segmenter.backbone.config)
    tensors = {key: value.contiguous() for key, value in segmenter.state_dict().items()}
    write_atomic(path, save(tensors, header))


def load_segmenter(path: Path) -> Segmenter:
    """Rebuild a segmenter on the CPU from a file of ``save_segmenter``.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not one of napari-al's.
    """
    try:
        header, tensors = _read(path)
        n_channels, n_classes = int(header["n_channels"]), int(header["n_classes"])
        if n_channels > MAX_CHANNELS or n_classes > IGNORE:  # before memory is taken for them
            raise ValueError(f"{n_channels} channels, {n_classes} classes")
        build = partial(
            build_segmenter,
            header["name"],
            n_channels,
            n_classes,
            classifier=cast("ClassifierName", header["classifier"]),
            temperature=float(header["temperature"]),
            mean=[0.0] * n_channels,
            std=[1.0] * n_channels,
            seed=0,
            frozen=header.get("frozen") == "true",
            backbone=_backbone_config(header),
        )
        with torch.device("meta"):  # takes no memory for the weights
            skeleton = build().state_dict()
        if _shapes(skeleton) != _shapes(tensors):
            raise ValueError("its header and its weights are of different networks")
        segmenter = build()
        segmenter.load_state_dict(tensors)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such model file") from error
    except (OSError, SafetensorError, RuntimeError, LookupError, ValueError) as error:
        raise InputError(
            f"{path}: not a model of this version of napari-al, or damaged ({error}); train anew "
            "or take another round's file"
        ) from error
    return segmenter


def _backbone_config(header: Mapping[str, str]) -> dict[str, Any] | None:
    config = json.loads(header.get("backbone", "null"))
    if not isinstance(config, dict | None):  # a text would name a folder to load from
        raise ValueError(f"backbone is {config!r}")
    return config


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with cast("Any", safe_open(str(path), framework="pt")) as file:
        return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def input_normalisation(
    info: SegmenterInfo, images: Iterable[NDArray[np.generic]], *, pretrained: bool
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by which a new segmenter scales its input, in the images' units.

    Those that the backbone was trained with, where it was and the images are 8-bit RGB as well;
    else those of the images (``input_statistics``).
    """
    left = iter(images)
    first = next(left, None)
    like_backbone = first is not None and first.dtype == np.uint8 and first.shape[-1] == 3
    if pretrained and like_backbone:
        mean, std = info.normalisation
        return [255 * value for value in mean], [255 * value for value in std]
    found_mean, found_std = input_statistics(() if first is None else chain([first], left))
    return found_mean.tolist(), found_std.tolist()


def encoder_fingerprint(segmenter: Segmenter) -> str:
    """A name for what a frozen segmenter's encoder makes of images: equal if and only if that is.

    It depends on the encoder's kind and weights and on the input's normalisation.
    """
    digest = hashlib.sha256(f"{segmenter.name} {segmenter.n_channels}".encode())
    for key, value in segmenter.state_dict().items():
        if key in ("mean", "std") or key.startswith("trunk.encoder."):
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def input_statistics(
    images: Iterable[NDArray[np.generic]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all pixels that are finite numbers.

    Parameters
    ----------
    images : iterable of (H, W, C) arrays
        Any dtype, sizes may differ; each is looked at once and let go.

    Returns
    -------
    mean, std : (C,) float64
        In the images' units; ``std`` is 1 where a channel is constant.

    Raises
    ------
    InputError
        If there are no images, or their channel counts differ.
    """
    count = mean = square = None
    for image in images:
        pixels = np.asarray(image, np.float64).reshape(-1, image.shape[-1])
        if mean is None or count is None or square is None:
            count, mean, square = (np.zeros(pixels.shape[1]) for _ in range(3))
        if pixels.shape[1] != mean.size:
            raise InputError(
                f"all images need the same number of channels; one has {mean.size}, another "
                f"{pixels.shape[1]}"
            )
        finite = np.isfinite(pixels)
        n_new = finite.sum(axis=0)
        safe = np.maximum(n_new, 1)
        new_mean = np.where(finite, pixels, 0).sum(axis=0) / safe
        new_square = (np.where(finite, pixels - new_mean, 0) ** 2).sum(axis=0)
        # Chan et al. 1979: merge two sets' sums without losing digits to large means
        total = np.maximum(count + n_new, 1)
        delta = new_mean - mean
        square = square + new_square + delta**2 * count * n_new / total
        mean = mean + delta * n_new / total
        count = count + n_new
    if mean is None or count is None or square is None:
        raise InputError("statistics of the input need at least one image, got none")
    std = np.sqrt(square / np.maximum(count, 1))
    return mean, np.where(std > 0, std, 1.0)
