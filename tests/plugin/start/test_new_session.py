"""Classes found in labels."""

import imageio.v3 as iio
import numpy as np
import pytest

from napari_al.errors import InputError
from napari_al.plugin.start import new_session


def test_classes_are_found_in_labels(tmp_path, data_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    iio.imwrite(tmp_path / "images" / "a.png", np.zeros((8, 9, 3), np.uint8))
    labels = np.array([[0, 4, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    iio.imwrite(tmp_path / "labels" / "a.png", labels)

    found = new_session.read_folder(tmp_path)

    assert found.classes_found
    assert not found.classes_known
    assert len(found.data.classes) == len(new_session.classes_of_labels(tmp_path / "labels")) == 5
    named = new_session.classes_of_labels(data_path / "train" / "labels")
    assert [c.name for c in named] == ["class 0", "class 1", "class 2", "class 3"]
    with pytest.raises(InputError, match="label images"):
        new_session.classes_of_labels(tmp_path / "nothing")
