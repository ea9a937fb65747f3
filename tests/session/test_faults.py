"""What goes wrong around a session: full disks, vanished images, killed children."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from disks import no_file_grows_beyond
from scenes import project_config, write_data

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.methods.queries import Answer
from napari_al.session.log.log import LogWriteError
from napari_al.session.log.unwritten_answers import read_rescue, rescue_files, write_rescue
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_al.methods.queries import Query


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A data folder of this test's own: it may be spoilt."""
    return write_data(tmp_path / "data")


@pytest.fixture
def session(data_path: Path, tmp_path: Path) -> Iterator[Session]:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        session.prepare()
        yield session


def next_answer(session: Session) -> Answer:
    query = session.query()
    assert query is not None
    return Oracle(session.data).answer(query)


def answer_round(session: Session) -> None:
    while session.query() is not None:
        session.submit(next_answer(session))


# ---- the log cannot be written


def test_answers_are_held_while_the_log_cannot_be_written(session: Session, tmp_path: Path) -> None:
    unsaved = []
    session.events.unsaved_changed.connect(unsaved.append)
    session.submit(next_answer(session))
    first = session.answers()
    given = []
    with no_file_grows_beyond(1):
        for _ in range(3):
            answer = next_answer(session)
            with pytest.raises(LogWriteError, match="make room"):
                session.submit(answer)
            assert session.query() == answer.query, "it was not taken"
            session.hold(answer)
            given.append(answer)
            assert session.query() != answer.query
        assert session.answers() == (*first, *given)
        assert session.clicks.total == 4
        assert session.clicks_in_round == 4
        assert not session.save()
        assert session.n_unsaved == 3
        assert session.undo() == (given.pop(),)
        assert session.answers() == (*first, *given)
        with pytest.raises(LogWriteError):
            session.start_training()
        assert (session.round, session.n_unsaved) == (1, 2)
    with Session.open(tmp_path / "p", read_only=True) as reader:
        assert reader.answers() == first
    assert session.save()
    assert session.n_unsaved == 0
    assert unsaved == [1, 2, 3, 2, 0]
    with Session.open(tmp_path / "p", read_only=True) as reader:
        assert reader.answers() == session.answers() == (*first, *given)
    assert session.undo() == (given.pop(),)


def test_whatever_is_written_next_takes_held_answers_along(session: Session) -> None:
    held = next_answer(session)
    session.hold(held)
    later = next_answer(session)
    session.submit(later)
    assert [answer.id for answer in session.answers()] == [held.id, later.id]
    assert session.n_unsaved == 0
    assert session.undo()[0].id == later.id
    assert session.undo()[0].id == held.id


def test_closing_writes_held_answers(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        session.prepare()
        session.hold(next_answer(session))
    with Session.open(tmp_path / "p") as session:
        assert len(session.answers()) == 1


def test_what_cannot_be_written_until_the_end_is_there_when_it_opens_again(
    session: Session, tmp_path: Path
) -> None:
    session.submit(next_answer(session))
    given = []
    with no_file_grows_beyond(8000):  # the log is larger than that, a few answers are not
        for _ in range(3):
            given.append(next_answer(session))
            session.hold(given[-1])
        session.close()
    (kept,) = (tmp_path / "p").glob("unsaved-*")
    with Session.open(tmp_path / "p", read_only=True) as reader:
        assert len(reader.answers()) == 1
    with (
        no_file_grows_beyond(8000),
        pytest.raises(InputError, match="make room on the disk, make the folder writable, or open"),
    ):
        Session.open(tmp_path / "p")
    shutil.copy(kept, kept.with_name("unsaved-twice.json"))
    with Session.open(tmp_path / "p") as again:
        assert (again.rescued, again.n_unsaved) == (3, 0)
        assert again.answers()[1:] == tuple(given)
        assert again.undo() == (given.pop(),)
    assert not kept.exists()
    with Session.open(tmp_path / "p") as again:
        assert again.rescued == 0
        assert again.answers()[1:] == tuple(given)


def test_a_session_that_was_to_be_closed_goes_on_with_what_it_could_not_write(
    session: Session, tmp_path: Path
) -> None:
    """Closing a window may be refused after the answers were put aside."""
    given = []
    with no_file_grows_beyond(8000):
        for _ in range(2):
            given.append(next_answer(session))
            session.hold(given[-1])
            session.rescue()
        assert (session.n_unsaved, session.answers()) == (2, tuple(given))
        assert len(list((tmp_path / "p").glob("unsaved-*"))) == 1
        assert session.undo() == (given.pop(),)
        assert not list((tmp_path / "p").glob("unsaved-*")), "what was undone would come back"
        session.rescue()
    assert session.save()
    assert not list((tmp_path / "p").glob("unsaved-*"))
    session.close()
    with Session.open(tmp_path / "p") as again:
        assert (again.answers(), again.rescued) == (tuple(given), 0)


def test_answers_that_can_be_kept_nowhere_are_not_lost_silently(
    session: Session, tmp_path: Path
) -> None:
    session.hold(next_answer(session))
    with no_file_grows_beyond(1), pytest.raises(WriteError, match="1 answers could not be written"):
        session.close()
    with Session.open(tmp_path / "p") as again:
        assert again.answers() == ()


def test_answers_are_kept_at_home_where_the_project_cannot_be_written(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "file").touch()
    answer = next_answer(session)
    path = write_rescue(tmp_path / "file", [(answer,)])
    assert path.is_relative_to(tmp_path / "home")
    assert rescue_files(tmp_path / "file") == [path]
    assert rescue_files(tmp_path / "another") == []
    assert read_rescue(path) == [(answer,)]


def test_a_damaged_file_of_unsaved_answers_is_named_and_stays(
    session: Session, tmp_path: Path
) -> None:
    session.close()
    damaged = tmp_path / "p" / "unsaved-1.json"
    damaged.write_text("[[{}]]")
    with Session.open(tmp_path / "p") as again:
        assert any(str(damaged) in problem for problem in again.problems)
    assert damaged.exists()


# ---- the disk is full while a model trains


def test_training_on_a_full_disk_gives_the_round_back(session: Session) -> None:
    answer_round(session)
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
    answer_round(session)
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
        answer_round(again)
        again.train()
    (tmp_path / "p" / "annotations.sqlite").write_bytes(older)
    for read_only in (False, True):
        with pytest.raises(InputError, match=r"number 6 .* older copy; put the newest"):
            Session.open(tmp_path / "p", read_only=read_only)


# ---- the child dies


def test_a_killed_training_is_tried_with_a_smaller_batch(session: Session) -> None:
    answer_round(session)
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
    """Process ids of jobs' children."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


# ---- images change


def test_training_goes_on_without_an_image_and_says_so(data_path: Path, tmp_path: Path) -> None:
    shutil.rmtree(data_path / "train" / "labels")
    images = data_path / "train" / "images"
    shutil.copytree(images, tmp_path / "whole")
    with Session.create(tmp_path / "p", project_config(data_path, budget=8)) as session:
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


def test_a_clock_set_back_changes_nothing(session: Session, tmp_path: Path) -> None:
    given = []
    for year in (2031, 2030, 2029):
        given.append(replace(next_answer(session), time=f"{year}-01-01T00:00:00.000+00:00"))
        session.submit(given[-1])
    with Session.open(tmp_path / "p", read_only=True) as reader:
        assert list(reader.answers()) == given
