"""Frozen segmenters: maps at several strides, an ensemble, batches of labelled pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.learning import inference
from napari_al.learning.batches import Sample
from napari_al.learning.inference import (
    encode,
    predict_disagreement,
    predict_encoded,
    predict_features,
    predict_probs,
)
from napari_al.learning.labelled_pixels import PixelLoader, at_pixels, px_of_region, region_weights
from napari_al.learning.networks.resampling import upsample
from napari_al.learning.segmenter import Segmenter, build_segmenter
from napari_al.learning.training import (
    TrainSettings,
    hidden_units,
    label_factor,
    scale_dropout,
    train,
)
from napari_al.learning.weights import load_segmenter, save_segmenter
from napari_al.methods.loss import loss_function

CPU = torch.device("cpu")


def frozen_segmenter(name: str = "efficientnet-lite0", n_members: int = 3, **changes) -> Segmenter:
    arguments = {"mean": [127.0] * 3, "std": [128.0] * 3, "seed": 0, "frozen": True, **changes}
    return build_segmenter(name, 3, 4, n_members=n_members, noise=0.5, **arguments)


def image_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def with_statistics(model: Segmenter) -> Segmenter:
    """Give the normalisation some statistics, as a training would."""
    generator = torch.Generator().manual_seed(1)
    model.frozen.norm.running_mean.normal_(generator=generator)
    model.frozen.norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return model


def test_the_first_layer_at_each_stride_is_that_of_all_maps_side_by_side():
    model = with_statistics(frozen_segmenter()).eval()
    trunk, maps = model.frozen, encode(model, image_of(70, 93), CPU)
    with torch.no_grad():
        found = trunk.refine([part[None] for part in maps])
        size = (maps[0].shape[1], maps[0].shape[2])
        factors = [stride // trunk.stride for stride in trunk.strides]
        joined = torch.cat(
            [
                upsample(part[None], factor, size)
                for part, factor in zip(maps, factors, strict=True)
            ],
            dim=1,
        )
        expected = trunk.refine([joined])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_values_at_pixels_are_those_of_the_upsampled_maps():
    height, width = 37, 50
    model = frozen_segmenter().eval()
    maps = encode(model, image_of(height, width), CPU)
    pixels = np.array([0, 49, 50 * 36, 50 * 37 - 1, 777])
    found = at_pixels(maps, model.frozen.strides, pixels, width)
    whole = [
        upsample(part[None], stride, (height, width))[0].flatten(1)
        for part, stride in zip(maps, model.frozen.strides, strict=True)
    ]
    expected = torch.cat(whole)[:, pixels].T.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_an_ensemble_gives_the_mean_probability_of_its_members():
    model = with_statistics(frozen_segmenter()).eval()
    maps = [part[None] for part in encode(model, image_of(33, 40), CPU)]
    with torch.no_grad():
        features = model.refine(maps)
        parts = zip(features.chunk(3, dim=1), model.classifier.members, strict=True)
        each = [classifier(part).softmax(dim=1) for part, classifier in parts]
        found = model.classify(features).softmax(dim=1)
    torch.testing.assert_close(found, torch.stack(each).mean(dim=0))
    assert not torch.allclose(each[0], each[1], atol=1e-3)


def test_only_the_ensemble_learns_and_its_members_differ():
    model = frozen_segmenter()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    image = image_of(32, 64)
    image[:, 32:] //= 4
    class_map = np.zeros((32, 64), np.uint8)
    class_map[:, 32:] = 2
    outcome = train(
        model,
        1,
        lambda _: Sample(image, class_map, class_map.astype(np.int32)),
        TrainSettings(120, 1, 32, 3e-3, 1e-2, loss_function("cross-entropy")),
        seed=0,
        device=CPU,
        on_step=lambda _: None,
        should_stop=lambda: False,
    )
    assert outcome.n_steps == 120
    assert outcome.n_skipped == 0
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith(("trunk.encoder", "mean", "std"))
    first, second = (model.frozen.members[i].first.weight for i in (0, 1))
    assert not torch.allclose(first, second)
    prediction = predict_probs(model, image, CPU).argmax(dim=0).numpy()
    assert (prediction == class_map).mean() > 0.95


def test_without_a_label_no_step_is_taken():
    outcome = train(
        frozen_segmenter(),
        1,
        lambda _: Sample(image_of(32, 32), np.full((32, 32), IGNORE, np.uint8)),
        TrainSettings(5, 1, 32, 3e-3, 1e-2, loss_function("cross-entropy")),
        seed=0,
        device=CPU,
        on_step=lambda _: None,
        should_stop=lambda: False,
    )
    assert outcome.n_steps == outcome.n_skipped == 5
    assert not outcome.has_learnt


def test_regions_weigh_the_same_however_large_they_are():
    class_map = np.full((20, 30), IGNORE, np.uint8)
    region_map = np.full((20, 30), 7, np.int32)
    class_map[:2, :2], region_map[:2, :2] = 1, 3
    class_map[5:], region_map[5:] = 2, 4
    image = np.zeros((20, 30, 3), np.uint8)
    maps = [torch.arange(600.0).reshape(1, 20, 30)]
    loader = PixelLoader(
        1,
        lambda _: Sample(image, class_map, region_map),
        lambda *_: maps,
        (1,),
        batch_size=8,
        seed=0,
    )
    batch = loader.get(0)
    assert batch.images.shape == (1, 1, 1, 8 * 96)
    drawn = batch.images.flatten().numpy().astype(int)
    np.testing.assert_array_equal(class_map.ravel()[drawn], batch.class_map.flatten())
    assert (batch.class_map == 1).float().mean() == pytest.approx(0.5, abs=0.15)
    again = loader.get(0)
    assert torch.equal(again.images, batch.images)
    assert not torch.equal(loader.get(1).images, batch.images)


def test_rare_classes_are_drawn_more_often_than_they_occur():
    classes = np.zeros((105, 3), bool)
    classes[:100, 0] = classes[100:104, 1] = True
    classes[104, :2] = True
    expected = [101**-0.5] * 100 + [5**-0.5] * 4 + [(101**-0.5 + 5**-0.5) / 2]
    np.testing.assert_allclose(region_weights(classes), expected)


def test_without_regions_pixels_are_drawn_by_their_class_alone():
    class_map = np.full((20, 30), IGNORE, np.uint8)
    class_map[:2], class_map[5:] = 1, 2
    maps = [torch.arange(600.0).reshape(1, 20, 30)]
    image = np.zeros((20, 30, 3), np.uint8)
    loader = PixelLoader(
        1, lambda _: Sample(image, class_map), lambda *_: maps, (1,), batch_size=8, seed=0
    )
    share = (loader.get(0).class_map == 1).float().mean()
    assert share == pytest.approx(60**0.5 / (60**0.5 + 450**0.5), abs=0.06)


def test_regions_with_several_classes_keep_theirs():
    region_map = np.full((20, 30), -1, np.int32)
    region_map[:4], region_map[10:15] = 0, 2
    candidates = np.array([[True, False, True], [True, True, True], [False, True, False]])
    maps = [torch.arange(600.0).reshape(1, 20, 30)]
    sample = Sample(np.zeros((20, 30, 3), np.uint8), None, region_map, candidates)
    batch = PixelLoader(1, lambda _: sample, lambda *_: maps, (1,), batch_size=8, seed=0).get(0)
    drawn = batch.images.flatten().numpy().astype(int)
    rows = region_map.ravel()[drawn]
    assert set(rows) == {0, 2}
    np.testing.assert_array_equal(batch.candidates[batch.region_map.flatten()], candidates[rows])


def test_memory_is_bounded_by_drawing_fewer_pixels(monkeypatch):
    monkeypatch.setattr("napari_al.learning.labelled_pixels.MEMORY_BYTES", 2 * 40)
    class_map = np.zeros((20, 30), np.uint8)
    region_map = np.arange(600, dtype=np.int32).reshape(20, 30) // 50
    maps = [torch.arange(600.0).reshape(1, 20, 30)]
    image = np.zeros((20, 30, 3), np.uint8)
    loader = PixelLoader(
        2,
        lambda _: Sample(image, class_map, region_map),
        lambda *_: maps,
        (1,),
        batch_size=8,
        seed=0,
    )
    drawn = set(loader.get(0).images.flatten().tolist())
    assert 12 <= len(drawn) <= 40
    assert {int(pixel) // 50 for pixel in drawn} == set(range(12))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "filters"])
def test_a_large_image_is_encoded_in_tiles(name, monkeypatch):
    model, image = with_statistics(frozen_segmenter(name)).eval(), image_of(150, 210)
    monkeypatch.setattr(inference, "MAX_WHOLE_PX", 1)
    monkeypatch.setattr(inference, "STEP_PX", 64)
    maps = encode(model, image, CPU)
    assert [tuple(part.shape) for part in maps] == model.frozen.map_sizes(150, 210)
    assert all(part.isfinite().all() for part in maps)
    probs, _ = predict_encoded(model, maps, (150, 210), CPU)
    torch.testing.assert_close(probs.sum(dim=0), torch.ones(150, 210))


def test_a_saved_ensemble_is_loaded_whole(tmp_path):
    model = with_statistics(frozen_segmenter(n_members=2, n_hidden=256)).eval()
    save_segmenter(tmp_path / "model.safetensors", model, {})
    loaded = load_segmenter(tmp_path / "model.safetensors").eval()
    trunk = loaded.frozen
    assert (trunk.n_members, trunk.noise, trunk.n_hidden) == (2, 0.5, 256)
    images = torch.rand(1, 3, 40, 50) * 255
    assert torch.equal(loaded(images), model(images))


def test_models_of_all_stages_are_loaded(tmp_path):
    """Frozen ones had them before the last was left out, and files that do not say how many."""
    model = frozen_segmenter("efficientnet-lite0", backbone={"n_stages": 7}).eval()
    assert model.frozen.channels[-1] == 320
    model.backbone.config.clear()
    save_segmenter(tmp_path / "old.safetensors", model, {})
    loaded = load_segmenter(tmp_path / "old.safetensors").eval()
    image = torch.rand(1, 3, 40, 50) * 255
    assert torch.equal(loaded(image), model(image))


@pytest.mark.parametrize("n_hidden", [0, -1, 10**9, "many"])
def test_a_number_of_hidden_units_that_is_none_is_refused(tmp_path, n_hidden):
    model = frozen_segmenter("filters")
    model.frozen.n_hidden = n_hidden
    save_segmenter(tmp_path / "model.safetensors", model, {})
    with pytest.raises(InputError, match="not a model of this version"):
        load_segmenter(tmp_path / "model.safetensors")


@pytest.mark.parametrize("n_stages", [None, [], "six", 6.0, 5])
def test_a_number_of_stages_that_is_none_is_refused(tmp_path, n_stages):
    model = frozen_segmenter("efficientnet-lite0")
    model.backbone.config["n_stages"] = n_stages
    save_segmenter(tmp_path / "model.safetensors", model, {})
    with pytest.raises(InputError, match="not a model of this version"):
        load_segmenter(tmp_path / "model.safetensors")


def test_a_head_of_version_1_gives_what_it_gave(tmp_path):
    """Then it was normalisation with scale and shift, two layers, and a classifier."""
    model = with_statistics(frozen_segmenter("filters", n_members=1)).eval()
    tensors = {k: v for k, v in model.state_dict().items() if k.startswith(("mean", "std"))}
    n_maps = model.frozen.n_maps
    torch.manual_seed(0)
    head = torch.nn.Sequential(
        torch.nn.BatchNorm2d(n_maps),
        torch.nn.Conv2d(n_maps, 128, 1),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.1),
        torch.nn.Conv2d(128, 64, 1),
        torch.nn.ReLU(),
    ).eval()
    torch.nn.init.normal_(head[0].weight)
    torch.nn.init.normal_(head[0].bias)
    classifier = torch.nn.Conv2d(64, 4, 1)
    tensors |= {f"trunk.head.{key}": value for key, value in head.state_dict().items()}
    tensors |= {f"classifier.{key}": value for key, value in classifier.state_dict().items()}
    header = {"name": "filters", "n_channels": "3", "n_classes": "4", "classifier": "linear"}
    header |= {"temperature": "0.1", "frozen": "true"}
    path = tmp_path / "old.safetensors"
    from safetensors.torch import save_file

    save_file(tensors, path, header)
    loaded = load_segmenter(path).eval()
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        expected = classifier(head(loaded.encode(image)[0])).softmax(dim=1)
        found = loaded(image).softmax(dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_regions", "expected"), [(1, 8), (1000, 8), (3000, 2), (8001, 1), (10**6, 1)]
)
def test_pixels_of_a_region_in_a_batch(n_regions, expected):
    assert px_of_region(n_regions) == expected


@pytest.mark.parametrize(
    ("n_regions", "expected"), [(0, 1.0), (30, 1.0), (400, 1.0), (1600, 2.0), (10**6, 10.0)]
)
def test_label_factor(n_regions, expected):
    assert label_factor(n_regions) == expected


@pytest.mark.parametrize(
    ("n_regions", "expected"), [(0, 128), (3_900, 128), (4_100, 256), (39_000, 256), (50_000, 384)]
)
def test_more_labels_are_learnt_by_wider_networks(n_regions, expected):
    assert hidden_units(n_regions) == expected


@pytest.mark.parametrize(("factor", "expected"), [(1, 0.6), (10**0.5, 0.3), (10, 0.0)])
def test_scale_dropout_falls_with_the_labels(factor, expected):
    assert scale_dropout(factor) == pytest.approx(expected)


def test_more_labelled_regions_are_learnt_in_more_steps_with_less_scale_dropout():
    model = frozen_segmenter()
    class_map = np.zeros((40, 40), np.uint8)  # without a region map each pixel is a region
    settings = TrainSettings(3, 1, 32, 3e-3, 1e-2, loss_function("cross-entropy"))
    outcome = train(
        model,
        1,
        lambda _: Sample(image_of(40, 40), class_map),
        settings,
        seed=0,
        device=CPU,
        on_step=lambda _: None,
        should_stop=lambda: False,
    )
    assert outcome.n_steps == 6
    assert model.frozen.scale_dropout == scale_dropout(2.0)


def test_scale_dropout_hides_whole_maps_of_single_pixels_while_learning():
    model = frozen_segmenter(n_members=1)
    trunk = with_statistics(model).frozen
    trunk.noise, trunk.scale_dropout = 0.0, 0.5
    seen = []
    trunk.members[0].register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    pixels = torch.rand(1, trunk.n_maps, 1, 500) + 1
    model.train()
    trunk.refine([pixels])
    normalised = trunk.norm(pixels)  # the statistics of the batch are those of the same pixels
    is_hidden = []
    for part, whole in zip(
        seen[0].split(trunk.channels, dim=1), normalised.split(trunk.channels, dim=1), strict=True
    ):
        hidden = (part == 0).all(dim=1)
        assert torch.allclose(torch.where(hidden[:, None], whole, part), whole)
        is_hidden.append(hidden.flatten())
    shares = torch.stack(is_hidden).float().mean(dim=1)
    assert ((shares > 0.4) & (shares < 0.6)).all()
    both = (is_hidden[0] & is_hidden[1]).float().mean()
    assert 0.15 < both < 0.35  # each by itself
    model.eval()
    trunk.refine([pixels])
    assert torch.equal(seen[1], trunk.norm(pixels))


def test_a_region_far_larger_than_the_others_counts_several_times():
    class_map = np.ones((100, 100), np.uint8)
    region_map = np.zeros((100, 100), np.int32)
    class_map[:2], region_map[:2] = 2, 1  # 200 pixels beside 9800
    maps = [torch.arange(10_000.0).reshape(1, 100, 100)]
    sample = Sample(np.zeros((100, 100, 3), np.uint8), class_map, region_map)
    loader = PixelLoader(1, lambda _: sample, lambda *_: maps, (1,), batch_size=40, seed=0)
    assert loader.n_regions == 1 + round(9800 / 5000)  # the median of both is 5000
    batch = loader.get(0)
    drawn = batch.images.flatten().numpy().astype(int)
    np.testing.assert_array_equal(class_map.ravel()[drawn], batch.class_map.flatten())
    expected = 1 / (1 + 2**0.5)  # two parts of one class, drawn less often than they occur
    assert (batch.class_map == 2).float().mean() == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("n_known", [4, 3])
def test_disagreement_is_entropy_of_the_mean_less_mean_of_the_entropies(n_known: int):
    model = with_statistics(frozen_segmenter("filters")).eval()
    model.n_known = n_known
    size = (9, 13)
    _, features = predict_features(model, image_of(*size), CPU)
    found = predict_disagreement(model, features, size)
    with torch.no_grad():
        members = [
            classify(part)[0, :n_known].softmax(dim=0).numpy().astype(np.float64)
            for classify, part in zip(
                model.classifier.members, features[None].chunk(3, dim=1), strict=True
            )
        ]

    def entropy(p: np.ndarray) -> np.ndarray:
        return -(p * np.log(p)).sum(axis=0)

    expected = entropy(np.mean(members, axis=0)) - np.mean([entropy(p) for p in members], axis=0)
    of_pixels = upsample(torch.from_numpy(expected)[None, None], model.stride, size)[0, 0].numpy()
    np.testing.assert_allclose(found.numpy(), of_pixels, atol=1e-5)
    assert 0 <= found.min() <= found.max() <= np.log(3)
    alone = build_segmenter("compact", 3, 4, mean=[0] * 3, std=[1] * 3, seed=0)
    with pytest.raises(ValueError, match="no ensemble"):
        predict_disagreement(alone, features, size)


def test_two_scales_are_the_maps_of_the_image_and_of_twice_its_size(tmp_path):
    model = frozen_segmenter("efficientnet-lite0-two-scales").eval()
    one = frozen_segmenter().eval()
    one.backbone.load_state_dict(model.backbone.state_dict())
    assert model.frozen.strides == (4, 8, 16, 32, 4, 4, 8, 16)
    images = torch.from_numpy(image_of(64, 96)).permute(2, 0, 1)[None].float()
    larger = torch.nn.functional.interpolate(images, scale_factor=2.0, mode="bilinear")
    with torch.no_grad():
        found, usual, finer = model.encode(images), one.encode(images), one.encode(larger)
    pooled = finer[0].unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-2, -1))
    for part, expected in zip(found, [*usual, pooled, *finer[1:]], strict=True):
        torch.testing.assert_close(part, expected)
    save_segmenter(tmp_path / "m.safetensors", with_statistics(model), {})
    image = image_of(45, 70)
    again = predict_probs(load_segmenter(tmp_path / "m.safetensors"), image, CPU)
    assert again.shape == (4, 45, 70)
    assert torch.equal(again, predict_probs(model, image, CPU))
    sizes = [tuple(part.shape) for part in encode(model, image, CPU)]
    assert sizes == model.frozen.map_sizes(45, 70)


def test_two_scales_are_always_frozen():
    with pytest.raises(InputError, match="always frozen"):
        frozen_segmenter("efficientnet-lite0-two-scales", frozen=False)
