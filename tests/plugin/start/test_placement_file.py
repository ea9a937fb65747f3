"""The file that keeps where images of the viewer lay."""

import pytest

from napari_al.errors import InputError
from napari_al.plugin.layers.camera import Placement
from napari_al.plugin.start import placement_file


def test_placement_comes_back(tmp_path):
    assert placement_file.read_placement(tmp_path) is None
    placement = Placement((0.5, -2.0), (1.0, 2.0), ("micrometer", "pixel"), ("y", "x"))
    placement_file.write_placement(tmp_path, placement)
    assert placement_file.read_placement(tmp_path) == placement


@pytest.mark.parametrize(
    "words",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"scale": [1]}',
        '{"scale": [0, 1]}',
        '{"translate": [NaN, 1]}',
        '{"units": ["parrot", "pixel"]}',
        '{"units": ["9**9**9**9", "pixel"]}',
    ],
)
def test_placements_that_cannot_be_used(tmp_path, words):
    (tmp_path / placement_file.NAME).write_text(words)
    with pytest.raises(InputError, match="delete it"):
        placement_file.read_placement(tmp_path)
