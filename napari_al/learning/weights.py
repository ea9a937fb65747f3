"""Save and load segmenters as safetensors, never as pickle."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.learning.networks.frozen import N_HIDDEN
from napari_al.learning.segmenter import ClassifierName, Segmenter, build_segmenter
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


MAX_CHANNELS = 4096
"""Of a model file that is read."""
MAX_MEMBERS = 64
MAX_HIDDEN = 4096


def save_segmenter(path: Path, segmenter: Segmenter, metadata: Mapping[str, str]) -> None:
    """Write a segmenter atomically: readers see the old file or the new one.

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
    if segmenter.frozen is not None:
        header["n_members"] = str(segmenter.frozen.n_members)
        header["noise"] = repr(segmenter.frozen.noise)
        header["n_hidden"] = str(segmenter.frozen.n_hidden)
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
        if "trunk.head.0.weight" in tensors:
            tensors = _from_version_1(tensors)
        n_channels, n_classes = int(header["n_channels"]), int(header["n_classes"])
        n_members = int(header.get("n_members", "1"))
        n_hidden = int(header.get("n_hidden", N_HIDDEN))
        if (
            n_channels > MAX_CHANNELS
            or n_classes > IGNORE
            or not 1 <= n_members <= MAX_MEMBERS
            or not 1 <= n_hidden <= MAX_HIDDEN
        ):  # before memory is allocated for them
            raise ValueError(
                f"{n_channels} channels, {n_classes} classes, {n_members} members of {n_hidden} "
                "hidden units"
            )
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
            n_members=n_members,
            noise=float(header.get("noise", "0")),
            n_hidden=n_hidden,
            backbone=_backbone_config(header),
        )
        with torch.device("meta"):  # allocates no memory for the weights
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
    if not isinstance(config, dict | None):  # a string would name a folder to load from
        raise ValueError(f"backbone is {config!r}")
    return config


def _from_version_1(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a frozen segmenter that was saved before there were ensembles.

    Its one head began with a normalisation that had learnt a scale and a shift of each map; both
    go into the layer after it.
    """
    new = {key: value for key, value in tensors.items() if not key.startswith("trunk.head.")}
    scale, shift = tensors["trunk.head.0.weight"], tensors["trunk.head.0.bias"]
    first = tensors["trunk.head.1.weight"]
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        new[f"trunk.norm.{name}"] = tensors[f"trunk.head.0.{name}"]
    member = "trunk.members.0"
    new[f"{member}.first.weight"] = first * scale[:, None, None]
    new[f"{member}.first.bias"] = tensors["trunk.head.1.bias"] + first[..., 0, 0] @ shift
    for name in ("weight", "bias"):
        new[f"{member}.second.{name}"] = tensors[f"trunk.head.4.{name}"]
        if f"classifier.{name}" in new:
            new[f"classifier.members.0.{name}"] = new.pop(f"classifier.{name}")
    return new


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with cast("Any", safe_open(str(path), framework="pt")) as file:
        return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def encoder_fingerprint(segmenter: Segmenter) -> str:
    """Hash of a frozen segmenter's encoder: equal if and only if its maps are equal.

    It depends on the encoder's kind and weights and on the input's normalisation.
    """
    digest = hashlib.sha256(f"{segmenter.name} {segmenter.n_channels}".encode())
    for key, value in segmenter.state_dict().items():
        if key in ("mean", "std") or key.startswith("trunk.encoder."):
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
