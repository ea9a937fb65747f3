"""Tiny models of transformers with random weights, saved as the hub's pages are laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TINY = {
    "deeplabv3plus-resnet50": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16, 16, 32],
        "depths": [1, 1, 1, 2],
        "layer_type": "bottleneck",
    },
    "deeplabv3plus-mobilenetv2": {"depth_multiplier": 0.1},
    "segformer-b0": {
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 2, 2],
        "decoder_hidden_size": 16,
    },
    "dinov2-small": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
    },
    "dinov3-small": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_register_tokens": 2,
    },
}
"""What of each family's config makes it tiny."""


def write_backbone(name: str, folder: Path) -> Path:
    """Save the backbone of a row of the catalogue, tiny; return the folder."""
    import torch
    from transformers import AutoConfig, AutoModel

    from napari_al.learning.networks.catalogue import SEGMENTERS

    torch.manual_seed(0)
    config = AutoConfig.for_model(SEGMENTERS[name].model_type, **TINY[name])
    AutoModel.from_config(config).save_pretrained(folder)
    return folder
