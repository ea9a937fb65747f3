"""The real loading and inference code on tiny models; transformers' own processors as reference."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_al.errors import InputError
from napari_al.learning.grounded_sam import Detector, MaskMaker, Preparation
from napari_al.learning.networks.hub import find_model

if TYPE_CHECKING:
    from pathlib import Path

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")
PHRASES = [(0, "sky"), (2, "traffic light"), (2, "car"), (1, "traffic sign")]
BOXES = np.array([[3, 4, 40, 30], [10, 0, 79, 49], [60.5, 20.25, 70, 45]], np.float32)


def processor_of_pillow(name: str) -> Any:
    """Return the one that needs no torchvision, as transformers 5 calls it, or as 4 does."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (5, 8, 3))
    return np.kron(coarse, np.ones((10, 10, 1))).astype(np.uint8)


def test_boxes_are_those_of_transformers_own_processor(
    hub_folders: Path, image: np.ndarray
) -> None:
    folder = hub_folders / "dino"
    found = Detector(folder, CPU).find(image, PHRASES, 0.0)
    processor = transformers.GroundingDinoProcessor(
        processor_of_pillow("GroundingDinoImageProcessor").from_pretrained(folder),
        transformers.AutoTokenizer.from_pretrained(folder),
    )
    text = "sky. traffic light. car. traffic sign."
    inputs = processor(images=image, text=text, return_tensors="pt")
    model = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = model(**inputs)
    (expected,) = processor.post_process_grounded_object_detection(
        outputs, inputs["input_ids"], threshold=0.0, target_sizes=[image.shape[:2]]
    )
    np.testing.assert_allclose(found.xyxy, expected["boxes"], atol=1e-3)
    assert (found.scores <= expected["scores"].numpy() + 1e-6).all(), "full stops do not compete"
    assert set(found.class_ids.tolist()) <= {0, 1, 2}
    assert len(set(found.class_ids.tolist())) > 1


def test_a_higher_threshold_keeps_fewer(hub_folders: Path, image: np.ndarray) -> None:
    detector = Detector(hub_folders / "dino", CPU)
    every = detector.find(image, PHRASES, 0.0)
    middle = float(np.median(every.scores))
    some = detector.find(image, PHRASES, middle)
    np.testing.assert_array_equal(some.xyxy, every.xyxy[every.scores > middle])
    assert detector.find(image, PHRASES, 0.9999999).xyxy.shape == (0, 4)


def test_more_words_than_a_prompt_holds_go_into_several(
    hub_folders: Path, image: np.ndarray
) -> None:
    detector = Detector(hub_folders / "dino", CPU)
    many = [(i, word) for i, word in enumerate(["sky", "car", "van", "ground"] * 4)]
    parts = list(detector._prompts(many))
    assert [phrase for part in parts for phrase in part] == many
    assert len(parts) == 2
    assert len(detector.find(image, many, 0.0).xyxy) == 24


def test_masks_are_those_of_transformers_own_processor(
    hub_folders: Path, image: np.ndarray
) -> None:
    folder = hub_folders / "sam"
    masks = np.stack(list(MaskMaker(folder, CPU).masks(image, BOXES)))
    sizes = json.loads((folder / "preprocessor_config.json").read_text())
    processor = transformers.SamProcessor(processor_of_pillow("SamImageProcessor")(**sizes))
    inputs = processor(image, input_boxes=[BOXES.tolist()], return_tensors="pt")
    model = transformers.SamModel.from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = model(**inputs, multimask_output=False)
    (expected,) = processor.image_processor.post_process_masks(
        outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"],
        pad_size=sizes["pad_size"],
    )  # fmt: skip
    assert masks.shape == (3, *image.shape[:2])
    assert 0.05 < masks.mean() < 0.95
    assert (masks == expected[:, 0].numpy()).mean() > 0.999


