"""Opening a project reads what it has to: no label, and no header that it knows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import project_config, write_data

from napari_al.errors import InputError
from napari_al.formats import folder_check, known_headers, label_maps
from napari_al.formats.images import Header, read_header
from napari_al.formats.known_headers import VERSION, KnownHeaders
from napari_al.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def test_a_project_opens_without_labels_and_with_the_headers_that_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data")
    config = project_config(data)
    read: list[str] = []

    def counted(path: Path, *args: Any) -> Header:
        read.append(path.stem)
        return read_header(path, *args)

    def refused(*_: object) -> None:
        raise AssertionError("a label was decoded")

    monkeypatch.setattr(known_headers, "raster_header", counted)
    monkeypatch.setattr(folder_check, "read_class_map", refused)
    monkeypatch.setattr(label_maps, "read_whole_ids", refused)
    with Session.create(tmp_path / "p", config) as session:
        n_images = len(session.data.train) + len(session.data.val)
    assert len(read) == n_images
    with Session.open(tmp_path / "p") as session:
        assert session.data.shape("scene_1") == (48, 64)
    assert len(read) == n_images
    iio.imwrite(data / "train" / "images" / "scene_1.png", np.zeros((30, 40, 3), np.uint8))
    with Session.open(tmp_path / "p") as session:
        assert session.data.shape("scene_1") == (30, 40)
    assert read[n_images:] == ["scene_1"]


def test_a_header_is_read_again_when_the_file_has_another_time(tmp_path: Path) -> None:
    image, file = tmp_path / "a.png", tmp_path / "cache" / "headers.json"
    iio.imwrite(image, np.zeros((3, 4), np.uint8))
    headers = KnownHeaders(tmp_path, file)
    assert headers(image, "refuse") == Header(3, 4, 1, "uint8")
    headers.save()
    size = image.stat().st_size
    image.write_bytes(b"x" * size)  # no picture any more, of the same size
    os.utime(image, (1, 1))
    found: list[object] = [size, 10**9, "refuse", 3, 4, 1, "uint8", None, [], []]
    good = json.dumps({"/a.png": [VERSION, *found]})
    file.write_text(good)
    assert KnownHeaders(tmp_path, file)(image, "refuse") == Header(3, 4, 1, "uint8")
    wrong = good.replace('"refuse", 3', '"refuse", "3"')
    of_before = [json.dumps({"/a.png": start + found}) for start in ([], [VERSION - 1])]
    for record in (file.read_text().replace(str(10**9), "5"), wrong, *of_before, "{", "[]"):
        file.write_text(record)
        with pytest.raises(InputError):
            KnownHeaders(tmp_path, file)(image, "refuse")
    with pytest.raises(InputError, match="not a file"):
        KnownHeaders(tmp_path, file)(tmp_path / "b.png", "refuse")
