"""``config.json``: everything that a project's results depend on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_al.formats.dataset import ClassInfo
from napari_al.methods import Method

VERSION = 1
"""Of the project folder; raised when an older program could not read it any more."""

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RegionSettings(_Settings):
    """Base regions (``superpixels.py`` explains each)."""

    n_per_image: Positive = Field(200, description="superpixels asked of SEEDS or SLIC")
    side_px: Annotated[int, Field(ge=2)] = Field(32, description="side of a grid rectangle")
    seeds_hue: Literal["degrees", "unit"] = Field(
        "degrees", description="'degrees' as the papers' code does (hue nearly binary), or 0..1"
    )


class AcquisitionSettings(_Settings):
    """Merging and scoring."""

    epsilon: Annotated[float, Field(ge=0)] = Field(0.1, description="merge below this JS distance")
    nu: Annotated[float, Field(ge=0)] = Field(6.0, description="PixBal: weight of the class prior")
    order: Literal["score", "image"] = Field(
        "score", description="ask a batch by score, or grouped by image"
    )


class TargetSettings(_Settings):
    """Answers to training labels."""

    sieve_min_size_px: Annotated[int, Field(ge=0)] = Field(
        0, description="regions below this size are not sieved (the authors' code: 512)"
    )
    sieve_points: Annotated[int, Field(ge=3)] = Field(
        20, description="points on a region's confidence curve"
    )
    lcm_confidence: Fraction = Field(0.99, description="least confidence of an automatic correction")
    lcm_tail: Fraction = Field(0.5, description="share of classes never given automatically")


class TrainingSettings(_Settings):
    """One round's training."""

    segmenter: str = "compact"
    steps: Positive = 150
    batch_size: Positive = 8
    crop_px: Annotated[int, Field(ge=16)] = 192
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    keep_weights: bool = Field(True, description="start each round from the last round's weights")
    temperature: Annotated[float, Field(gt=0)] = Field(0.1, description="of a cosine classifier")
    weight_ce: float = 16.0
    weight_mp: float = 8.0
    weight_pp: float = 1.0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = Field(0, description="CPU threads; 0 = torch's choice")


class OracleSettings(_Settings):
    """The simulated annotator."""

    error_rate: Fraction = 0.0
    trim_px: Annotated[int, Field(ge=0)] = Field(
        3, description="band inside a region's boundary that a multi-class oracle overlooks"
    )


class ProjectConfig(_Settings):
    """All of ``config.json``."""

    version: int = VERSION
    data: str = Field(description="the data folder: absolute, or relative to the project folder")
    classes: tuple[ClassInfo, ...]
    method: Method
    budget: Positive = Field(500, description="clicks a round")
    seed: Annotated[int, Field(ge=0)] = 0
    skip_broken: bool = False
    initial: Literal["initial_labels", "noisy", "model"] = "initial_labels"
    regions: RegionSettings = RegionSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    targets: TargetSettings = TargetSettings()
    training: TrainingSettings = TrainingSettings()
    oracle: OracleSettings = OracleSettings()
