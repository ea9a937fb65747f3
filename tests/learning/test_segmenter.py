from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_al.errors import InputError
from napari_al.learning.devices import resolve_device
from napari_al.learning.inference import predict_features, predict_probs
from napari_al.learning.networks.resampling import upsample
from napari_al.learning.segmenter import Segmenter, build_segmenter

CPU = torch.device("cpu")
WITHOUT_BACKBONE = ("compact", "filters")  # the others: test_backbones.py


def segmenter(
    name: str = "compact", n_channels: int = 3, n_classes: int = 4, **changes
) -> Segmenter:
    arguments = {"mean": [100.0] * n_channels, "std": [50.0] * n_channels, "seed": 0} | changes
    return build_segmenter(name, n_channels, n_classes, **arguments)


@pytest.mark.parametrize("name", WITHOUT_BACKBONE)
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
@pytest.mark.parametrize(
    ("n_channels", "height", "width"), [(1, 1, 1), (3, 17, 33), (5, 64, 31), (2, 1, 70)]
)
def test_any_size_and_channel_count(name, classifier, n_channels, height, width):
    model = segmenter(name, n_channels, classifier=classifier)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60000, (height, width, n_channels), np.uint16)
    probs, features = predict_features(model, image, CPU)
    assert probs.shape == (4, height, width)
    assert probs.dtype == torch.float32
    torch.testing.assert_close(probs.sum(dim=0), torch.ones(height, width))
    assert features.shape[1:] == (-(-height // model.stride), -(-width // model.stride))
    logits = model.classify(features[None]).detach()
    whole = upsample(logits, model.stride, (height, width)).softmax(dim=1)[0]
    torch.testing.assert_close(whole, probs)


@pytest.mark.parametrize("name", WITHOUT_BACKBONE)
def test_a_batch_of_one_small_image_can_be_trained_on(name):
    model = segmenter(name).train()
    logits = model(torch.rand(1, 3, 5, 7) * 255)
    logits.sum().backward()
    assert torch.isfinite(logits).all()


def test_normalises_its_input_itself():
    in_units = torch.rand(1, 3, 32, 32) * 255
    scaled = segmenter(mean=[0.5] * 3, std=[0.25] * 3).eval()
    raw = segmenter(mean=[127.5] * 3, std=[63.75] * 3).eval()
    torch.testing.assert_close(scaled(in_units / 255), raw(in_units), atol=1e-4, rtol=1e-4)


def test_pixels_that_are_not_numbers_do_no_harm():
    image = np.full((40, 40, 1), 100.0, np.float32)
    image[3, 4], image[5, 5] = np.nan, np.inf
    probs = predict_probs(segmenter(n_channels=1), image, CPU)
    assert torch.isfinite(probs).all()


def test_cosine_logits_are_bounded_by_the_temperature():
    model = segmenter(classifier="cosine", temperature=0.25)
    assert model(torch.rand(2, 3, 32, 32) * 255).abs().max() <= 4 + 1e-5


@pytest.mark.parametrize("stride", [1, 4])
def test_upsampling_aligns_pixel_blocks(stride):
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    whole = upsample(maps, stride, (3 * stride - stride // 2, 4 * stride))
    block_means = torch.nn.functional.avg_pool2d(whole[..., : 2 * stride, :], stride)
    torch.testing.assert_close(block_means[0, 0, 1, 1:3], maps[0, 0, 1, 1:3])
    assert whole.shape[-2:] == (3 * stride - stride // 2, 4 * stride)


def test_prediction_leaves_the_mode_as_it_was():
    model = segmenter().train()
    predict_probs(model, np.zeros((8, 8, 3), np.uint8), CPU)
    assert model.training


def test_seed_decides_the_weights_and_nothing_else():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again, other = segmenter(seed=1), segmenter(seed=1), segmenter(seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "huge"}, "compact"),
        ({"classifier": "round"}, "linear, cosine"),
        ({"n_classes": 0}, "at least 1 class"),
        ({"mean": [0.0]}, "3 channel"),
        ({"std": [1.0, 0.0, 1.0]}, "positive"),
        ({"temperature": 0.0}, "positive"),
    ],
)
def test_refuses_what_cannot_work(changes, message):
    with pytest.raises(InputError, match=message):
        segmenter(**changes)


def test_refuses_images_of_other_channels():
    with pytest.raises(InputError, match="3 channel"):
        predict_probs(segmenter(), np.zeros((8, 8, 1), np.uint8), CPU)


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        resolve_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_where_there_is_none():
    with pytest.raises(InputError, match="no CUDA GPU"):
        resolve_device("cuda")
