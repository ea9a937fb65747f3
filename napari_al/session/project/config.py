"""``config.json``: everything that a project's results depend on, and reading and writing it.

Settings of a method's columns are in ``methods/settings.py``; ``settings.py`` reads what people
write (``--set``, TOML).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from napari_al.errors import InputError
from napari_al.formats.dataset import ClassInfo
from napari_al.formats.image_rules import ImageRules
from napari_al.learning.networks.catalogue import (
    DEFAULT,
    DEFAULT_IF_SMALL,
    FEW_PX,
    SEGMENTERS,
    SMALL_PX,
)
from napari_al.methods.settings import (
    AcquisitionSettings,
    Fraction,
    Positive,
    RegionSettings,
    Settings,
    TargetSettings,
)
from napari_al.methods.table import Method
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION = 2
"""Of the project folder; raised when an older program could not read it any more."""

_DEFAULTS_IF_TRAINED = {
    "steps": 400,
    "learning_rate": 2e-3,
    "weight_decay": 1e-4,
    "keep_weights": True,
    "loss_weights": (16.0, 8.0, 1.0),
}
"""Of a segmenter that is trained as a whole; the fields have those of a frozen one."""
Confusions = dict[str, dict[str, Annotated[float, Field(ge=0)]]]
"""``{true class: {given class: weight}}`` by name; only the ratios within a row matter."""


class TrainingSettings(Settings):
    """One round's training."""

    segmenter: str = Field(
        DEFAULT,
        description="`napari-al methods --segmenters` lists them; default for images of up to "
        f"{SMALL_PX:,} pixels, {FEW_PX // 10**6} million in all: {DEFAULT_IF_SMALL}",
    )
    weights: str = Field(
        "pretrained",
        description="of a backbone: 'pretrained' (in a package, or fetched before with `napari-al "
        "download`), 'none', a folder in the hub's layout, or a hub id that was fetched",
    )
    frozen: bool = Field(
        True,
        description="leave the backbone as it is: rounds train an ensemble of small networks in "
        "seconds; default: true for efficientnet-lite and filters",
    )
    members: Annotated[int, Field(ge=1, le=64)] = Field(
        3, description="networks in the ensemble of a frozen segmenter"
    )
    noise: Annotated[float, Field(ge=0)] = Field(
        1.0, description="standard deviation of the noise on a frozen backbone's normalised maps"
    )
    steps: Positive = Field(
        150,
        description="of the optimiser; default if not frozen: 400. If frozen, with up to 400 "
        "labelled regions, and more with more",
    )
    batch_size: Positive = Field(8, description="crops a step; if frozen, 96 pixels for each")
    crop_px: Annotated[int, Field(ge=16)] = Field(
        352, description="side of a training crop; no larger than the largest image needs"
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(
        3e-3, description="the highest, of AdamW; default if not frozen: 0.002"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        1e-2, description="of AdamW; default if not frozen: 0.0001"
    )
    keep_weights: bool = Field(
        False,
        description="start each round from the last round's weights; default if not frozen: true",
    )
    temperature: Annotated[float, Field(gt=0)] = Field(0.1, description="of a cosine classifier")
    encodings_gb: Annotated[float, Field(ge=0)] = Field(
        4.0, description="disk for what a frozen encoder makes of the images; the oldest is dropped"
    )
    loss_weights: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0),
        description="multi-class loss: CE, merged positive, prototypical pixel; default if not "
        "frozen: 16, 8, 1, as the authors have them",
    )
    loss_pooling: Literal["region", "pixel"] = Field(
        "region",
        description="multi-class loss: mean over a region's pixels, then over regions (eq. 6, 7, "
        "9), or (the authors' code) over the pixels of the batch",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = Field(0, description="CPU threads; 0 = torch's choice")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_segmenter(cls, given: Any) -> Any:
        """Fill in what is not given and depends on whether the backbone is frozen."""
        if not isinstance(given, dict):
            return given
        info = SEGMENTERS.get(str(given.get("segmenter", cls.model_fields["segmenter"].default)))
        frozen = given.get("frozen", info is not None and info.frozen)
        always_frozen = info is not None and info.family == "filters"
        trained = {} if frozen is True or always_frozen else _DEFAULTS_IF_TRAINED
        return {**trained, "frozen": frozen, **given}


class OracleSettings(Settings):
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
    first_pair: bool = Field(
        True,
        description="precise: count a change of class between the first two pixels of a side; the "
        "authors' code does not: false",
    )


class InitialSettings(Settings):
    """Where the labels that correction methods start from come from (``--init``)."""

    source: Literal["initial_labels", "noisy", "model"] = Field(
        "initial_labels",
        description="'initial_labels': the data folder; 'noisy': ground truth with the classes of "
        "objects confused; 'model': predictions of a model trained on a few labelled images",
    )
    error_rate: Fraction = Field(0.3, description="noisy: share of objects whose class is confused")
    confusions: Confusions = Field({}, description="noisy: as of the oracle")
    n_images: Positive = Field(5, description="model: labelled images to train on")


class ProjectConfig(Settings):
    """All of ``config.json``."""

    version: int = VERSION
    data: str = Field(
        description="the data folder: absolute, or relative to the project folder",
        pattern=r"^[^\x00]+$",
    )
    classes: tuple[ClassInfo, ...]
    method: Method
    budget: Positive = Field(500, description="clicks a round")
    first_budgets: tuple[Positive, ...] = Field(
        (), description="clicks of the first rounds, one number each; later ones have 'budget'"
    )
    first_training: Positive | None = Field(
        None,
        description="answers that end round 1 if its budget is not spent before; null: none",
    )
    retrain_after: Positive | None = Field(
        None,
        description="live: answers that end each later round, which the window trains while it "
        "asks on; null: by rounds, which end when the budget is spent",
    )
    validate_every: Positive = Field(
        1,
        description="trainings from one validation to the next, the first one validated; a round "
        "without has no model mIoU",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    skip_broken: bool = False
    images: ImageRules = ImageRules()
    initial: InitialSettings = InitialSettings()
    regions: RegionSettings = RegionSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    targets: TargetSettings = TargetSettings()
    training: TrainingSettings = TrainingSettings()
    oracle: OracleSettings = OracleSettings()

    def validates(self, round_number: int) -> bool:
        """Whether the model of a round is measured on the validation images."""
        return round_number == 0 or (round_number - 1) % self.validate_every == 0

    def budget_of(self, round_number: int) -> int:
        """Clicks of a round, 1 = the first; 0, which asks nothing, has those of the first."""
        place = max(round_number, 1) - 1
        return self.first_budgets[place] if place < len(self.first_budgets) else self.budget


def _with_one_member(fields: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no ensembles: a project goes on as it began."""
    training = {"members": 1, "noise": 0.0, **fields.get("training", {})}
    return {**fields, "training": training}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _with_one_member}
"""What makes a ``config.json`` of version ``key`` one of version ``key + 1``."""


def write_config(path: Path, config: ProjectConfig) -> None:
    """Replace the file."""
    write_atomic(path, config.model_dump_json(indent=1).encode("utf-8"))


def read_config(path: Path, *, read_only: bool) -> ProjectConfig:
    """Read the file; one of an older version is brought up to date, unless that may not be.

    A copy of the older one stays beside it.

    Raises
    ------
    InputError
        If it is missing, damaged, of a newer version, or has a value that cannot be used.
    """
    try:
        text = path.read_bytes()
        fields = json.loads(text)
        version = fields["version"]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged or no config of napari-al; put a copy of it back"
        ) from error
    if type(version) is not int or version not in (*MIGRATIONS, VERSION):
        known = ", ".join(map(str, (*MIGRATIONS, VERSION)))
        raise InputError(
            f"{path} is of version {str(version)[:20]}, this napari-al reads {known}; update "
            "napari-al"
        )
    for older in range(version, VERSION):
        fields = {**MIGRATIONS[older](fields), "version": older + 1}
    config = _checked(fields, path)
    if version < VERSION and not read_only:
        write_atomic(path.with_name(f"config.v{version}.json"), text)
        write_config(path, config)
    return config


def _checked(fields: dict[str, Any], path: Path) -> ProjectConfig:
    try:
        return ProjectConfig.model_validate(fields)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} "
            f"(got {str(problem['input'])[:60]!r})"
            for problem in error.errors(include_url=False)[:3]
        ]
        raise InputError(f"{path}: {'; '.join(problems)}") from error