@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_a_mask_for_each_box_in_order(
    hub_folders: Path, image: np.ndarray, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = MaskMaker(hub_folders / name, CPU)
    masks = list(maker.masks(image, BOXES))
    assert [mask.shape for mask in masks] == [image.shape[:2]] * 3
    assert not np.array_equal(masks[0], masks[1])
    monkeypatch.setattr("napari_al.learning.grounded_sam._BOXES_AT_ONCE", 2)
    for mask, box in zip(masks, BOXES, strict=True):
        (alone,) = maker.masks(image, box[None])
        assert (alone == mask).mean() > 0.999
    assert list(maker.masks(image, np.empty((0, 4), np.float32))) == []


@pytest.mark.parametrize("size", [(375, 500), (1024, 2048), (640, 480), (90, 2000), (7, 5)])
def test_images_are_resized_as_transformers_does(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    image[: size[0] // 2] = 200
    for processor in (
        processor_of_pillow("SamImageProcessor")(),
        processor_of_pillow("GroundingDinoImageProcessor")(),
    ):
        fields = processor.to_dict()
        pad = fields.get("pad_size") and tuple(fields["pad_size"].values())
        mean, std = tuple(fields["image_mean"]), tuple(fields["image_std"])
        preparation = Preparation(dict(fields["size"]), pad, mean, std)
        expected = processor(image, return_tensors="pt")["pixel_values"]
        pixels, (height, width) = preparation(image)
        assert np.abs(np.subtract(pixels.shape, expected.shape)).max() <= 1
        if pixels.shape == expected.shape:
            torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=0)
        assert pixels[..., height:, :].abs().sum() == pixels[..., width:].abs().sum() == 0


def test_preparation_is_found_where_newer_versions_write_it(
    hub_folders: Path, tmp_path: Path
) -> None:
    found = json.loads((hub_folders / "sam" / "preprocessor_config.json").read_text())
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": found}))
    assert Preparation.read(tmp_path) == Preparation.read(hub_folders / "sam")


# ---- what cannot be loaded


def without(name: str):
    def damage(folder: Path) -> None:
        (folder / name).unlink()

    return damage


def with_text(name: str, text: str):
    def damage(folder: Path) -> None:
        (folder / name).write_text(text)

    return damage


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).unlink()


def without_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.level_embed"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("config.json"), "config.json"),
        (with_text("config.json", '{"model_type": "bert"}'), "type 'bert'; expected grounding"),
        (with_text("model.safetensors", "nonsense"), "could not be loaded"),
        (without("model.safetensors"), "could not be loaded"),
        (without_a_weight, "lack 1 parts of the model, model.level_embed"),
        (without("preprocessor_config.json"), "how images are prepared"),
        (with_text("preprocessor_config.json", '{"size": {"depth": 3}}'), "how images are"),
        (without_tokenizer, "tokenizer"),
    ],
)
def test_a_folder_that_is_no_detector_is_named(
    hub_folders: Path, tmp_path: Path, damage, message: str
) -> None:
    folder = shutil.copytree(hub_folders / "dino", tmp_path / "dino")
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        Detector(folder, CPU)
    assert str(folder) in str(caught.value)


def test_a_detector_is_no_mask_maker(hub_folders: Path) -> None:
    with pytest.raises(InputError, match="expected sam or sam2"):
        MaskMaker(hub_folders / "dino", CPU)


def test_pickled_weights_are_not_read(hub_folders: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(hub_folders / "sam", tmp_path / "sam")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for read in (lambda: find_model(str(folder)), lambda: MaskMaker(folder, CPU)):
        with pytest.raises(InputError, match="safetensors"):
            read()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody/nothing", "napari-al download nobody/nothing"),
        ("no folder", "a folder that is there, or a hub id"),
        ("../up", "a folder that is there, or a hub id"),
        (".", "no config.json"),
    ],
)
def test_models_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_model(name)


def test_a_model_in_the_hubs_cache_is_found_by_its_id(
    hub_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--some--sam" / "snapshots" / "0123"
    shutil.copytree(hub_folders / "sam", snapshot)
    (tmp_path / "models--some--sam" / "refs").mkdir()
    (tmp_path / "models--some--sam" / "refs" / "main").write_text("0123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_model("some/sam") == snapshot


def test_without_transformers_it_says_what_to_install(
    hub_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"napari-al\[transformers\]"):
        MaskMaker(hub_folders / "sam", CPU)
