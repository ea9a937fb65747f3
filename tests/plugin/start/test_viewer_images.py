"""Images of the viewer: which layers, and which of them are channels of one picture."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.plugin.layers.placement import world_matrix
from napari_al.plugin.start.viewer_images import (
    images_of,
    plane_at,
    planes_of,
    position_at,
    write_data,
)

STACK = np.random.default_rng(0).integers(0, 4000, (2, 3, 8, 9)).astype(np.uint16)


@pytest.fixture
def viewer():
    return ViewerModel()


def test_layers_opened_with_a_channel_axis_are_channels(viewer, tmp_path):
    viewer.add_image(STACK, channel_axis=0, name=["membrane", "nuclei"])
    images = images_of(viewer)
    assert (images.are_channels, images.n_planes) == (True, 3)
    np.testing.assert_array_equal(plane_at(images, 1), np.moveaxis(STACK[:, 1], 0, 2))
    write_data(tmp_path, images, default_classes(["a", "b"]))
    data = DataFolder.open(tmp_path)
    assert (data.n_channels, len(data.train)) == (2, 3)
    np.testing.assert_array_equal(data.image("membrane_2"), np.moveaxis(STACK[:, 2], 0, 2))


@pytest.mark.parametrize(
    ("axis_labels", "shape", "can_be", "are", "n_planes"),
    [
        (("c", "y", "x"), (3, 8, 9), True, True, 1),
        (("t", "Channel", "y", "x"), (4, 2, 8, 9), True, True, 4),
        (None, (3, 8, 9), True, False, 3),  # asked
        (None, (30, 8, 9), False, False, 30),
        (("z", "y", "x"), (3, 8, 9), False, False, 3),
        (("z", "other", "y", "x"), (3, 2, 8, 9), True, False, 6),
    ],
)
def test_an_axis_of_channels(viewer, tmp_path, axis_labels, shape, can_be, are, n_planes):
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    viewer.add_image(data, name="a", axis_labels=axis_labels)
    images = images_of(viewer)
    assert (images.can_be_channels, images.are_channels) == (can_be, are)
    assert images.n_planes == n_planes == len(planes_of(images))
    if can_be:
        images = replace(images, are_channels=True)
        write_data(tmp_path, images, default_classes(["a", "b"]))
        written = DataFolder.open(tmp_path, rules=images.rules(ImageRules()))
        axis = images.channel_axis
        assert written.n_channels == images.n_channels == shape[axis]
        last = np.moveaxis(data, axis, -1).reshape(-1, 8, 9, shape[axis])[-1]
        np.testing.assert_array_equal(written.image(written.train[-1]), last)
        assert f"Axis {axis} holds {shape[axis]} channels" in images.channels_question


def test_the_plane_on_screen_is_found(viewer):
    viewer.add_image(STACK, scale=(2, 3, 1, 1), translate=(5, 0, 0, 0), axis_labels="tzyx")
    images = images_of(viewer)
    assert [position_at(images, (5 + 2 * t, 3 * z, 0, 0)) for t in (0, 1) for z in range(3)] == [
        *range(6)
    ]
    assert position_at(images, (0, 99, 0, 0)) == 2
    assert [plane.index for plane in planes_of(images)][3] == {0: 1, 1: 0}


def test_three_layers_of_colour_become_one_picture(viewer):
    for name, colormap in zip("RGB", ("red", "green", "blue"), strict=True):
        viewer.add_image(STACK[0, 0], name=name, colormap=colormap, blending="additive")
    assert plane_at(images_of(viewer), 0).shape == (8, 9, 3)


def test_images_that_were_opened_one_by_one_stay_images(viewer):
    for plane in STACK[0]:
        viewer.add_image(plane)
    images = images_of(viewer)
    assert (images.can_be_channels, images.are_channels, images.n_planes) == (True, False, 3)


@pytest.mark.parametrize("place", [{"translate": (0, 9)}, {"rotate": 30}, {"shear": (0.1,)}])
def test_layers_at_another_place_are_no_channels(viewer, place):
    viewer.add_image(STACK[0, 0])
    viewer.add_image(STACK[0, 1], blending="additive", **place)
    assert not images_of(viewer).can_be_channels
    viewer.layers[0].affine = world_matrix(viewer.layers[1])
    assert images_of(viewer).are_channels


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_planes_that_are_tilted_are_refused(viewer):
    viewer.add_image(STACK[0], name="tilted", rotate=(0, 10, 0))
    with pytest.raises(InputError, match="'tilted' is rotated or sheared so that its planes"):
        images_of(viewer)


def test_hidden_layers_are_left_out(viewer):
    viewer.add_image(STACK[0, 0], name="seen")
    viewer.add_image(STACK[0, 1], visible=False)
    assert [layer.name for layer in images_of(viewer).layers] == ["seen"]
    viewer.layers[0].visible = False
    with pytest.raises(InputError, match="no visible image"):
        images_of(viewer)


def test_the_contrast_of_the_layers_is_kept(viewer):
    viewer.add_image(STACK[0, 0], contrast_limits=(100, 700), gamma=0.5)
    rules = images_of(viewer).rules(ImageRules())
    assert (rules.ranges, rules.gamma) == (((100.0, 700.0),), 0.5)


def test_layers_get_file_names_that_every_system_has(viewer, tmp_path):
    for name in ("Cells", "cells", "con", "a:b/c?", "nul.x"):
        viewer.add_image(STACK[0, 0], name=name)
    write_data(tmp_path, images_of(viewer), default_classes(["a", "b"]))
    names = sorted(path.stem for path in (tmp_path / "images").iterdir())
    assert names == ["Cells", "a_b_c", "cells_", "image_con", "image_nul.x"]
