"""Labels to correct, from the names of the classes or by a model: ``napari-al pseudo-label``.

Makes a second data folder (`pseudo_label_files`): for each training image the initial labels and
object masks that Grounded-SAM finds, or the labels that a trained model predicts. Large pictures
and stacks are labelled part by part. The same work started again goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_al.core import IGNORE
from napari_al.core.grounding import paint, phrases_of
from napari_al.errors import InputError
from napari_al.formats.classes import (
    ClassInfo,
    default_classes,
    read_classes,
)
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.tools.output_folder import output_folder
from napari_al.tools.pseudo_label_files import LabelledFolder
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from napari_al.learning.grounded_sam import Detector, MaskMaker
    from napari_al.learning.segmenter import Segmenter
    from napari_al.tools.trained_model import Model

RECORD: Final = "pseudo-labels.json"
"""What a data folder's initial labels were made with."""
_RULES: Final = ImageRules(block_px=4096)
"""No picture that can be read as a whole is cut into blocks."""
_CHANGES_NOTHING: Final = {"out", "device", "fetch"}


class PseudoLabelling(BaseModel):
    """What to make initial labels of, and how.

    Attributes
    ----------
    data, out : str
        The data folder, and the new one.
    classes : tuple of ClassInfo
        () = those of ``model``.
    model : str or None
        A trained model in the place of Grounded-SAM: a file, a project or an exported folder. Its
        classes are found among ``classes`` by their names.
    fetch : bool
        Fetch a detector and a mask maker that are not on this machine: the one thing here that
        uses the network.
    background : str or None
        The class of all that nothing was found in, which is not looked for; None: no label there.
    words : dict of str to str
        Words to look for a class by, in place of its name; full stops part several.
    detector, mask_maker : str
        Grounding DINO, and SAM or SAM 2: folders or hub ids.
    box_threshold : float
        Boxes that score no higher are dropped (ALC: 0.2).
    device : {"auto", "cpu", "cuda"}
    skip_broken : bool
        Leave out images that cannot be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    out: str
    classes: tuple[ClassInfo, ...]
    model: str | None = None
    fetch: bool = False
    background: str | None = None
    words: dict[str, str] = {}
    detector: str = "IDEA-Research/grounding-dino-tiny"
    mask_maker: str = "facebook/sam-vit-huge"
    box_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    skip_broken: bool = False


def pseudo_label(
    args: dict[str, Any],
    progress: Callable[[JobProgress], None],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Make initial labels; a job (see ``job_function.py``).

    Parameters
    ----------
    args : dict
        The fields of `PseudoLabelling`.

    Returns
    -------
    dict
        ``n_images``; ``n_made``, those labelled now; ``n_empty``, those of them in which nothing
        was found.

    Raises
    ------
    InputError
        If something named cannot be used.
    """
    work = _parsed(args)
    model = None if work.model is None else open_model(Path(work.model))
    if model is not None and not work.classes:
        work = work.model_copy(update={"classes": model.classes})
    data = DataFolder.open(
        Path(work.data), skip_broken=work.skip_broken, classes=work.classes, rules=_RULES
    )
    _check(work, data)
    out = Path(work.out)
    record = work.model_dump(mode="json", exclude=_CHANGES_NOTHING)
    record["data"] = str(data.path.resolve())
    progress(JobProgress("loading", 0, 1))
    labeller: _Labeller | _ModelLabeller
    if model is None:
        labeller = _Labeller.load(work)
    else:
        labeller = _ModelLabeller.of(model, work, data)
        record["model"] = model.fingerprint
    with output_folder(out, RECORD, record):
        folder = LabelledFolder(out, data, work.classes)
        folder.begin()
        waiting, n_total, n_empty = folder.waiting(), len(data.train), 0
        for n_before, name in enumerate(waiting, start=n_total - len(waiting)):
            if should_stop():
                raise Stopped
            progress(JobProgress("pseudo-labels", n_before, n_total))
            if _is_block_without_data(data, name):
                labels = np.full(data.shape(name), IGNORE, np.uint8)
                objects = None if model else np.zeros(labels.shape, np.int32)
            else:
                labels, objects = labeller.label(data, name)
            folder.write(name, labels, objects)
            n_empty += objects is not None and not objects.any()
        folder.end()
    progress(JobProgress("pseudo-labels", n_total, n_total))
    return {"n_images": n_total, "n_made": len(waiting), "n_empty": n_empty}


def _is_block_without_data(data: DataFolder, name: str) -> bool:
    """Whether an image is an empty part of a picture; a picture without data is refused."""
    valid = None if data.part(name) is None else data.valid(name)
    return valid is not None and not valid.any()


def classes_named(names: str | None, data: Path) -> tuple[ClassInfo, ...]:
    """Return the classes of ``"sky, road, car"``, of a ``classes.json``, or (None) of a folder.

    Raises
    ------
    InputError
        If there are none.
    """
    if names is not None and not names.endswith(".json"):
        return default_classes([name.strip() for name in names.split(",")])
    path = Path(names) if names is not None else data / "classes.json"
    if names is None and data.is_dir() and not path.exists():
        raise InputError(f"{data} has no classes.json; name the classes, e.g. --classes sky,road")
    return read_classes(path)


