"""Answers that the log cannot take: held in memory, kept in a file, taken over later."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from disks import no_file_grows_beyond
from scenes import project_config

from napari_al.errors import InputError
from napari_al.session.log.log import LogWriteError
from napari_al.session.log.unwritten_answers import read_rescue, rescue_files, write_rescue
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.methods.queries import Answer


def next_answer(session: Session) -> Answer:
    query = session.query()
    assert query is not None
    return Oracle(session.data).answer(query)


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


def test_closing_writes_held_answers(own_data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(own_data_path)) as session:
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


def test_a_clock_set_back_changes_nothing(session: Session, tmp_path: Path) -> None:
    given = []
    for year in (2031, 2030, 2029):
        given.append(replace(next_answer(session), time=f"{year}-01-01T00:00:00.000+00:00"))
        session.submit(given[-1])
    with Session.open(tmp_path / "p", read_only=True) as reader:
        assert list(reader.answers()) == given
