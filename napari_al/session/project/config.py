"""``config.json``: everything that a project's results depend on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_al.formats.dataset import ClassInfo
from napari_al.formats.image_rules import ImageRules
from napari_al.methods.table import Method

VERSION = 1
"""Of the project folder; raised when an older program could not read it any more."""

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Confusions = dict[str, dict[str, Annotated[float, Field(ge=0)]]]
"""``{true class: {given class: weight}}`` by name; only the ratios within a row matter."""


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
    representative: Literal["segment", "dominant-part"] = Field(
        "segment", description="where the representative pixel is looked for (ALC eq. 4, or code)"
    )
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
    expansion_rule: Literal["passing", "any"] = Field(
        "passing",
        description="stage 2: the likest class of those that pass their own threshold (eq. 13), or "
        "of all once any passes (the authors' code)",
    )
    expansion_conflicts: Literal["nearest", "last"] = Field(
        "nearest", description="stage 2, two regions expand to a pixel: the likest, or the last"
    )
    lcm_confidence: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        (0.99,), description="least confidence of an automatic correction; by round, the last stays"
    )
    lcm_loss: Literal["cross-entropy", "softmax-twice"] = Field(
        "cross-entropy", description="of the correction module; the authors' code: 'softmax-twice'"
    )
    lcm_tail: Fraction = Field(0.5, description="share of classes never given automatically")


class TrainingSettings(_Settings):
    """One round's training."""

    segmenter: str = Field("compact", description="`napari-al methods --segmenters` lists them")
    weights: str = Field(
        "pretrained",
        description="of a backbone: 'pretrained' (fetched before with `napari-al download`), "
        "'none', a folder in the hub's layout, or a hub id that was fetched",
    )
    frozen: bool = Field(
        False, description="leave the backbone as it is: rounds train a small head in seconds"
    )
    steps: Positive = 400
    batch_size: Positive = 8
    crop_px: Annotated[int, Field(ge=16)] = Field(
        352, description="side of a training crop; no larger than the largest image needs"
    )
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    keep_weights: bool = Field(True, description="start each round from the last round's weights")
    temperature: Annotated[float, Field(gt=0)] = Field(0.1, description="of a cosine classifier")
    encodings_gb: Annotated[float, Field(ge=0)] = Field(
        4.0, description="disk for what a frozen encoder makes of the images; the oldest is dropped"
    )
    loss_weights: tuple[float, float, float] = Field(
        (16.0, 8.0, 1.0), description="multi-class loss: CE, merged positive, prototypical pixel"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = Field(0, description="CPU threads; 0 = torch's choice")


class OracleSettings(_Settings):
    """The simulated annotator (``simulate/oracle.py``)."""

    error_rate: Fraction = Field(0.0, description="chance that a class is given wrongly")
    confusions: Confusions = Field(
        {}, description="what errors turn classes into; nothing: look-alikes, found in the images"
    )
    trim_px: Annotated[int, Field(ge=0)] = Field(
        3, description="band inside a region's boundary that a multi-class oracle overlooks"
    )
    correction_rule: Literal["pixel", "half-pixel", "half-majority"] = Field(
        "pixel",
        description="'pixel': the truth at the representative pixel; 'half-pixel' and "
        "'half-majority' (the authors' code): that or the most frequent truth, but only where no "
        "more than half of the region is right",
    )


class InitialSettings(_Settings):
    """Where the labels that correction methods start from come from (``--init``)."""

    source: Literal["initial_labels", "noisy", "model"] = Field(
        "initial_labels",
        description="'initial_labels': the data folder; 'noisy': ground truth with the classes of "
        "objects confused; 'model': predictions of a model trained on a few labelled images",
    )
    error_rate: Fraction = Field(0.3, description="noisy: share of objects whose class is confused")
    confusions: Confusions = Field({}, description="noisy: as of the oracle")
    n_images: Positive = Field(5, description="model: labelled images to train on")


class ProjectConfig(_Settings):
    """All of ``config.json``."""

    version: int = VERSION
    data: str = Field(
        description="the data folder: absolute, or relative to the project folder",
        pattern=r"^[^\x00]+$",
    )
    classes: tuple[ClassInfo, ...]
    method: Method
    budget: Positive = Field(500, description="clicks a round")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    skip_broken: bool = False
    images: ImageRules = ImageRules()
    initial: InitialSettings = InitialSettings()
    regions: RegionSettings = RegionSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    targets: TargetSettings = TargetSettings()
    training: TrainingSettings = TrainingSettings()
    oracle: OracleSettings = OracleSettings()
