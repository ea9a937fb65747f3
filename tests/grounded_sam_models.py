"""Tiny Grounding DINO, SAM and SAM 2 with random weights, saved in the model hub's layout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("sky", "car", "van", "ground", "traffic", "light", "sign", ".")
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def write_detector(folder: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    swin = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 2, 2],
        window_size=4, out_features=["stage2", "stage3"],
    )  # fmt: skip
    bert = transformers.BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=40,
    )  # fmt: skip
    config = transformers.GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, num_queries=12, num_feature_levels=2, encoder_n_points=2,
        decoder_n_points=2, max_text_len=24,
    )  # fmt: skip
    transformers.GroundingDinoForObjectDetection(config).eval().save_pretrained(folder)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    preparation = {"size": {"shortest_edge": 48, "longest_edge": 64}, **IMAGENET}
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder


def write_sam(folder: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 64, "patch_size": 8, "mlp_dim": 16,
            "window_size": 4, "global_attn_indexes": [0], "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8,
                               "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                             "mlp_dim": 16, "iou_head_hidden_dim": 16},
    )  # fmt: skip
    transformers.SamModel(config).eval().save_pretrained(folder)
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**sizes, **IMAGENET}))
    return folder


def write_sam2(folder: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    backbone = {
        "hidden_size": 8, "image_size": [64, 64], "patch_kernel_size": [7, 7],
        "patch_stride": [4, 4], "patch_padding": [3, 3], "query_stride": [2, 2],
        "window_positional_embedding_background_size": [4, 4], "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 2, 2, 2],
        "window_size_per_stage": [4, 2, 2, 2], "global_attention_blocks": [3],
    }  # fmt: skip
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(**backbone),
        backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=16,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16,
                               "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                             "mlp_dim": 16, "iou_head_hidden_dim": 16},
    )  # fmt: skip
    transformers.Sam2Model(config).eval().save_pretrained(folder)
    preparation = {"size": {"height": 64, "width": 64}, **IMAGENET}
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder
