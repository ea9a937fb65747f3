"""Grounded-SAM: find objects by class names and segment them.

Grounding DINO finds boxes for words, SAM or SAM 2 makes a mask of each box. Both are read from
folders in the model hub's layout (config, safetensors, tokenizer, ``preprocessor_config.json``)
through transformers, without the network. Images are preprocessed here because transformers' image
processors need torchvision.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from napari_al.core.grounding import detections, prompt, token_classes
from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Phrases = Sequence[tuple[int, str]]

DETECTORS: Final = ("grounding-dino", "mm-grounding-dino")
MASK_MAKERS: Final = ("sam", "sam2", "sam2_video")
"""Model types, as ``config.json`` names them."""

_BOXES_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Boxes:
    """Objects found in an image.

    Attributes
    ----------
    xyxy : (N, 4) float32
        Left, top, right, bottom in pixels.
    class_ids : (N,) uint8
    scores : (N,) float32
        0 to 1.
    """

    xyxy: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    scores: NDArray[np.float32]


class Detector:
    """Grounding DINO.

    Parameters
    ----------
    folder : Path
    device : torch.device

    Raises
    ------
    InputError
        If the folder holds no such model.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._model = _load(folder, DETECTORS, "AutoModelForZeroShotObjectDetection").to(device)
        self._tokenizer = _load_tokenizer(folder)
        self._preparation = Preparation.read(folder)
        self._device = device

    @torch.no_grad()
    def find(self, image: NDArray[np.uint8], phrases: Phrases, threshold: float) -> Boxes:
        """Find objects by words.

        Parameters
        ----------
        image : (H, W, 3) uint8
        phrases : sequence of (class id, phrase)
            They share a prompt, or several if they are too many for one.
        threshold : float
            A box's score has to be larger.
        """
        pixels, _ = self._preparation(image)
        pixels = pixels.to(self._device)
        found = [self._find(pixels, part, threshold) for part in self._prompts(phrases)]
        boxes = np.concatenate([part.xyxy for part in found])
        height, width = image.shape[:2]
        return Boxes(
            boxes * np.array([width, height, width, height], np.float32),
            np.concatenate([part.class_ids for part in found]),
            np.concatenate([part.scores for part in found]),
        )

    def _prompts(self, phrases: Phrases) -> Iterator[Phrases]:
        """Split phrases so that each part's tokens fit into a prompt."""
        room = self._model.config.max_text_len
        part: list[tuple[int, str]] = []
        for phrase in phrases:
            text, _ = prompt([*part, phrase])
            if part and len(self._tokenizer(text)["input_ids"]) > room:
                yield part
                part = []
            part.append(phrase)
        yield part

    def _find(self, pixels: Tensor, phrases: Phrases, threshold: float) -> Boxes:
        """Find objects by one prompt; boxes are shares of the image's sides."""
        text, spans = prompt(phrases)
        tokens = self._tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        offsets = tokens.pop("offset_mapping")[0].tolist()
        output = self._model(pixel_values=pixels, **tokens.to(self._device))
        scores = output.logits[0, :, : len(offsets)].sigmoid().cpu().numpy()
        found = detections(scores, token_classes(offsets, spans), threshold)
        boxes = output.pred_boxes[0].cpu().numpy()[found.queries]
        corners = np.concatenate(
            [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1
        )
        return Boxes(corners, found.class_ids, found.scores)


class MaskMaker:
    """SAM or SAM 2.

    Parameters
    ----------
    folder : Path
    device : torch.device

    Raises
    ------
    InputError
        If the folder holds no such model.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._model = _load(folder, MASK_MAKERS, "AutoModelForMaskGeneration").to(device)
        self._preparation = Preparation.read(folder)
        self._device = device

    def masks(
        self, image: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32]
    ) -> Iterator[NDArray[np.bool_]]:
        """Make one (H, W) mask of each box (N, 4), in pixels, of an image (H, W, 3) uint8."""
        if not len(boxes_xyxy):
            return
        height, width = image.shape[:2]
        pixels, (inner_height, inner_width) = self._preparation(image)
        embeddings = self._embed(pixels)
        scale = np.tile([inner_width / width, inner_height / height], 2)
        boxes = torch.from_numpy((boxes_xyxy * scale).astype(np.float32)).to(self._device)
        padded = pixels.shape[-2:]
        for part in torch.split(boxes, _BOXES_AT_ONCE):
            logits = self._decode(embeddings, part)
            if padded != (inner_height, inner_width):
                whole = F.interpolate(logits, padded, mode="bilinear", align_corners=False)
                logits = whole[..., :inner_height, :inner_width]
            for one in logits:  # one at a time: each logit map has the image's size
                mask = F.interpolate(one[None], (height, width), mode="bilinear")[0, 0] > 0
                yield mask.cpu().numpy()

    @torch.no_grad()
    def _embed(self, pixels: Tensor) -> Any:
        return self._model.get_image_embeddings(pixels.to(self._device))

    @torch.no_grad()
    def _decode(self, embeddings: Any, boxes: Tensor) -> Tensor:
        """(N, 1, h, w) logits of boxes (N, 4)."""
        output = self._model(
            image_embeddings=embeddings, input_boxes=boxes[None], multimask_output=False
        )
        logits: Tensor = output.pred_masks[0]
        return logits.float()


@dataclass(frozen=True)
class Preparation:
    """A network's image preprocessing, as configured in ``preprocessor_config.json``.

    Attributes
    ----------
    size : dict
        ``{"height", "width"}``: these; ``{"longest_edge"}`` and perhaps ``{"shortest_edge"}``: as
        large as both allow.
    pad : (int, int) or None
        Height and width to fill up to, below and on the right.
    mean, std : tuple of float
        Of each channel, for values from 0 to 1.
    """

    size: dict[str, int]
    pad: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, folder: Path) -> Preparation:
        """Read it from a folder in the hub's layout.

        Raises
        ------
        InputError
            If it is not there or says something else.
        """
        path = folder / "preprocessor_config.json"
        try:
            if path.exists():
                found = json.loads(path.read_bytes())
            else:  # as newer versions of transformers write it
                path = folder / "processor_config.json"
                found = json.loads(path.read_bytes())["image_processor"]
            size = {key: int(value) for key, value in found["size"].items() if value}
            if size.keys() not in (
                {"height", "width"},
                {"longest_edge"},
                {"longest_edge", "shortest_edge"},
            ):
                raise ValueError(f"size {size}")
            pad = found.get("pad_size")
            return cls(
                size,
                (int(pad["height"]), int(pad["width"])) if pad else None,
                tuple(map(float, found["image_mean"])),
                tuple(map(float, found["image_std"])),
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} does not say how images are prepared ({error}); take all files of the "
                "model's page on the hub"
            ) from error

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """Preprocess an image (H, W, 3) uint8.

        Returns
        -------
        pixels : Tensor
            (1, 3, h, w) float32.
        inner : (int, int)
            Height and width of the image in it, without what was filled up.
        """
        height, width = self.resized(image.shape[0], image.shape[1])
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        scaled = np.asarray(small, np.float32) / 255
        normalised = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        pixels = torch.from_numpy(normalised.transpose(2, 0, 1).copy())[None]
        if self.pad is not None:
            pixels = F.pad(pixels, (0, self.pad[1] - width, 0, self.pad[0] - height))
        return pixels, (height, width)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which an image is resized."""
        if "height" in self.size:
            return self.size["height"], self.size["width"]
        scale = self.size["longest_edge"] / max(height, width)
        if "shortest_edge" in self.size:
            scale = min(scale, self.size["shortest_edge"] / min(height, width))
        return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


# ---- loading


def _load(folder: Path, model_types: tuple[str, ...], auto_class: str) -> Any:
    """Load a model in evaluation mode, on the CPU."""
    try:
        model_type = json.loads((folder / "config.json").read_bytes())["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder} has no config.json of a model ({error})") from error
    if model_type not in model_types:
        raise InputError(
            f"{folder} holds a model of type {model_type!r}; expected {' or '.join(model_types)}"
        )
    transformers = _transformers()
    bars = transformers.utils.logging
    shows_bars = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # of a second, between those of the images
    try:
        model, loaded = getattr(transformers, auto_class).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (
        OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, SafetensorError
    ) as error:  # fmt: skip
        raise InputError(f"the model in {folder} could not be loaded ({error})") from error
    finally:
        if shows_bars:
            bars.enable_progress_bar()
    if loaded["missing_keys"]:
        raise InputError(
            f"the weights in {folder} lack {len(loaded['missing_keys'])} parts of the model, "
            f"{sorted(loaded['missing_keys'])[0]} among them; take all files of its page on the hub"
        )
    return model.eval()


def _load_tokenizer(folder: Path) -> Any:
    try:
        if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
            raise OSError("there is no tokenizer.json or vocab.txt")  # one without words would load
        return _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"the tokenizer in {folder} could not be loaded ({error}); take all files of the "
            "model's page on the hub"
        ) from error


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "Grounded-SAM needs transformers: pip install 'napari-al[transformers]'"
        ) from error
    return transformers
