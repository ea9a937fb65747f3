"""Cutting and joining regions."""

import numpy as np
import pytest

from napari_al.core.geometry.masks import Mask
from napari_al.core.geometry.region_editing import split, toggle_region
from napari_al.errors import InputError


def test_split_follows_colour():
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 25:] = (200, 150, 0)
    mask = Mask.from_array(np.ones((20, 30), bool), (5, 5))

    larger, smaller = split(mask, image)

    assert larger.box == (5, 5, 25, 25)
    assert smaller.box == (5, 25, 25, 35)


@pytest.mark.parametrize("shape", [(1, 2), (7, 1), (30, 30)])
def test_split_halves_what_looks_alike(shape):
    inside = np.ones(shape, bool)
    larger, smaller = split(Mask.from_array(inside), np.full((40, 40), 7, np.uint8))
    both = [part.to_array((40, 40)) for part in (larger, smaller)]
    assert (both[0] ^ both[1])[: shape[0], : shape[1]].all()
    assert not (both[0] & both[1]).any()


def test_a_pixel_cannot_be_split():
    with pytest.raises(InputError, match="single pixel"):
        split(Mask.from_array(np.ones((1, 1), bool)), np.zeros((4, 4), np.uint8))


def test_join_adds_and_takes_out():
    region_map = np.repeat(np.arange(3, dtype=np.int32), 4)[None].repeat(5, 0)

    ids, mask = toggle_region((1,), region_map, (2, 0))

    assert ids == (0, 1)
    assert mask.size == 40
    assert toggle_region(ids, region_map, (4, 3)) == ((1,), Mask.from_array(region_map == 1))
    for pixel_rc in ((2, 5), (99, 0)):
        with pytest.raises(InputError):
            toggle_region((1,), region_map, pixel_rc)
