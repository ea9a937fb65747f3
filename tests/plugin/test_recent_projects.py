"""Projects that were opened are offered again."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt
from scenes import project_config, write_data

from napari_al.plugin import recent_projects
from napari_al.plugin.recent_projects import RecentProject, thumbnail_file
from napari_al.plugin.start.new_session import projects_of, read_folder
from napari_al.plugin.start.recent_list import about, listed
from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Desk


@pytest.fixture
def kept_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the list of recent projects is kept."""
    path = tmp_path / "settings" / recent_projects.FILE
    monkeypatch.setattr(recent_projects, "recent_file", lambda: path)
    return path


def _rows(desk: Desk) -> list[str]:
    page = desk.dock.start
    return [
        button.accessibleName()
        for row in page.recent._rows
        for button in row.findChildren(type(page.start))
    ]


def test_a_project_is_remembered_and_opened_again(
    kept_in: Path, open_session: Callable[..., Desk]
) -> None:
    desk = open_session(budget=50)
    path = desk.session.project.path
    for key in (Qt.Key.Key_1, Qt.Key.Key_2):
        desk.key(key)
        desk.until_asked()
    desk.press("Close this project")
    desk.until(lambda: desk.dock.start.recent._rows)
    (kept,) = json.loads(kept_in.read_text())
    assert (kept["path"], kept["n_answers"]) == (str(path), 2)
    assert thumbnail_file(path).is_file()
    (found,) = listed(recent_projects.recent_projects())
    assert found.thumbnail is not None
    assert max(found.thumbnail.width(), found.thumbnail.height()) <= 128
    assert about(found.project).startswith("2 answers · ")
    assert _rows(desk) == ["Go on with project", "Forget project"]
    desk.press("Go on with project")
    desk.until_asked()
    assert len(desk.session.answers()) == 2


def test_a_missing_project_is_shown_as_missing_and_can_be_forgotten(
    kept_in: Path, desk: Desk, tmp_path: Path
) -> None:
    kept_in.parent.mkdir()
    gone = {"path": str(tmp_path / "gone"), "n_answers": 7, "opened": "2026-11-30T06:00:00+00:00"}
    kept_in.write_text(json.dumps([gone]))
    desk.dock.opening.show_recent()
    desk.until(lambda: desk.dock.start.recent._rows)
    (row,) = desk.dock.start.recent._rows
    button = next(b for b in row.findChildren(type(desk.dock.start.start)))
    assert not button.isEnabled()
    assert "missing" in button.text()
    desk.press("Forget gone")
    desk.until(lambda: not desk.dock.start.recent._rows)
    assert not desk.dock.start.recent.isVisible()
    assert json.loads(kept_in.read_text()) == []


def test_a_folder_offers_the_projects_beside_it(kept_in: Path, desk: Desk, tmp_path: Path) -> None:
    data = write_data(tmp_path / "coast")
    Session.create(tmp_path / "mine", project_config(data)).close()
    Session.create(tmp_path / "other", project_config(write_data(tmp_path / "sea"))).close()
    assert [p.path for p in projects_of(data)] == [str(tmp_path / "mine")]
    # a method is named, which would begin another project at once
    desk.dock.opening.open(data, project=None, method="classbal", settings={})
    page = desk.dock.start
    desk.until(lambda: page.sources.projects_of_folder._rows)
    assert desk.dock.bench.opened is None
    desk.press("Go on with mine")
    desk.until(lambda: desk.dock.bench.opened is not None)
    assert desk.session.project.path == tmp_path / "mine"


def test_recent_projects_of_a_folder_come_first(kept_in: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "coast")
    for place in ("a", "elsewhere/b"):
        with Session.create(tmp_path / place, project_config(data)) as session:
            if place != "a":
                recent_projects.remember(session)
    found = read_folder(data).projects
    assert [p.path for p in found] == [str(tmp_path / "elsewhere/b"), str(tmp_path / "a")]
    assert [about(p) for p in found][1] == str(tmp_path / "a")
    shutil.rmtree(tmp_path / "elsewhere")
    assert [p.path for p in projects_of(data)] == [str(tmp_path / "a")]
    assert [p.is_there for p in recent_projects.recent_projects()] == [False]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"path": 3}]', "[" * 10_000])
def test_a_damaged_list_is_an_empty_one(kept_in: Path, content: str) -> None:
    kept_in.parent.mkdir()
    kept_in.write_text(content)
    assert recent_projects.recent_projects() == []


def test_a_project_is_forgotten(kept_in: Path) -> None:
    recent_projects._write([RecentProject(f"/{i}", i, "") for i in range(3)])
    recent_projects.forget("/1")
    assert [p.path for p in recent_projects.recent_projects()] == ["/0", "/2"]
