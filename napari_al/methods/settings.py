"""Settings of the columns of a method; ``session/project/config.py`` nests them in a project's.

The defaults are what the papers' equations say. Where the authors published code that differs, a
value named here reproduces it (docs/methods.md lists them).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseModel):
    """Base of all groups of settings: frozen, without unknown names, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RegionSettings(Settings):
    """Base regions (``core/superpixels.py`` explains each)."""

    n_per_image: Positive = Field(200, description="superpixels asked of SEEDS or SLIC")
    side_px: Annotated[int, Field(ge=2)] = Field(32, description="side of a grid rectangle")
    seeds_hue: Literal["degrees", "unit"] = Field(
        "degrees", description="'degrees' as the papers' code does (hue nearly binary), or 0..1"
    )


class AcquisitionSettings(Settings):
    """Merging and scoring."""

    epsilon: Annotated[float, Field(ge=0)] = Field(0.1, description="merge below this JS distance")
    nu: Annotated[float, Field(ge=0)] = Field(6.0, description="PixBal: weight of the class prior")
    power: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = Field(
        (10.0, 20.0, 50.0, 100.0),
        description="power-bvsb: weight of the uncertainty against the noise; by model, the last "
        "stays",
    )
    max_per_image: Annotated[int, Field(ge=0)] = Field(
        0, description="questions about an image in a round while others are left; 0: any number"
    )
    search: Annotated[int, Field(ge=0)] = Field(
        0,
        description="while a class has fewer answers than this, every second question is about "
        "what is least like anything answered; 0: never",
    )
    query_seconds: tuple[Seconds, NotNegative] = Field(
        (2.4, 0.9),
        description="query_choice 'by-region': seconds of a query's first click and of each "
        "further one (medians of Bearman et al., ECCV 2016)",
    )
    share_localised: Fraction = Field(
        0.9,
        description="query_choice 'by-region': share of a region's pixels that are expected to get "
        "the right class from a multi-class answer",
    )
    representative: Literal["segment", "dominant-part"] = Field(
        "segment", description="where the representative pixel is looked for (ALC eq. 4, or code)"
    )
    order: Literal["score", "image"] = Field(
        "score", description="ask a batch by score, or grouped by image"
    )
    random_share: Fraction = Field(
        0.0,
        description="share of the questions that are drawn at random among all open regions, to "
        "estimate how good the model is there; the window's default: 0.05",
    )
    frequency_scale: Annotated[float, Field(ge=0)] = Field(
        1.0, description="ClassBal: multiplies the class frequency (the code of Kim et al.: 0.25)"
    )
    abc_classes: Literal["all", "present"] = Field(
        "all",
        description="ABC: imbalance of all classes, or (the authors' code) of those that occur, "
        "'no label' being one",
    )
    unlabelled: Literal["own", "predicted"] = Field(
        "own",
        description="ABC: pixels without a label count as a class of their own, or (the authors' "
        "code) as their predicted class",
    )


class TargetSettings(Settings):
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
        "nearest",
        description="stage 2, two regions expand to a pixel: the likest has it, or (the authors' "
        "code) the one with the highest region id",
    )
    similarity: Literal["cosine", "dot"] = Field(
        "cosine",
        description="stage 2: cosine of upsampled features (eq. 11), or (the authors' code on "
        "Cityscapes) dot product of features normalised before they are upsampled",
    )
    prototypes: Literal["probability", "cosine"] = Field(
        "probability",
        description="stage 2: a prototype is the pixel of the largest probability as in training "
        "(eq. 8), or (the authors' code) of the softmax of the cosines without temperature",
    )
    lcm_confidence: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        (0.99,), description="least confidence of an automatic correction; by round, the last stays"
    )
    lcm_loss: Literal["cross-entropy", "softmax-twice"] = Field(
        "cross-entropy", description="of the correction module; the authors' code: 'softmax-twice'"
    )
    lcm_precision: Fraction = Field(
        0.0,
        description="automatic corrections are made only in rounds in which at least this share of "
        "them is right by the round's own answers, held out; 0: in every round (the paper)",
    )
    lcm_tail: Fraction = Field(0.5, description="share of classes never given automatically")
