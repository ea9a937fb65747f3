from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.learning.batches import BatchLoader, Sample, random_crop
from napari_al.learning.inference import predict_probs
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.training import TrainSettings, train
from napari_al.methods.loss import loss_function

CPU = torch.device("cpu")
SETTINGS = TrainSettings(
    steps=40,
    batch_size=4,
    crop_px=32,
    learning_rate=3e-3,
    weight_decay=1e-4,
    loss=loss_function("cross-entropy"),
)
COLOURS = np.array([[60, 60, 60], [200, 80, 80], [80, 200, 200]])


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image of coloured blocks, whose classes can be told from their colours."""
    rng = np.random.default_rng(seed)
    class_map = np.kron(rng.integers(0, 3, (3, 4)), np.ones((16, 16), int)).astype(np.uint8)
    noisy = COLOURS[class_map] + rng.normal(0, 10, (*class_map.shape, 3))
    return noisy.clip(0, 255).astype(np.uint8), class_map


SCENES = [scene(seed) for seed in range(6)]


def regions_of_scene(index: int) -> Sample:
    """The same as quarters of an image, each with the set of its classes."""
    image, class_map = SCENES[index]
    region_map = np.zeros(class_map.shape, np.int32)
    region_map[:, 32:] = 1
    region_map[16:] += 2
    candidates = np.zeros((5, 3), bool)
    for region_id in range(4):
        candidates[region_id, np.unique(class_map[region_map == region_id])] = True
    return Sample(image, region_map=region_map, candidates=candidates)


def new(n_channels: int = 3, **changes):
    arguments = {"mean": [110.0] * n_channels, "std": [60.0] * n_channels, "seed": 0} | changes
    return build_segmenter("compact", n_channels, 3, **arguments)


def fit(model, get_sample, settings=SETTINGS, *, n_samples=6, stop_after=None, **changes):
    reports = []
    arguments = {
        "seed": 0,
        "device": CPU,
        "on_step": reports.append,
        "should_stop": lambda: stop_after is not None and len(reports) >= stop_after,
    }
    outcome = train(model, n_samples, get_sample, settings, **(arguments | changes))
    return outcome, reports


def crops(crop_px: int):
    return partial(random_crop, crop_px)


def mean_iou(model) -> float:
    confusion = np.zeros((3, 3))
    for seed in (100, 101):
        image, class_map = scene(seed)
        pred = predict_probs(model, image, CPU).argmax(dim=0).numpy()
        np.add.at(confusion, (class_map, pred), 1)
    right = np.diag(confusion)
    return float((right / (confusion.sum(0) + confusion.sum(1) - right)).mean())


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_learns_from_class_maps(classifier):
    model = new(classifier=classifier)
    fit(model, lambda i: Sample(*SCENES[i]))
    assert mean_iou(model) > 0.8


def test_learns_from_sets_of_classes():
    model = new(classifier="cosine")
    fit(model, regions_of_scene, replace(SETTINGS, steps=60, loss=loss_function("multi-class")))
    assert mean_iou(model) > 0.6


@pytest.mark.parametrize("n_threads", [1, 2])
def test_same_seed_gives_the_same_weights(n_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        models = [new() for _ in range(3)]
        for model, seed in zip(models, (0, 0, 1), strict=True):
            fit(model, lambda i: Sample(*SCENES[i]), replace(SETTINGS, steps=4), seed=seed)
    finally:
        torch.set_num_threads(before)
    states = [
        torch.cat([value.flatten().double() for value in m.state_dict().values()]) for m in models
    ]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.uint16, (1, 1, 1)), (np.float64, (17, 33, 5)), (np.uint8, (90, 20, 2))]
)
def test_images_of_any_kind(dtype, shape):
    rng = np.random.default_rng(0)
    sample = Sample(
        (rng.random(shape) * 200).astype(dtype), rng.integers(0, 3, shape[:2]).astype(np.uint8)
    )
    model = new(n_channels=shape[2])
    outcome, _ = fit(model, lambda i: sample, replace(SETTINGS, steps=2), n_samples=1)
    assert outcome.finished
    assert math.isfinite(outcome.loss)


def test_reports_every_step():
    outcome, reports = fit(new(), lambda i: Sample(*SCENES[i]), replace(SETTINGS, steps=5))
    assert [report.step for report in reports] == [1, 2, 3, 4, 5]
    assert {report.n_steps for report in reports} == {5}
    assert reports[-1].eta_seconds == 0
    assert reports[0].learning_rate == max(report.learning_rate for report in reports)
    assert outcome.finished
    assert outcome.n_skipped == 0


def test_stops_when_asked():
    outcome, reports = fit(new(), lambda i: Sample(*SCENES[i]), stop_after=3)
    assert not outcome.finished
    assert outcome.n_steps == len(reports) == 3


def test_steps_without_a_label_are_skipped():
    empty = Sample(SCENES[0][0], np.full(SCENES[0][1].shape, IGNORE, np.uint8))
    model = new()
    before = [parameter.clone() for parameter in model.parameters()]
    outcome, reports = fit(model, lambda i: empty, replace(SETTINGS, steps=3))
    assert outcome.n_skipped == 3
    assert all(math.isnan(report.loss) for report in reports)
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("kind", ["classes", "regions"])
def test_crops_hold_labels_however_sparse_they_are(kind):
    image = np.zeros((200, 300, 3), np.uint8)
    class_map = np.full(image.shape[:2], IGNORE, np.uint8)
    class_map[180:184, 290:294] = 1
    region_map = np.where(class_map == 1, 1, 0).astype(np.int32)
    sparse = {
        "classes": Sample(image, class_map),
        "regions": Sample(
            image, region_map=region_map, candidates=np.array([[0, 0], [1, 1]], bool)
        ),
    }[kind]
    without = {
        "classes": Sample(image, np.full_like(class_map, IGNORE)),
        "regions": Sample(image, region_map=region_map, candidates=np.zeros((2, 2), bool)),
    }[kind]
    loader = BatchLoader(2, lambda i: (sparse, without)[i], crops(128), batch_size=4, seed=0)
    with loader:
        batches = [loader.get(step) for step in range(5)]
    for batch in batches:
        present = batch.class_map == 1 if kind == "classes" else batch.region_map >= 0
        assert present.flatten(1).any(dim=1).all()


def test_every_region_of_a_batch_keeps_its_candidates():
    class_of_region = np.arange(12) % 3
    candidates = np.eye(3, dtype=bool)[class_of_region]
    region_map = np.kron(np.arange(12).reshape(3, 4), np.ones((16, 16), int)).astype(np.int32)
    image = np.repeat(class_of_region[region_map][..., None], 3, axis=2).astype(np.float32)
    sample = Sample(image, region_map=region_map, candidates=candidates)
    loader = BatchLoader(1, lambda i: sample, crops(40), batch_size=3, seed=0)
    with loader:
        batch = loader.get(0)
    present = batch.region_map.unique()
    assert torch.equal(present[present >= 0], torch.arange(len(batch.candidates)))
    per_image = [set(ids[ids >= 0].tolist()) for ids in batch.region_map]
    assert not per_image[0] & per_image[1]
    assert not per_image[1] & per_image[2]


def test_all_samples_are_seen_before_any_comes_again():
    samples = [Sample(np.zeros((8, 8, 3)), np.full((8, 8), i, np.uint8)) for i in range(6)]
    loader = BatchLoader(6, samples.__getitem__, crops(4), batch_size=3, seed=0)
    with loader:
        seen = torch.cat([loader.get(step).class_map.amin(dim=(1, 2)) for step in range(4)])
    assert sorted(seen[:6].tolist()) == sorted(seen[6:].tolist()) == list(range(6))


def as_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory")


def on_the_cpu():
    torch.empty(2**55)


@pytest.mark.parametrize("run_out", [as_on_a_gpu, on_the_cpu])
def test_batches_are_halved_until_they_fit_the_memory(run_out, monkeypatch):
    model = new()
    forward = model.forward

    def too_big(images):
        if len(images) > 2:
            run_out()
        return forward(images)

    monkeypatch.setattr(model, "forward", too_big)
    settings = replace(SETTINGS, steps=4, batch_size=9)
    outcome, reports = fit(model, lambda i: Sample(*SCENES[i]), settings)
    assert [report.batch_size for report in reports] == [4, 2, 2, 2]
    assert outcome.n_skipped == 2
    assert outcome.batch_size == 2


def test_one_crop_that_does_not_fit_is_an_error(monkeypatch):
    model = new()

    def too_big(images):
        on_the_cpu()

    monkeypatch.setattr(model, "forward", too_big)
    with pytest.raises(InputError, match="crop_px"):
        fit(model, lambda i: Sample(*SCENES[i]))


def test_a_loss_that_is_not_a_number_is_an_error():
    model = new()
    with torch.no_grad():
        next(model.classifier.parameters()).fill_(math.nan)
    with pytest.raises(InputError, match="learning rate"):
        fit(model, lambda i: Sample(*SCENES[i]))


def test_an_error_in_loading_comes_out():
    def broken(index):
        raise InputError("no such image")

    with pytest.raises(InputError, match="no such image"):
        fit(new(), broken)


def test_no_images_to_train_on():
    with pytest.raises(InputError, match="at least one image"):
        fit(new(), lambda i: Sample(*SCENES[i]), n_samples=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_learns_in_half_precision(dtype, monkeypatch):
    """The way of a GPU, as far as a CPU can go it: autocast, and float16's scaled gradients."""
    for module in ("precision", "training"):
        monkeypatch.setattr(f"napari_al.learning.{module}.half_dtype", lambda device: dtype)
    model = new()
    outcome, _ = fit(model, lambda i: Sample(*SCENES[i]))
    assert math.isfinite(outcome.loss)
    assert all(part.dtype == torch.float32 for part in model.parameters())
    assert mean_iou(model) > 0.7
