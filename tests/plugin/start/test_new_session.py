"""Classes found in labels."""

import imageio.v3 as iio
import numpy as np
import pytest

from napari_al.errors import InputError
from napari_al.plugin.start import new_session


@pytest.mark.parametrize("kind", ["labels", "initial_labels"])
def test_labels_of_0_and_255_are_doubted(tmp_path, kind):
    for folder in ("images", kind):
        (tmp_path / folder).mkdir()
    iio.imwrite(tmp_path / "images" / "a.png", np.zeros((8, 9, 3), np.uint8))
    iio.imwrite(tmp_path / "images" / "b.png", np.zeros((8, 9, 3), np.uint8))
    iio.imwrite(tmp_path / kind / "a.png", np.eye(8, 9, dtype=np.uint8) * 255)
    (tmp_path / kind / "b.png").write_bytes(b"damaged")
    if kind == "labels":  # classes are found in them, unless they are known
        (tmp_path / kind / "b.png").unlink()
    unnamed = new_session.read_folder(tmp_path).data
    assert ("1 of 2 images have no labels." in unnamed.notes) == (kind == "labels")
    assert f"The {kind.replace('_', ' ')} of {tmp_path} hold only 0 and 255" in unnamed.notes[-1]
    assert "'class 1'" in unnamed.notes[-1]
    (tmp_path / "classes.json").write_text('[{"id": 0, "name": "a"}, {"id": 1, "name": "bug"}]')
    assert "stands for 'bug'" in new_session.read_folder(tmp_path).data.notes[-1]


def test_classes_are_found_in_labels(tmp_path, data_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    iio.imwrite(tmp_path / "images" / "a.png", np.zeros((8, 9, 3), np.uint8))
    labels = np.array([[0, 4, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    iio.imwrite(tmp_path / "labels" / "a.png", labels)

    found = new_session.read_folder(tmp_path)

    (tmp_path / "labels" / "._a.png").write_bytes(b"of macOS")
    assert found.classes_found
    assert not found.classes_known
    assert len(found.data.classes) == len(new_session.classes_of_labels(tmp_path / "labels")) == 5
    named = new_session.classes_of_labels(data_path / "train" / "labels")
    assert [c.name for c in named] == ["class 0", "class 1", "class 2", "class 3"]
    with pytest.raises(InputError, match="label images"):
        new_session.classes_of_labels(tmp_path / "nothing")
