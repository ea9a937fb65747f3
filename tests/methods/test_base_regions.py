"""Base regions: objects that are made from labels to correct."""

import numpy as np

from napari_al.core import IGNORE
from napari_al.methods.regions import LARGE, base_regions
from napari_al.methods.settings import RegionSettings
from napari_al.methods.table import METHODS

SETTINGS = RegionSettings(n_per_image=100)


def read_noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (80, 100, 3), np.uint8)


def test_connected_parts_of_a_class_are_objects() -> None:
    labels = np.full((80, 100), IGNORE, np.uint8)
    labels[:10, :10] = labels[10:20, 10:20] = 1  # they touch at a corner only
    labels[10:20, 20:40] = 2
    expected = np.full(labels.shape, -1)
    expected[:10, :10], expected[10:20, 10:20], expected[10:20, 20:40] = 0, 1, 2
    regions = base_regions(METHODS["alc"], SETTINGS, read_noise, labels=labels)
    np.testing.assert_array_equal(regions, expected)


def test_superpixels_cut_large_parts_alone() -> None:
    limit = LARGE * 80  # a superpixel has 80 pixels in the mean
    labels = np.zeros((80, 100), np.uint8)
    labels[:8] = 1
    assert (labels == 1).sum() == limit
    regions = base_regions(METHODS["a2lc"], SETTINGS, read_noise, labels=labels)
    assert len(np.unique(regions[:8])) == 1
    superpixels = base_regions(METHODS["bvsb"], SETTINGS, read_noise)
    np.testing.assert_array_equal(np.unique(regions), np.arange(regions.max() + 1))
    pairs = np.unique(np.stack([regions[8:].ravel(), superpixels[8:].ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] > 10
    assert not np.isin(pairs[0], regions[:8]).any()


def test_objects_that_are_given_come_before_labels() -> None:
    objects = np.zeros((80, 100), np.int32)
    objects[4:9, 3:7] = 12
    labels = np.zeros((80, 100), np.uint8)
    regions = base_regions(METHODS["alc"], SETTINGS, read_noise, objects, labels)
    np.testing.assert_array_equal(regions, np.where(objects == 12, 0, -1))
