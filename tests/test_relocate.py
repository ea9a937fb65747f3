"""Projects whose data folder has moved, is gone, or has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import answer_round, project_config, write_data

from napari_al.errors import InputError, MissingDataError
from napari_al.formats.images import read_ids
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.export_labels import export_session
from napari_al.tools.relocate import relocate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with answers, beside its data."""
    data = write_data(tmp_path / "work" / "data")
    path = tmp_path / "work" / "project"
    with Session.create(path, project_config(data)) as session:
        answer_round(session, Oracle(session.data))
    return path


def test_project_and_data_move_together(project: Path, tmp_path: Path) -> None:
    project.parent.rename(tmp_path / "elsewhere")
    with Session.open(tmp_path / "elsewhere" / "project") as session:
        assert session.data.path == tmp_path / "elsewhere" / "data"
        assert session.problems == ()


def test_a_project_moves_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    project.rename(tmp_path / "deep" / "er" / "project")
    with Session.open(tmp_path / "deep" / "er" / "project") as session:
        assert session.data.path == tmp_path / "work" / "data"


def test_moved_data_is_located_by_its_images(project: Path, tmp_path: Path) -> None:
    new = (project.parent / "data").rename(tmp_path / "new")
    with pytest.raises(MissingDataError, match="napari-al relocate"):
        Session.open(project)
    assert relocate(project, new) == 7
    with Session.open(project) as session:
        assert session.data.path == new
        assert session.answers()


@pytest.mark.parametrize("fault", ["gone", "resized", "other"])
def test_other_data_is_refused(fault: str, project: Path, tmp_path: Path) -> None:
    new = (project.parent / "data").rename(tmp_path / "new")
    image = new / "train" / "images" / "scene_0.png"
    pixels = iio.imread(image)
    if fault == "gone":
        image.unlink()
    else:
        iio.imwrite(image, pixels[:-1] if fault == "resized" else 255 - pixels)
    with pytest.raises(InputError, match="is not the data of this project"):
        relocate(project, new)
    with pytest.raises(MissingDataError):
        Session.open(project)


def test_answers_are_exported_without_the_data(project: Path, tmp_path: Path) -> None:
    with Session.open(project, read_only=True) as session:
        expected = {name: session.answers_map(name) for name in session.data.train}
    (project.parent / "data").rename(tmp_path / "offline")
    with Session.open(project, read_only=True) as session:
        assert export_session(session, "png", "answers", tmp_path / "out") == 5
        with pytest.raises(InputError, match="is not a file"):
            session.data.image("scene_0")
    for name, class_map in expected.items():
        labels = read_ids(tmp_path / "out" / "labels" / f"{name}.png")
        np.testing.assert_array_equal(labels, class_map)


def test_an_image_of_a_name_that_comes_twice_takes_itself_out(project: Path) -> None:
    images = project.parent / "data" / "train" / "images"
    (images / "scene_0.jpg").write_bytes(b"")
    with Session.open(project) as session:
        assert "scene_0" not in session.data.train
        assert len(session.data.train) == 4
        assert any("have the same name" in note for note in session.data.notes)


def test_a_vanished_image_takes_itself_out(project: Path) -> None:
    with Session.open(project) as session:
        gone = session.answers()[0].query.region.image
    (project.parent / "data" / "train" / "images" / f"{gone}.png").unlink()
    with Session.open(project) as session:
        (problem,) = session.problems
        assert f"{gone} has" in problem
        assert len(session.data.train) == 4
        session.prepare()
        assert session.answers()
