"""The file that keeps where images of the viewer lay."""

import pytest

from napari_al.errors import InputError
from napari_al.plugin.layers import placement_file
from napari_al.plugin.layers.placement import Placement, Placements


def test_placement_comes_back(tmp_path):
    assert placement_file.read_placements(tmp_path) == Placements()
    common = Placement((0.5, -2.0), (1.0, 2.0), ("micrometer", "pixel"), ("y", "x"), 30.0, 0.1)
    placements = Placements(common, {"b": Placement(translate=(3.0, 4.0))})
    placement_file.write_placements(tmp_path, placements)
    assert placement_file.read_placements(tmp_path) == placements


def test_a_placement_without_rotation_is_read(tmp_path):
    (tmp_path / placement_file.NAME).write_text('{"scale": [2, 3], "translate": [4, 5]}')
    assert placement_file.read_placements(tmp_path) == Placements(Placement((2, 3), (4, 5)))


@pytest.mark.parametrize(
    "words",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"scale": [1]}',
        '{"scale": [0, 1]}',
        '{"translate": [NaN, 1]}',
        '{"shear": Infinity}',
        '{"rotate": [0, 1]}',
        '{"images": {"a": {"scale": [1, 0]}}}',
        '{"units": ["parrot", "pixel"]}',
        '{"units": ["9**9**9**9", "pixel"]}',
    ],
)
def test_placements_that_cannot_be_used(tmp_path, words):
    (tmp_path / placement_file.NAME).write_text(words)
    with pytest.raises(InputError, match="delete it"):
        placement_file.read_placements(tmp_path)
