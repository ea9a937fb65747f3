"""Images of the viewer: which layers, and which of them are channels of one picture."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_al.errors import InputError
from napari_al.formats.classes import default_classes
from napari_al.formats.dataset import DataFolder
from napari_al.formats.image_rules import ImageRules
from napari_al.plugin.start.viewer_images import images_of, plane_at, write_data

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


def test_three_layers_of_colour_become_one_picture(viewer):
    for name, colormap in zip("RGB", ("red", "green", "blue"), strict=True):
        viewer.add_image(STACK[0, 0], name=name, colormap=colormap, blending="additive")
    assert plane_at(images_of(viewer), 0).shape == (8, 9, 3)


def test_images_that_were_opened_one_by_one_stay_images(viewer):
    for plane in STACK[0]:
        viewer.add_image(plane)
    images = images_of(viewer)
    assert (images.can_be_channels, images.are_channels, images.n_planes) == (True, False, 3)


def test_layers_at_another_place_are_no_channels(viewer):
    viewer.add_image(STACK[0, 0])
    viewer.add_image(STACK[0, 1], translate=(0, 9), blending="additive")
    assert not images_of(viewer).can_be_channels


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
