"""The annotation log with a buffer in memory for answers while it cannot be written (disk full).

A BufferedLog of a project that is not read-only holds the project's lock.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.session.log.log import AnnotationLog, LogWriteError
from napari_al.session.log.unwritten_answers import read_rescue, rescue_files, write_rescue
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_al.methods.queries import Answer
    from napari_al.session.log.history import Record
    from napari_al.session.project.folder import Project


class BufferedLog:
    """A project's log, with the answers that could not be written to it yet.

    Whatever writes to the log gets it from ``flushed``, which writes the held answers first, so
    that the order stays.

    Parameters
    ----------
    project : Project
    on_unsaved : callable
        Called with the number of answers held in memory whenever it has changed.

    Attributes
    ----------
    log : AnnotationLog
        To read from.
    rescued : int
        Answers taken over that an earlier session could not write.
    unreadable : tuple of str
        Why others could not be taken over.
    """

    def __init__(self, project: Project, on_unsaved: Callable[[int], object]) -> None:
        self._project, self._on_unsaved = project, on_unsaved
        self._held: list[tuple[Answer, ...]] = []
        self._rescue_file: Path | None = None
        self.rescued = 0
        self.unreadable: tuple[str, ...] = ()
        with ExitStack() as files:  # closed again if anything in here fails
            if not project.read_only:
                files.callback(project.lock().release)
            log = AnnotationLog(project.log_file, read_only=project.read_only)
            self.log = files.enter_context(log)
            if not project.read_only:
                self._take_over_rescued()
            self._files = files.pop_all()

    def close(self) -> None:
        """Close the files; may be called again.

        Raises
        ------
        WriteError
            Answers that are held could be kept nowhere (``rescue``) and are lost.
        """
        with self._files:
            self.rescue()
            self._held.clear()

    # -- reading

    @property
    def n_unsaved(self) -> int:
        """Answers that are held in memory only."""
        return sum(map(len, self._held))

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first, held ones included."""
        return self.log.active() + tuple(answer for held in self._held for answer in held)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._held) or self.log.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to put back."""
        return not self._held and self.log.can_redo

    # -- writing

    def flushed(self) -> AnnotationLog:
        """Write the held answers and return the log, to be written to."""
        self.write_held()
        return self.log

    def undo(self) -> tuple[Record, ...]:
        """Take back what was added last."""
        if not self._held:
            return self.log.undo()
        held = self._held.pop()
        self._keep_in(None)  # the log still has it
        self._on_unsaved(self.n_unsaved)
        return held

    # -- what cannot be written

    def hold(self, answers: tuple[Answer, ...]) -> None:
        """Keep answers in memory for now."""
        self._held.append(answers)
        self._on_unsaved(self.n_unsaved)

    def write_held(self) -> None:
        """Write what is held, in order, as far as it goes."""
        before = self.n_unsaved
        try:
            while self._held:
                self.log.append(self._held[0])
                del self._held[0]
            self._keep_in(None)
        finally:
            if self.n_unsaved != before:
                self._on_unsaved(self.n_unsaved)

    def save(self) -> bool:
        """Write what is held; return whether all is on disk."""
        try:
            self.write_held()
        except LogWriteError:
            return False
        return True

    def rescue(self) -> Path | None:
        """Write what is held to the log, or else to a file for the next session.

        It is still held, and written if this session goes on and can.

        Returns
        -------
        Path or None
            The file; None where the log has all.

        Raises
        ------
        WriteError
            It could be written nowhere.
        """
        if self.save():
            return None
        try:
            path = write_rescue(self._project.path, self._held)
        except WriteError as error:
            raise WriteError(f"{self.n_unsaved} answers could not be written: {error}") from error
        self._keep_in(path)
        return path

    def _keep_in(self, path: Path | None) -> None:
        """Delete the earlier file of held answers, remember this one; None: the log has them."""
        if self._rescue_file is not None:
            with suppress(OSError):  # its answers are recognised by their ids
                self._rescue_file.unlink(missing_ok=True)
        self._rescue_file = path

    def _take_over_rescued(self) -> None:
        """Move answers to the log that an earlier session could not write."""
        for path in rescue_files(self._project.path):
            try:
                entries = read_rescue(path)
            except InputError as error:
                self.unreadable += (str(error),)
                continue
            held = {answer.id for answers in self._held for answer in answers}
            for entry in entries:
                new = tuple(a for a in entry if a.id not in held and not self.log.knows(a.id))
                self._held += [new] if new else []
                self.rescued += len(new)
            if self.save():
                with suppress(OSError):  # the log has its answers by now
                    path.unlink()
