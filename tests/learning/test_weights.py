from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_al.errors import InputError
from napari_al.learning.normalisation import input_statistics
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.weights import load_segmenter, save_segmenter
from napari_al.writing import WriteError

WITHOUT_BACKBONE = ("compact", "filters")  # the others: test_backbones.py


@pytest.mark.parametrize("name", WITHOUT_BACKBONE)
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_round_trip(tmp_path, name, classifier):
    model = build_segmenter(
        name, 2, 3, classifier=classifier, temperature=0.07, mean=[5, 6], std=[2, 3], seed=1
    )
    path = tmp_path / "round_01.safetensors"
    save_segmenter(path, model, {"round": "1"})
    loaded = load_segmenter(path)
    images = torch.rand(2, 2, 20, 30) * 10
    assert torch.equal(loaded.eval()(images), model.eval()(images))
    assert (loaded.name, loaded.classifier_name, loaded.temperature) == (name, classifier, 0.07)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_saving_replaces_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    for seed in (0, 1):
        model = build_segmenter("compact", 1, 2, mean=[0], std=[1], seed=seed)
        save_segmenter(path, model, {})
    images = torch.rand(1, 1, 8, 8)
    assert torch.equal(load_segmenter(path).eval()(images), model.eval()(images))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = build_segmenter("compact", 1, 2, mean=[0], std=[1], seed=0)
    save_segmenter(path, model, {})
    old = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(WriteError, match="disk full"):
        save_segmenter(path, build_segmenter("compact", 1, 2, mean=[0], std=[1], seed=1), {})
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"GIF89a" + data,
        lambda data: data[: len(data) // 2],
        lambda data: data[:20],
        lambda data: data.replace(b'"n_classes":"2"', b'"n_classes":"9"'),
        lambda data: data.replace(b'"n_classes":"2"', b'"n_classes":"x"'),
        lambda data: data.replace(b'"name":"compact"', b'"name":"unknown"'),
        lambda data: data.replace(b'"classifier"', b'"clossifier"'),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    model = build_segmenter("compact", 1, 2, mean=[0], std=[1], seed=0)
    save_segmenter(path, model, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_segmenter(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such model"):
        load_segmenter(tmp_path / "none.safetensors")


def test_statistics_agree_with_numpy():
    rng = np.random.default_rng(0)
    images = [rng.normal((3e4, -2.0), (10, 0.1), (h, 7, 2)) for h in (1, 5, 300)]
    mean, std = input_statistics(iter(images))
    pixels = np.concatenate([image.reshape(-1, 2) for image in images])
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-9)


def test_statistics_of_constant_and_missing_pixels():
    image = np.full((4, 4, 2), 7.0)
    image[0, 0, 1] = np.nan
    mean, std = input_statistics([image])
    np.testing.assert_array_equal(mean, [7, 7])
    np.testing.assert_array_equal(std, [1, 1])


@pytest.mark.parametrize(
    "images", [[], [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 1), np.uint8)]]
)
def test_statistics_refuse(images):
    with pytest.raises(InputError):
        input_statistics(images)
