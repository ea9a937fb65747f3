"""Jobs that fail: full disks, vanished images, lost caches, killed children."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from disks import no_file_grows_beyond
from scenes import answer_round, project_config

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.methods.queries import Answer
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from napari_al.methods.queries import Query


# ---- the disk is full while a model trains


def test_training_on_a_full_disk_gives_the_round_back(session: Session) -> None:
    answer_round(session, Oracle(session.data))
    before = session.answers()
    ended = []
    session.events.job_finished.connect(ended.append)
    with no_file_grows_beyond(100_000):
        session.start_training()
        session.wait_for_job()
    assert ended[-1].status == "failed"
    assert "round_01.safetensors" in ended[-1].reason
    assert "could not be written" in ended[-1].reason
    assert (session.round, session.answers()) == (1, before)
    assert not list(session.project.models.iterdir()), "nothing is left half written"
    session.train()
    assert session.round == 2


def test_what_cannot_be_written_is_no_images_fault(session: Session) -> None:
    """An image that is left out is not asked until the project is opened again."""
    answer_round(session, Oracle(session.data))
    session.train()
    shutil.rmtree(session.project.cache)
    in_the_way = session.project.prediction_file(1, "scene_1")
    in_the_way.mkdir(parents=True)
    ended, warned = [], []
    session.events.job_finished.connect(ended.append)
    session.events.warned.connect(warned.append)
    session.start_scoring()
    session.wait_for_job()
    assert [result.status for result in ended] == ["failed"]
    assert f"{in_the_way} could not be written" in ended[0].reason
    assert warned == []
    in_the_way.rmdir()
    session.start_scoring()
    session.wait_for_job()
    assert "scene_1" in {query.region.image for query in session.upcoming(1000)}


def test_queries_go_on_without_a_cache(session: Session) -> None:
    shutil.rmtree(session.project.path / "cache" / "regions")
    with no_file_grows_beyond(1):
        assert len(session.upcoming(50)) == 50


# ---- an older copy of the log


def test_a_log_older_than_the_rounds_is_told(session: Session, tmp_path: Path) -> None:
    session.close()
    older = (tmp_path / "p" / "annotations.sqlite").read_bytes()
    with Session.open(tmp_path / "p") as again:
        answer_round(again, Oracle(again.data))
        again.train()
    (tmp_path / "p" / "annotations.sqlite").write_bytes(older)
    for read_only in (False, True):
        with pytest.raises(InputError, match=r"number 6 .* older copy; put the newest"):
            Session.open(tmp_path / "p", read_only=read_only)


# ---- the child dies


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_a_killed_training_is_tried_with_a_smaller_batch(session: Session) -> None:
    answer_round(session, Oracle(session.data))
    warned, ended, killed = [], [], []
    session.events.warned.connect(warned.append)
    session.events.job_finished.connect(ended.append)

    def kill_once(_: object) -> None:
        if not killed:
            killed.extend(children())
            os.kill(killed[0], signal.SIGKILL)

    session.events.job_progress.connect(kill_once)
    session.start_training()
    session.wait_for_job()
    assert len(warned) == 1
    assert "memory" in warned[0]
    assert "batches of 1" in warned[0]
    assert [result.status for result in ended] == ["done"]
    sizes = {step["batch_size"] for step in session.project.read_training()}
    assert 1 in sizes
    assert session.model_round == session.scores_round == 1


def children() -> list[int]:
    """Process ids of jobs' children; other tests may have left helpers of other kinds."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = [pid for task in tasks for pid in task.read_text().split()]
    return [int(pid) for pid in pids if "job_child" in Path(f"/proc/{pid}/cmdline").read_text()]


# ---- images change


def test_training_goes_on_without_an_image_and_says_so(own_data_path: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_data_path / "train" / "labels")
    images = own_data_path / "train" / "images"
    shutil.copytree(images, tmp_path / "whole")
    with Session.create(tmp_path / "p", project_config(own_data_path, budget=8)) as session:
        session.prepare()
        for query in one_of_each_image(session):
            session.submit(labelled(query))
        (images / "scene_1.png").unlink()
        iio.imwrite(images / "scene_2.png", np.zeros((60, 80, 3), np.uint8))
        (images / "scene_3.png").write_bytes(b"no picture")
        with pytest.raises(InputError, match=r"scene_[123]"):
            session.train()  # the figures of a benchmark are of all images, or there are none
        assert session.round == 1
        warned, ended = [], []
        session.events.warned.connect(warned.append)
        session.events.job_finished.connect(ended.append)
        session.start_training()
        session.wait_for_job()
        assert [result.status for result in ended] == ["done"], ended[0].reason
        assert sorted(name for text in warned for name in SPOILT if name in text) == SPOILT
        assert len(session.project.read_round(1)["left_out"]) == 3, "noted with the figures, too"
        assert session.prediction("scene_0") is not None
        assert {"scene_0", "scene_4"} == {query.region.image for query in session.upcoming(1000)}
    with Session.open(tmp_path / "p") as session:
        for name in SPOILT:
            assert any(name in problem for problem in session.problems)
        assert len(session.answers()) == 5, "nothing is lost"
        assert {"scene_0", "scene_4"} == {query.region.image for query in session.upcoming(1000)}
    shutil.rmtree(images)
    shutil.copytree(tmp_path / "whole", images)
    with Session.open(tmp_path / "p") as session:
        assert session.problems == ()
        session.submit(labelled(session.query()))
        session.train()
        session.prepare()
        assert {query.region.image for query in session.upcoming(1000)} > set(SPOILT)


SPOILT = ["scene_1", "scene_2", "scene_3"]


def one_of_each_image(session: Session) -> list[Query]:
    queries = {query.region.image: query for query in session.upcoming(1000)}
    return list(queries.values())


def labelled(query: Query) -> Answer:
    return Answer(query, (0,), Clicks(class_clicks=1))
