"""A list of projects to go on with: thumbnail, name, answers, date."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_al.plugin.recent_projects import RecentProject, recent_projects, thumbnail_file
from napari_al.plugin.widgets.form_parts import button, elided, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qtpy.QtWidgets import QPushButton

THUMBNAIL = QSize(56, 42)


class ListedProject(NamedTuple):
    """A project with its thumbnail, if it has one."""

    project: RecentProject
    thumbnail: QImage | None


def listed(projects: Iterable[RecentProject]) -> list[ListedProject]:
    """Read the thumbnails of projects; for any thread."""
    out = []
    for project in projects:
        image = QImage(str(thumbnail_file(Path(project.path)))) if project.is_there else QImage()
        out.append(ListedProject(project, None if image.isNull() else image))
    return out


def list_recent() -> list[ListedProject]:
    """Return the projects opened last; for any thread."""
    return listed(recent_projects())


class RecentList(QWidget):
    """Projects, one a row; hidden while there are none.

    Parameters
    ----------
    title : str
    can_forget : bool
        Rows can be taken out of the list.
    """

    picked = Signal(Path)
    forgotten = Signal(str)

    def __init__(self, title: str, *, can_forget: bool) -> None:
        super().__init__()
        self._can_forget = can_forget
        self._rows: list[QWidget] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(text(title, "title"))
        self.setVisible(False)

    def show_projects(self, projects: Sequence[ListedProject]) -> None:
        """Replace the rows."""
        for row in self._rows:
            row.setParent(None)
            row.deleteLater()
        self._rows = [self._row(listed) for listed in projects]
        for row in self._rows:
            self.layout().addWidget(row)
        self.setVisible(bool(projects))

    def _row(self, listed: ListedProject) -> QWidget:
        project, row = listed.project, QWidget()
        cells = QHBoxLayout(row)
        cells.setContentsMargins(0, 0, 0, 0)
        cells.setSpacing(2)
        cells.addWidget(self._project_button(listed), 1)
        if self._can_forget:
            away = button(
                "✕", "take it out of this list; the project stays", partial(self._forget, project)
            )
            away.setAccessibleName(f"Forget {Path(project.path).name}")
            away.setFixedWidth(26)
            cells.addWidget(away)
        return row

    def _project_button(self, listed: ListedProject) -> QPushButton:
        project = listed.project
        name = Path(project.path).name
        made = button(
            f"{elided(name)}\n{about(project)}",
            project.path if project.is_there else f"it is no longer at {project.path}",
            lambda: self.picked.emit(Path(project.path)),
            role="project",
        )
        made.setAccessibleName(f"Go on with {name}")
        made.setEnabled(project.is_there)
        made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        made.setIconSize(THUMBNAIL)
        made.setIcon(QIcon(_framed(listed.thumbnail)))
        return made

    def _forget(self, project: RecentProject) -> None:
        self.forgotten.emit(project.path)


def about(project: RecentProject) -> str:
    """Return what is known of a project, in a line: ``120 answers · 30 Nov 2026``."""
    if not project.is_there:
        return "missing: it was moved or deleted"
    n, known = project.n_answers, []
    if n is not None:
        known.append("1 answer" if n == 1 else f"{n:,} answers")
    with suppress(ValueError):
        opened = datetime.fromisoformat(project.opened).astimezone()
        known.append(f"{opened.day} {opened:%b %Y}")
    return " · ".join(known) or project.path


def _framed(image: QImage | None) -> QPixmap:
    """Return a picture that fills the icon's middle; an empty one where there is none."""
    pixmap = QPixmap(THUMBNAIL)
    pixmap.fill(Qt.GlobalColor.transparent)
    if image is None:
        return pixmap
    return QPixmap.fromImage(
        image.scaled(
            THUMBNAIL,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    )
