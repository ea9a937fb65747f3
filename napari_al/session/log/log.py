"""The annotation log: answers, corrections, undo and redo in an append-only SQLite file.

An entry is on disk when the call that wrote it returns; a call that is killed leaves its entry
whole or not at all. Entries are ordered by their number, never by a clock. One program writes at a
time (``project/lock.py``), any number may read meanwhile.
"""

from __future__ import annotations

import gc
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, cast

from napari_al.errors import InputError
from napari_al.session.log import log_file
from napari_al.session.log.history import Entry, History, Kind
from napari_al.session.log.serialisation import (
    decode_answer,
    decode_correction,
    decode_edit,
    encode_answer,
    encode_correction,
    encode_edit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.session.log.history import ClassEdit, Record


class LogWriteError(InputError):
    """The log could not be written; nothing of the entry is in it."""


class AnnotationLog:
    """What annotators answered, in order.

    Parameters
    ----------
    path : Path
        ``annotations.sqlite``; made if it is not there.
    read_only : bool
        Nothing can be added, the folder may be read-only, and another program may be writing.
        Shows the log as it was when it was opened; ``refresh`` reads on.

    elsewhere : bool
        Who writes does so on another machine; it is read from a copy.

    Raises
    ------
    InputError
        If the file is no annotation log, is damaged, or comes from a newer version.
    LogWriteError
        From the methods that write, when the disk is full or the file is not writable.

    Notes
    -----
    May be used from several threads; calls wait for each other.
    """

    def __init__(self, path: Path, *, read_only: bool = False, elsewhere: bool = False) -> None:
        self.path, self._elsewhere = path, elsewhere
        self.read_only = read_only
        self._turn = threading.RLock()
        self._entries: list[Entry] = []
        self._answers: dict[str, Answer] = {}  # every answer ever given, in force or not
        self._n_corrections = 0
        self._history = History()
        self._opened = self._open_to_read() if read_only else log_file.open_to_write(path)
        try:
            self.refresh()
        except BaseException:
            self._opened.close()
            raise

    def _open_to_read(self) -> log_file.Opened:
        return log_file.open_read_only(self.path, elsewhere=self._elsewhere)

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._opened.connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._turn:
            self._opened.close()

    # -- reading

    @property
    def last_seq(self) -> int:
        """Position of the newest entry; 0 while there is none."""
        return len(self._entries)

    @property
    def can_undo(self) -> bool:
        """Whether ``undo`` would take something back."""
        return self._history.undoable is not None

    @property
    def can_redo(self) -> bool:
        """Whether ``redo`` would put something back."""
        return self._history.redoable is not None

    def knows(self, answer_id: str) -> bool:
        """Whether an answer with this id was ever given, in force or not."""
        return answer_id in self._answers

    def active(self, until_seq: int | None = None) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first, now or as of a position of the log."""
        with self._turn:
            return self._as_of(until_seq).answers()

    def corrections(
        self, until_seq: int | None = None, *, accepted: bool = True
    ) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections accepted (or refused), oldest first.

        Those taken back with ``undo`` are neither.
        """
        with self._turn:
            return self._as_of(until_seq).corrections(accepted=accepted)

    def classes(self, until_seq: int | None = None) -> tuple[ClassInfo, ...] | None:
        """Return the classes as they were edited last, now or then; None if they never were."""
        with self._turn:
            return self._as_of(until_seq).classes()

    def entries(self) -> tuple[Entry, ...]:
        """Return all that was ever done, in order, what was undone as well."""
        with self._turn:
            return tuple(self._entries)

    def refresh(self) -> bool:
        """Read the entries that were added since; return whether there were any."""
        with self._turn:
            before = len(self._entries)
            if self._opened.is_outdated(self.path):
                opened = self._open_to_read()
                self._opened.close()
                self._opened = opened
            try:
                with _no_collecting():
                    self._read_on()
            except log_file.UNREADABLE as error:
                raise log_file.unreadable(self.path, error) from error
            return len(self._entries) > before

    # -- writing

    def append(self, answers: Sequence[Answer]) -> int:
        """Add answers as one entry; return its position once it is on disk.

        An undo takes all of them back. An answer whose id was ever given is refused: a changed
        answer is a new one.
        """
        if not answers:
            raise InputError("append: at least one answer was expected, got none")
        return self._write("answer", answers=answers)

    def amend(self, old_id: str, new_answer: Answer) -> int:
        """Put an answer in the place of an earlier one as one entry; return its position.

        The new one counts from now on: it is the newest in force.
        """
        with self._turn:
            replaced = self._history.get(old_id)
            if replaced is None:
                raise InputError(f"amend: no answer with the id {old_id!r} is in force")
            return self._write("amend", answers=(new_answer,), replaced=replaced)

    def add_corrections(self, corrections: Sequence[AutomaticCorrection], accepted: bool) -> int:
        """Note that a batch of automatic corrections was accepted or refused; one undo for all."""
        if not corrections:
            raise InputError("add_corrections: at least one was expected, got none")
        return self._write("accept" if accepted else "refuse", corrections=corrections)

    def edit_classes(self, edit: ClassEdit) -> int:
        """Set the classes from here on; return the entry's position once it is on disk."""
        return self._write("classes", edit=edit)

    def undo(self) -> tuple[Record, ...]:
        """Take the newest entry in force back; return what it had added, () if there is none.

        An amended answer is back in its old place. The undo is an entry itself.
        """
        with self._turn:
            entry = self._history.undoable
            if entry is None:
                return ()
            self._write("undo", target=entry.seq)
            return entry.records

    def redo(self) -> tuple[Record, ...]:
        """Put back what was undone last, unless something was added since; () if there is none."""
        with self._turn:
            entry = self._history.redoable
            if entry is None:
                return ()
            self._write("redo", target=entry.seq)
            return entry.records

    # -- inside

    def _as_of(self, until_seq: int | None) -> History:
        if until_seq is None or until_seq == self.last_seq:
            return self._history
        if not 0 <= until_seq <= self.last_seq:
            raise InputError(
                f"{self.path} has {self.last_seq} entries, and number {until_seq} was trained on: "
                "it is an older copy; put the newest one back, or delete the files of later rounds "
                "in models/"
            )
        return History(self._entries[:until_seq])

    def _write(
        self,
        kind: Kind,
        *,
        answers: Sequence[Answer] = (),
        replaced: Answer | None = None,
        corrections: Sequence[AutomaticCorrection] = (),
        edit: ClassEdit | None = None,
        target: int | None = None,
    ) -> int:
        """Put one entry on disk, then into memory as it would be read again."""
        if self.read_only:
            raise LogWriteError(f"{self.path} is open for reading only; open it again to write")
        answer_texts = [encode_answer(answer) for answer in answers]
        correction_texts = [encode_correction(correction) for correction in corrections]
        edit_text = None if edit is None else encode_edit(edit)
        kept = tuple(decode_answer(text) for text in answer_texts)
        with self._turn:
            self._check_new(kept)
            entry = Entry(
                seq=self.last_seq + 1,
                kind=kind,
                answers=kept,
                replaced=replaced,
                corrections=tuple(decode_correction(text) for text in correction_texts),
                edit=None if edit_text is None else decode_edit(edit_text),
                target=target,
            )
            with self._transaction():
                self._store(entry, answer_texts, correction_texts, edit_text)
            self._add(entry)
            return entry.seq

    def _store(
        self,
        entry: Entry,
        answer_texts: Sequence[str],
        correction_texts: Sequence[str],
        edit_text: str | None,
    ) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._connection.execute(
            "INSERT INTO entries (seq, kind, target, time) VALUES (?, ?, ?, ?)",
            (entry.seq, entry.kind, entry.target, now),
        )
        replaces = None if entry.replaced is None else entry.replaced.id
        self._connection.executemany(
            "INSERT INTO answers (entry, id, replaces, payload) VALUES (?, ?, ?, ?)",
            [
                (entry.seq, answer.id, replaces, text)
                for answer, text in zip(entry.answers, answer_texts, strict=True)
            ],
        )
        self._connection.executemany(
            "INSERT INTO corrections (entry, payload) VALUES (?, ?)",
            [(entry.seq, text) for text in correction_texts],
        )
        if edit_text is not None:
            self._connection.execute(
                "INSERT INTO classes (entry, payload) VALUES (?, ?)", (entry.seq, edit_text)
            )

    def _check_new(self, answers: Sequence[Answer]) -> None:
        seen: set[str] = set()
        for answer in answers:
            if answer.id in self._answers or answer.id in seen:
                raise InputError(
                    f"answer {answer.id} is in the log already; give a changed answer a new id"
                )
            seen.add(answer.id)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, on disk at the end."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError as error:
            raise LogWriteError(
                f"{self.path} was changed by another program meanwhile ({error}); close it there, "
                "then open the project again"
            ) from error
        except sqlite3.Error as error:
            raise LogWriteError(
                f"{self.path} could not be written ({error}), so the last answer is not on disk; "
                "make room on the disk or make the file writable"
            ) from error

    def _read_on(self) -> None:
        stored = log_file.read_after(
            self._connection, self.last_seq, len(self._answers), self._n_corrections
        )
        try:
            for entry in stored:
                self._add(self._decode(entry))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self.path}: entry {self.last_seq + 1} cannot be used: {error}. The file is "
                "damaged or was edited; put a copy of it back"
            ) from error
        finally:
            stored.close()

    def _decode(self, stored: log_file.StoredEntry) -> Entry:
        if stored.seq != self.last_seq + 1:
            raise ValueError("it is missing")
        answers: list[Answer] = []
        replaced: Answer | None = None
        for answer_id, replaces, payload in stored.answers:
            answer = decode_answer(payload)
            if answer.id != answer_id:
                raise ValueError(f"the answer {answer.id!r} is filed as {answer_id!r}")
            if replaces is not None:
                replaced = self._answers.get(replaces)
                if replaced is None:
                    raise ValueError(f"it replaces {replaces!r}, which was never given")
            answers.append(answer)
        corrections = tuple(decode_correction(text) for text in stored.corrections)
        edit = None if stored.classes is None else decode_edit(stored.classes)
        kind = cast("Kind", stored.kind)
        return Entry(stored.seq, kind, tuple(answers), replaced, corrections, edit, stored.target)

    def _add(self, entry: Entry) -> None:
        self._history.apply(entry)
        self._entries.append(entry)
        for answer in entry.answers:
            self._answers[answer.id] = answer
        self._n_corrections += len(entry.corrections)


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Pause the garbage collector: it would traverse all records read so far again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
