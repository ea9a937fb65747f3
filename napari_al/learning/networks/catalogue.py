"""The table of segmenters: data only, so that listing them loads neither torch nor transformers."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Family = Literal["efficientnet-lite", "compact", "filters", "deeplabv3plus", "segformer", "dino"]

DEFAULT: Final = "efficientnet-lite0"
DEFAULT_IF_SMALL: Final = "efficientnet-lite0-two-scales"
SMALL_PX = 2**17
"""Largest median size of images, in pixels, that are seen at two scales by default: 362 x 362."""
FEW_PX = 200_000_000
"""Most pixels of such images together. Their encodings take 19 bytes a pixel, and those that do not
fit into ``training.encodings_gb`` (4) would be computed anew in each round."""
IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of red, green, blue in 0..1 that most backbones were trained with."""


@dataclass(frozen=True, slots=True)
class SegmenterInfo:
    """One row.

    Attributes
    ----------
    name : str
    family : str
        What is built on the backbone, or which; ``compact`` and ``filters`` have none.
    n_million : float
        Parameters of the backbone, in millions, as it is used by default.
    summary : str
    hub_id : str
        Where its weights are on the Hugging Face hub; empty where they are not from there.
    licence : str
        Of these weights.
    model_type : str
        What transformers calls the backbone.
    config : mapping
        What transformers' config needs to build it: every key that decides its architecture.
    normalisation : ((float, ...), (float, ...))
        Mean and standard deviation, in 0..1, of the 8-bit RGB images that it was trained with.
    rate : float
        Its learning rate, by that of the rest.
    size : int
        Of an EfficientNet-Lite.
    two_scales : bool
        Whether its encoder sees the image at twice the size, too; such a row is always frozen.
    frozen : bool
        Whether the backbone stays as it is unless a setting says otherwise.
    """

    name: str
    family: Family
    n_million: float
    summary: str
    hub_id: str = ""
    licence: str = ""
    model_type: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    rate: float = 1.0
    size: int = 0
    two_scales: bool = False
    frozen: bool = False

    @property
    def has_weights(self) -> bool:
        """Whether there are pretrained weights for its backbone."""
        return bool(self.hub_id) or self.family == "efficientnet-lite"


def _efficientnet_lite(size: int, n_million: float) -> SegmenterInfo:
    return SegmenterInfo(
        f"efficientnet-lite{size}",
        "efficientnet-lite",
        n_million,
        f"EfficientNet-Lite{size} with ImageNet weights; an ensemble of heads learns",
        licence="Apache-2.0",
        normalisation=((127 / 255,) * 3, (128 / 255,) * 3),
        rate=0.1,
        size=size,
        frozen=True,
    )


def _resnet(depth: int, n_million: float, blocks: tuple[int, ...]) -> SegmenterInfo:
    return SegmenterInfo(
        f"deeplabv3plus-resnet{depth}",
        "deeplabv3plus",
        n_million,
        f"DeepLabv3+ on ResNet-{depth}, output stride 16",
        f"microsoft/resnet-{depth}",
        "Apache-2.0",
        "resnet",
        {
            "embedding_size": 64,
            "hidden_sizes": (256, 512, 1024, 2048),
            "depths": blocks,
            "layer_type": "bottleneck",
            "hidden_act": "relu",
            "downsample_in_first_stage": False,
            "downsample_in_bottleneck": False,
        },
        rate=0.1,
    )


def _segformer(
    size: int, n_million: float, blocks: tuple[int, ...], *, narrow: bool = False
) -> SegmenterInfo:
    return SegmenterInfo(
        f"segformer-b{size}",
        "segformer",
        n_million,
        f"SegFormer on MiT-B{size}",
        f"nvidia/mit-b{size}",
        "NVIDIA, non-commercial",
        "segformer",
        {
            "hidden_sizes": (32, 64, 160, 256) if narrow else (64, 128, 320, 512),
            "depths": blocks,
            "num_attention_heads": (1, 2, 5, 8),
            "sr_ratios": (8, 4, 2, 1),
            "patch_sizes": (7, 3, 3, 3),
            "strides": (4, 2, 2, 2),
            "mlp_ratios": (4, 4, 4, 4),
            "hidden_act": "gelu",
            "drop_path_rate": 0.1,
            "decoder_hidden_size": 256 if size < 2 else 768,
        },
        rate=0.03,
    )