@dataclass(frozen=True)
class _Labeller:
    """Loaded models and what they look for."""

    detector: Detector
    mask_maker: MaskMaker
    phrases: tuple[tuple[int, str], ...]
    uncovered: int
    box_threshold: float

    @classmethod
    def load(cls, work: PseudoLabelling) -> _Labeller:
        """Load the models."""
        from napari_al.learning.devices import resolve_device
        from napari_al.learning.grounded_sam import Detector, MaskMaker
        from napari_al.learning.networks.hub import HUB_ID, fetch, find_model

        device = resolve_device(work.device)
        detector, mask_maker = (
            fetch(name) if work.fetch and HUB_ID.fullmatch(name) and not Path(name).is_dir()
            else find_model(name)
            for name in (work.detector, work.mask_maker)
        )  # fmt: skip
        return cls(
            Detector(detector, device),
            MaskMaker(mask_maker, device),
            _phrases(work),
            next((c.id for c in work.classes if c.name == work.background), IGNORE),
            work.box_threshold,
        )

    def label(self, data: DataFolder, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Labels (H, W) and object ids, 0 = none, of an image."""
        rgb = as_rgb8(data.image(name))
        boxes = self.detector.find(rgb, self.phrases, self.box_threshold)
        masks = self.mask_maker.masks(rgb, boxes.xyxy)
        return paint(masks, boxes.class_ids.tolist(), data.shape(name), self.uncovered)


@dataclass(frozen=True)
class _ModelLabeller:
    """A trained model, and which class each of its classes is."""

    segmenter: Segmenter
    device: torch.device
    class_of: NDArray[np.uint8]

    @classmethod
    def of(cls, model: Model, work: PseudoLabelling, data: DataFolder) -> _ModelLabeller:
        """Find the model's classes by their names.

        Raises
        ------
        InputError
            If one is not there, or the images are not such as the model was trained on.
        """
        from napari_al.learning.devices import resolve_device

        if data.n_channels != model.segmenter.n_channels:
            raise InputError(
                f"{model.file} was trained on images of {model.segmenter.n_channels} channels; "
                f"these have {data.n_channels}"
            )
        ids = {c.name: c.id for c in work.classes}
        unknown = [c.name for c in model.classes if c.name not in ids]
        if unknown:
            raise InputError(
                f"{model.file} predicts {unknown[0]!r}, and the classes are {', '.join(ids)}: name "
                "all of its classes alike, or leave the classes to it"
            )
        class_of = np.array([ids[c.name] for c in model.classes], np.uint8)
        return cls(model.segmenter, resolve_device(work.device), class_of)

    def label(self, data: DataFolder, name: str) -> tuple[NDArray[np.uint8], None]:
        """Labels (H, W) of an image; their connected parts will be the objects."""
        from napari_al.learning.inference import class_map_of, predict_probs

        probs = predict_probs(self.segmenter, data.in_place(name), self.device)
        return self.class_of[class_map_of(probs)], None


def as_rgb8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Make an image (H, W, 1 or 3) what detectors know: RGB of 8 bits.

    Values of other types are spread so that all but 0.1 % at each end fit.
    """
    if image.dtype != np.uint8:
        low, high = np.percentile(image, (0.1, 99.9))
        scaled = (image.astype(np.float32) - low) / max(high - low, 1e-9) * 255
        image = scaled.clip(0, 255).round().astype(np.uint8)
    rgb: NDArray[np.uint8] = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return rgb


# ---- checks


def _parsed(args: dict[str, Any]) -> PseudoLabelling:
    try:
        return PseudoLabelling.model_validate(args)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(map(str, problem["loc"]))
        raise InputError(f"{name}: {problem['msg']}, got {problem['input']!r}") from error


def _check(work: PseudoLabelling, data: DataFolder) -> None:
    names = [c.name for c in work.classes]
    unknown = [name for name in (work.background, *work.words) if name and name not in names]
    if unknown:
        raise InputError(f"there is no class {unknown[0]!r}; the classes are {', '.join(names)}")
    if not _phrases(work):
        raise InputError("there is no class to look for")
    if work.model is None and data.n_channels not in (1, 3):
        raise InputError(
            f"the images have {data.n_channels} channels; Grounded-SAM takes grey or RGB images"
        )
    known = data.path / "classes.json"
    has_labels = data.has_val or data.has_some("labels")
    if has_labels and known.exists() and [c.name for c in read_classes(known)] != names:
        raise InputError(
            f"{data.path} has labels of the classes in its classes.json; leave --classes out, or "
            "give the same ones"
        )
    inside, around = Path(work.out).resolve(), data.path.resolve()
    if inside.is_relative_to(around):
        raise InputError(f"{work.out} lies in the data folder, which is not written to")


def _phrases(work: PseudoLabelling) -> tuple[tuple[int, str], ...]:
    return tuple(
        (c.id, phrase)
        for c in work.classes
        if c.name != work.background
        for phrase in phrases_of(work.words.get(c.name, c.name))
    )
