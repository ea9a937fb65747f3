"""An open project: query, answer, undo, train.

``query()`` returns the next query, ``submit()`` takes an answer and returns when it is on disk;
neither waits for a model. Annotators (a person, an oracle, a replay) call them. ``state.py`` has
what can be read of a project. Rounds are trained here (``train``) or in a child
(``start_training``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.methods.acquisition import check_acquisition
from napari_al.session.log.class_edits import checked_edit, classes_in_use
from napari_al.session.log.history import ClassEdit
from napari_al.session.models import ProjectModels
from napari_al.session.pool.images import answers_as_predicted, progress_of_images
from napari_al.session.project.folder import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Answer, Query
    from napari_al.session.log.history import Record
    from napari_al.session.pool.images import ImageProgress
    from napari_al.session.project.config import ProjectConfig


class Session(ProjectModels):
    """One project, open.

    Parameters
    ----------
    project : Project
    config : ProjectConfig
    dispatch : callable
        Runs a function on the thread that owns the views; background jobs report through it. The
        default runs it at once, where there are no views.
    cluster : str
        Where models are trained and images scored: the address of a Dask scheduler, or ``local:N``;
        "" is here (docs/clusters.md).
    """

    @classmethod
    def create(
        cls,
        path: Path,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
        cluster: str = "",
    ) -> Session:
        """Make a project folder and open it."""
        check_acquisition(config.method)
        return cls(Project.create(path, config), config, dispatch=dispatch, cluster=cluster)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
        cluster: str = "",
    ) -> Session:
        """Open a project folder.

        Raises
        ------
        InputError
            It is no project, is damaged, of a newer version, open elsewhere, or its acquisition
            function is not known here (read-only always works).
        """
        project = Project.open(path, read_only=read_only)
        config = project.read_config()
        if not read_only:
            check_acquisition(config.method)
        return cls(project, config, dispatch=dispatch, cluster=cluster)

    def close(self) -> None:
        """End a running job, let go of the files; may be called again.

        Answers that are held in memory (see ``hold``) are kept as ``rescue`` says.

        Raises
        ------
        WriteError
            They could be kept nowhere and are lost; all else is closed.
        """
        self._runner.close()
        self._log.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- asking and answering

    def query(self) -> Query | None:
        """Return the best region that has no answer yet; the same one until it is answered.

        It also stays when other scores come in. None when the pool is empty, when the round's
        budget is spent and its training has not begun, or when there are no scores yet
        (``has_scores``: ``prepare`` or ``start_scoring``).
        """
        return self._queue.next(self._answered, self.round) if self._asks else None

    def query_in(self, image: str) -> Query | None:
        """Return the best region of one image that has no answer yet; None as of `query`."""
        return next(iter(self.upcoming(1, image)), None)

    def query_at(self, image: str, pixel_rc: tuple[int, int]) -> Query | None:
        """Return the query about the open region of the pool at a (row, column), as picked there.

        None if it is answered, if there is none, or if nothing is asked now.
        """
        region_map = self.region_map(image)
        row, col = pixel_rc
        if not self._asks or not (
            0 <= row < region_map.shape[0] and 0 <= col < region_map.shape[1]
        ):
            return None
        ids = (int(region_map[row, col]),)
        query = self._queue.about(image, ids, self._answered, self.round) if ids[0] >= 0 else None
        return None if query is None else replace(query, source="picked")

    def answer_at(self, image: str, pixel_rc: tuple[int, int]) -> Answer | None:
        """Return the newest answer about the region at a (row, column) of an image."""
        answers = self._answered.snapshot.answers.get(image, ())
        return next((a for a in reversed(answers) if a.query.region.mask.holds(pixel_rc)), None)

    def submit(self, *answers: Answer) -> None:
        """Take answers; they are on disk when this returns, and one undo takes all of them back."""
        self.write(answers)
        self._take(answers)

    def write(self, answers: Sequence[Answer]) -> None:
        """Write answers, in any thread; ``take`` has them count, before anything else is done."""
        self._log.flushed().append(tuple(answers))

    def take(self, answers: Sequence[Answer]) -> None:
        """Have answers count that were written already."""
        self._take(tuple(answers))

    def images_progress(self) -> list[ImageProgress]:
        """Return how far each image is answered, by name; nothing while there are no scores."""
        pool = self._queue.pool
        return [] if pool is None else progress_of_images(pool, self._answered)

    def answers_as_predicted(self, image: str, seconds: float = 0.0) -> tuple[Answer, ...]:
        """Return answers to the open regions of an image as predicted, not submitted yet.

        In any thread while nothing is submitted. All of them together cost one click.

        Raises
        ------
        InputError
            Nothing is predicted or asked, or an answer is more than a class a region.
        """
        prediction, pool = self.prediction(image), self._queue.pool
        if self.config.method.query not in ("dominant", "correction"):
            raise InputError(
                "only queries for one class a region can be answered as predicted; those of "
                f"{self.config.method.name} ask for more"
            )
        if pool is None or prediction is None or not self._asks:
            raise InputError(f"there is no prediction of {image} to accept now; train first")
        answers = answers_as_predicted(pool, self._answered, image, prediction, self.round, seconds)
        return tuple(answers)

    def hold(self, *answers: Answer) -> None:
        """Take answers that ``submit`` could not write (``LogWriteError``: the disk is full, ...).

        They count as given at once and are written by ``save``, which a window calls from time to
        time, or by whatever writes to the log next. Until then they are in memory only.
        """
        self._log.hold(answers)
        self._take(answers)

    def save(self) -> bool:
        """Write the answers that are held in memory; return whether all are on disk."""
        return self._log.save()

    def rescue(self) -> Path | None:
        """Put answers that are held in memory where they are safe; for the end of a session.

        Returns
        -------
        Path or None
            A file from which the next session of this project takes them over; None where the log
            has them all.

        Raises
        ------
        WriteError
            They could be written nowhere, and are still held.
        """
        return self._log.rescue()

    def amend(self, answer_id: str, answer: Answer) -> None:
        """Put an answer in the place of an earlier one."""
        self._log.flushed().amend(answer_id, answer)
        self._recount()
        self.events.answered.emit((answer,))

    def edit_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Add, rename, recolour, merge or delete classes: all of them, as they are from now on.

        Answers stay and follow: an answer that names a merged class counts as one for the class
        that it was merged into. A class that nothing names is deleted by ``merged_into=IGNORE``;
        it keeps its id. An edit is on disk when this returns, and ``undo`` takes it back.

        Raises
        ------
        InputError
            If a class is left out, one in use is deleted, or they contradict each other.
        """
        used = classes_in_use(self.answers(), self.corrections())
        if self.config.method.starts_from_labels:  # these may hold all classes of the data folder
            used |= {c.id for c in self._made_with.classes}
        edited = checked_edit(self.config.classes, classes, used)
        if edited != self.config.classes:
            self._log.flushed().edit_classes(ClassEdit(edited))
            self._recount()

    def undo(self) -> tuple[Record, ...]:
        """Take back what was submitted, amended, edited or accepted last, also over restarts."""
        taken_back = self._log.undo()
        if taken_back:
            self._follow(taken_back, put_back=False)
            self.events.undone.emit(taken_back)
        return taken_back

    def redo(self) -> tuple[Record, ...]:
        """Put back what was undone last."""
        put_back = self._log.flushed().redo()
        if put_back:
            self._follow(put_back, put_back=True)
            self.events.redone.emit(put_back)
        return put_back
