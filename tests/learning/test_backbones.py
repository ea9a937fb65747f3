"""Segmenters on backbones of transformers: the real loading code, on tiny models."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from tiny_backbones import TINY, write_backbone

from napari_al.errors import InputError
from napari_al.learning.batches import Sample
from napari_al.learning.inference import encode, predict_encoded, predict_features
from napari_al.learning.networks.catalogue import IMAGENET, SEGMENTERS
from napari_al.learning.networks.pretrained import download, find_weights
from napari_al.learning.normalisation import input_normalisation
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.training import TrainSettings, train
from napari_al.learning.weights import encoder_fingerprint, load_segmenter, save_segmenter
from napari_al.methods.loss import loss_function

pytest.importorskip("transformers")
CPU = torch.device("cpu")


@cache
def folder(name: str) -> Path:
    return write_backbone(name, Path(mkdtemp(prefix="tiny-")))


def segmenter(name: str, n_channels: int = 3, **changes):
    arguments = {
        "mean": [100.0] * n_channels,
        "std": [50.0] * n_channels,
        "seed": 0,
        "backbone": folder(name),
    }
    return build_segmenter(name, n_channels, 4, **(arguments | changes))


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    ("n_channels", "height", "width", "classifier"),
    [(1, 1, 1, "linear"), (3, 47, 65, "cosine"), (5, 96, 33, "linear")],
)
def test_any_size_and_channel_count(name, frozen, n_channels, height, width, classifier):
    model = segmenter(name, n_channels, frozen=frozen, classifier=classifier)
    image = np.random.default_rng(0).integers(0, 255, (height, width, n_channels), np.uint8)
    probs, features = predict_features(model, image, CPU)
    torch.testing.assert_close(probs.sum(dim=0), torch.ones(height, width))
    stride = model.stride
    assert features.shape == (model.trunk.n_features, -(-height // stride), -(-width // stride))
    if frozen:
        maps = encode(model, image, CPU)
        again = predict_encoded(model, maps, (height, width), CPU)
        torch.testing.assert_close(again[0], probs)


@pytest.mark.parametrize("name", TINY)
def test_encoding_leaves_a_network_alone_that_another_thread_may_be_training(name, monkeypatch):
    model = segmenter(name, frozen=True)

    def touched(*_):
        raise AssertionError("moved, or put into another mode")

    monkeypatch.setattr(torch.nn.Module, "_apply", touched)  # resets gradients, even of the head
    monkeypatch.setattr(torch.nn.Module, "train", touched)
    maps = encode(model, np.zeros((40, 50, 3), np.uint8), CPU)
    assert all(part.isfinite().all() for part in maps)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_saved_model_needs_neither_hub_nor_folder(name, frozen, tmp_path):
    made = write_backbone(name, tmp_path / "backbone")
    model = segmenter(name, 5, frozen=frozen, backbone=made, classifier="cosine")
    shutil.rmtree(made)
    save_segmenter(tmp_path / "model.safetensors", model, {})
    loaded = load_segmenter(tmp_path / "model.safetensors")
    images = torch.rand(2, 5, 40, 50) * 255
    assert torch.equal(loaded.eval()(images), model.eval()(images))
    assert (loaded.frozen is not None) == frozen
    if frozen:
        assert encoder_fingerprint(loaded) == encoder_fingerprint(model)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("frozen", [False, True])
def test_trains_what_may_learn(name, frozen):
    model = segmenter(name, frozen=frozen)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rng = np.random.default_rng(0)
    sample = Sample(
        rng.integers(0, 255, (50, 60, 3), np.uint8), rng.integers(0, 4, (50, 60), np.uint8)
    )
    outcome = train(
        model,
        1,
        lambda index: sample,
        TrainSettings(2, 1, 32, 1e-2, 0.0, loss_function("cross-entropy")),
        seed=0,
        device=CPU,
        on_step=lambda step: None,
        should_stop=lambda: False,
    )
    assert outcome.finished
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    backbone = {key for key in before if ".backbone." in key}
    assert changed - backbone
    assert bool(changed & backbone) != frozen


def test_the_deepest_map_of_deeplab_is_at_stride_16():
    for name in ("deeplabv3plus-resnet50", "deeplabv3plus-mobilenetv2"):
        low, high = segmenter(name).backbone(torch.rand(1, 3, 64, 96))
        assert low.shape[2:] == (16, 24)
        assert high.shape[2:] == (4, 6)


def test_dilation_keeps_the_weights_in_their_places():
    """A constant image says the same with and without it, but for the border."""
    from transformers import AutoModel

    plain = AutoModel.from_pretrained(folder("deeplabv3plus-resnet50")).eval()
    dilated = segmenter("deeplabv3plus-resnet50").eval().backbone
    images = torch.full((1, 3, 512, 512), 0.7)
    with torch.no_grad():
        expected = plain(images).last_hidden_state[0, :, 8, 8]
        torch.testing.assert_close(dilated(images)[1][0, :, 16, 16], expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_grey_images_answer_as_grey_rgb_images(name):
    grey = torch.rand(1, 1, 56, 112) * 255
    one, three = segmenter(name, 1).eval().backbone, segmenter(name, 3).eval().backbone
    for few, many in zip(one(grey), three(grey.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(few, many, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_random_weights_are_drawn_from_the_seed(name):
    config = segmenter(name).backbone.config
    first, again, other = (segmenter(name, backbone=config, seed=seed) for seed in (1, 1, 2))
    weights = [
        torch.cat([p.flatten() for p in m.backbone.parameters()]) for m in (first, again, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_table_says_how_large_they_are():
    for name, info in SEGMENTERS.items():
        with torch.device("meta"):
            model = build_segmenter(
                name, 3, 4, mean=[0.0] * 3, std=[1.0] * 3, seed=0, frozen=info.frozen
            )
        encoder = model.backbone or model
        n_million = sum(part.numel() for part in encoder.parameters()) / 1e6
        assert n_million == pytest.approx(info.n_million, abs=0.1), name


def test_input_is_scaled_as_the_backbone_knows_it_where_it_is_8_bit_rgb():
    info, rgb = SEGMENTERS["segformer-b0"], np.full((4, 5, 3), 7, np.uint8)
    mean, std = input_normalisation(info, [rgb], pretrained=True)
    np.testing.assert_allclose(np.array([mean, std]) / 255, IMAGENET)
    for image, pretrained in ((rgb, False), (rgb[..., :2], True), (rgb.astype(np.uint16), True)):
        mean, _ = input_normalisation(info, iter([image]), pretrained=pretrained)
        assert mean == [7.0] * image.shape[2]


# ---- where weights come from


def test_a_folder_or_nothing_or_what_was_fetched(monkeypatch, tmp_path):
    name = "dinov2-small"
    assert find_weights("compact", "pretrained") is None
    assert find_weights(name, "none") is None
    assert find_weights(name, str(folder(name))) == folder(name)
    snapshot = tmp_path / "models--facebook--dinov2-small" / "snapshots" / "abc"
    shutil.copytree(folder(name), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for weights in ("pretrained", "facebook/dinov2-small"):
        assert find_weights(name, weights) == snapshot


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("pretrained", "napari-al download dinov2-small.*training.weights=FOLDER"),
        ("someone/something", "napari-al download someone/something"),
        ("no/such/folder", "expected pretrained, none, a folder"),
        ("EMPTY", "no config.json"),
        ("PICKLE", "pickle.*save_pretrained"),
    ],
)
def test_weights_that_are_not_here(weights, message, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    if weights in ("EMPTY", "PICKLE"):
        made = tmp_path / weights
        made.mkdir()
        if weights == "PICKLE":
            (made / "config.json").write_text("{}")
            (made / "pytorch_model.bin").write_bytes(b"")
        weights = str(made)
    with pytest.raises(InputError, match=message):
        find_weights("dinov2-small", weights)


def test_download_says_what_to_do_without_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"training\.weights=FOLDER"):
        download("dinov2-small")
    with pytest.raises(InputError, match="nothing to download"):
        download("compact")
    with pytest.raises(InputError, match="neither a hub id"):
        download("dinov2")


def test_missing_transformers(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'napari-al\[transformers\]'"):
        find_weights("dinov2-small", "none")


def test_weights_of_another_network(tmp_path):
    with pytest.raises(InputError, match=r"type 'dinov2'.*'resnet'"):
        segmenter("deeplabv3plus-resnet50", backbone=folder("dinov2-small"))
    made = write_backbone("dinov2-small", tmp_path / "cut")
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match="lacks"):
        segmenter("dinov2-small", backbone=made)
    (made / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(InputError, match="cannot be loaded"):
        segmenter("dinov2-small", backbone=made)


def test_compact_cannot_be_frozen():
    with pytest.raises(InputError, match="compact learns as a whole"):
        build_segmenter("compact", 3, 4, mean=[0.0] * 3, std=[1.0] * 3, seed=0, frozen=True)


# ---- headers that somebody else wrote


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 10**9},
        {"hidden_size": 32},
        {"hidden_size": -16},
        {"hidden_size": "16"},
        {"num_hidden_layers": 10**6},
        {"num_hidden_layers": 1},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"patch_size": 0},
        {"image_size": 10**5},
        {"hidden_act": "no_such_function"},
        {"layer_norm_eps": True},
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"_attn_implementation": "someone/kernel"},
    ],
)
def test_forged_configs_are_refused(change, tmp_path):
    path = tmp_path / "model.safetensors"
    model = segmenter("dinov2-small")
    model.backbone.config = model.backbone.config | change
    save_segmenter(path, model, {})
    with pytest.raises(InputError):
        load_segmenter(path)


@pytest.mark.parametrize("forged", ['"/etc"', "[]", "3", "{}", "{", "[" * 10**5])
def test_forged_headers_are_refused(forged, tmp_path):
    path = tmp_path / "model.safetensors"
    save_segmenter(path, segmenter("dinov2-small"), {})
    content = path.read_bytes()
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    header["__metadata__"]["backbone"] = forged
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + n_header :])
    with pytest.raises(InputError):
        load_segmenter(path)