def _dinov2(size: str, n_million: float, width: int, n_layers: int) -> SegmenterInfo:
    return SegmenterInfo(
        f"dinov2-{size}",
        "dino",
        n_million,
        f"DINOv2 ViT-{size[0].upper()}/14 with a light head",
        f"facebook/dinov2-{size}",
        "Apache-2.0",
        "dinov2",
        {
            "hidden_size": width,
            "num_hidden_layers": n_layers,
            "num_attention_heads": width // 64,
            "mlp_ratio": 4,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
            "image_size": 518,
            "patch_size": 14,
            "qkv_bias": True,
            "layerscale_value": 1.0,
            "use_swiglu_ffn": False,
        },
        rate=0.03,
    )


def _dinov3(size: str, n_million: float, width: int, n_layers: int) -> SegmenterInfo:
    return SegmenterInfo(
        f"dinov3-{size}",
        "dino",
        n_million,
        f"DINOv3 ViT-{size[0].upper()}/16 with a light head",
        f"facebook/dinov3-vit{size[0]}16-pretrain-lvd1689m",
        "DINOv3 License, gated",
        "dinov3_vit",
        {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": n_layers,
            "num_attention_heads": width // 64,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "image_size": 224,
            "patch_size": 16,
            "num_register_tokens": 4,
            "rope_theta": 100.0,
            "query_bias": True,
            "key_bias": False,
            "value_bias": True,
            "proj_bias": True,
            "mlp_bias": True,
            "layerscale_value": 1.0,
            "use_gated_mlp": False,
        },
        rate=0.03,
    )


SEGMENTERS: Final[Mapping[str, SegmenterInfo]] = {
    info.name: info
    for info in (
        _efficientnet_lite(0, 2.4),
        replace(
            _efficientnet_lite(0, 2.4),
            name="efficientnet-lite0-two-scales",
            summary="EfficientNet-Lite0 on the image and on twice its size; slower, finer",
            two_scales=True,
        ),
        _efficientnet_lite(1, 3.1),
        _efficientnet_lite(2, 3.6),
        SegmenterInfo("compact", "compact", 1.0, "small encoder-decoder, learns from scratch"),
        SegmenterInfo("filters", "filters", 0.0, "fixed colour and texture filters", frozen=True),
        SegmenterInfo(
            "deeplabv3plus-mobilenetv2",
            "deeplabv3plus",
            2.2,
            "DeepLabv3+ on MobileNetV2, output stride 16",
            "google/mobilenet_v2_1.0_224",
            "see the hub's page",
            "mobilenet_v2",
            {
                "depth_multiplier": 1.0,
                "depth_divisible_by": 8,
                "min_depth": 8,
                "expand_ratio": 6.0,
                "first_layer_is_expansion": True,
                "finegrained_output": True,
                "hidden_act": "relu6",
                "tf_padding": True,
                "layer_norm_eps": 0.001,
            },
            ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            rate=0.1,
        ),
        _resnet(50, 23.5, (3, 4, 6, 3)),
        _resnet(101, 42.5, (3, 4, 23, 3)),
        _segformer(0, 3.3, (2, 2, 2, 2), narrow=True),
        _segformer(1, 13.2, (2, 2, 2, 2)),
        _segformer(2, 24.2, (3, 4, 6, 3)),
        _segformer(3, 44.1, (3, 4, 18, 3)),
        _segformer(4, 60.8, (3, 8, 27, 3)),
        _segformer(5, 81.4, (3, 6, 40, 3)),
        _dinov2("small", 22.1, 384, 12),
        _dinov2("base", 86.6, 768, 12),
        _dinov2("large", 304.4, 1024, 24),
        _dinov3("small", 21.6, 384, 12),
        _dinov3("base", 85.7, 768, 12),
        _dinov3("large", 303.1, 1024, 24),
    )
}


def default_segmenter(shapes: Iterable[tuple[int, int]]) -> str:
    """Return the row that a project begins with unless a setting names one.

    Small images are seen at twice their size, too, unless there are very many: objects there are a
    few pixels of the finest map, and encoding, which then takes five times as long, is quick.

    Parameters
    ----------
    shapes : iterable of (int, int)
        H, W of the images, in pixels; at least one.
    """
    n_pixels = [height * width for height, width in shapes]
    is_small = statistics.median(n_pixels) <= SMALL_PX and sum(n_pixels) <= FEW_PX
    return DEFAULT_IF_SMALL if is_small else DEFAULT


def segmenter_info(name: str) -> SegmenterInfo:
    """Return a row of the table.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in SEGMENTERS:
        raise InputError(f"segmenter={name!r}: expected one of {', '.join(SEGMENTERS)}")
    return SEGMENTERS[name]
