"""Colours that tell neighbours apart."""

import numpy as np
import pytest

from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.geometry.colouring import colour_regions
from napari_al.core.superpixels import superpixels


@pytest.mark.parametrize("kind", ["grid", "slic"])
def test_neighbours_differ(kind):
    image = np.random.default_rng(0).integers(255, size=(60, 80, 3)).astype(np.uint8)
    region_map = superpixels(image, kind, n_per_image=60, side_px=8)
    edges = adjacency(region_map)
    colours = colour_regions(edges, int(region_map.max()) + 1)
    assert (colours[edges[:, 0]] != colours[edges[:, 1]]).all()
    assert colours.max() < 7


def test_too_few_colours_are_shared_out():
    everyone = np.array([(a, b) for a in range(4) for b in range(a)])
    assert sorted(colour_regions(everyone, 4, n_colours=2).tolist()) == [0, 0, 1, 1]


def test_no_neighbours():
    assert colour_regions(np.empty((0, 2), int), 3).tolist() == [0, 0, 0]
