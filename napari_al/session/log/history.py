"""Records in force after a sequence of log entries; undo and redo are two stacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

# Needed at run time: the log's reader builds its validation from these types.
from napari_al.formats.classes import ClassInfo  # noqa: TC001
from napari_al.methods.queries import Answer, AutomaticCorrection

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ClassEdit:
    """All classes from here on, some of them new, changed or gone (``class_edits.py``)."""

    classes: tuple[ClassInfo, ...]


Record = Answer | AutomaticCorrection | ClassEdit
"""Content of a log entry, which an undo takes back."""

Kind = Literal["answer", "amend", "accept", "refuse", "classes", "undo", "redo"]

_PARTS: Final[dict[Kind, tuple[bool, bool, bool, bool, bool]]] = {
    "answer": (True, False, False, False, False),
    "amend": (True, True, False, False, False),
    "accept": (False, False, True, False, False),
    "refuse": (False, False, True, False, False),
    "classes": (False, False, False, True, False),
    "undo": (False, False, False, False, True),
    "redo": (False, False, False, False, True),
}
"""Whether an entry has answers, a replaced one, corrections, classes, a target."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log: what one call wrote, and what one undo takes back.

    Attributes
    ----------
    seq : int
        1, 2, ...: the position in the log, and the only order there is.
    kind : str
        ``answer``: answers; ``amend``: one answer in the place of ``replaced``; ``accept`` and
        ``refuse``: a batch of automatic corrections; ``classes``: an ``edit`` of them; ``undo`` and
        ``redo``: of entry ``target``.
    """

    seq: int
    kind: Kind
    answers: tuple[Answer, ...] = ()
    replaced: Answer | None = None
    corrections: tuple[AutomaticCorrection, ...] = ()
    edit: ClassEdit | None = None
    target: int | None = None

    def __post_init__(self) -> None:
        parts = (
            bool(self.answers),
            self.replaced is not None,
            bool(self.corrections),
            self.edit is not None,
            self.target is not None,
        )
        if parts != _PARTS.get(self.kind):
            raise ValueError(f"an entry of kind {self.kind!r} does not have these parts")

    @property
    def records(self) -> tuple[Record, ...]:
        """The answers, the corrections or the edit, whichever it has."""
        return self.answers or self.corrections or ((self.edit,) if self.edit else ())


class History:
    """The state after some entries; each further entry costs no more than its own size."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._done: list[Entry] = []
        self._undone: list[Entry] = []
        self._answers: list[Answer | None] = []  # in log order; None where one was replaced
        self._place: dict[str, int] = {}
        self._cached: tuple[Answer, ...] | None = ()
        for entry in entries:
            self.apply(entry)

    @property
    def undoable(self) -> Entry | None:
        """The entry that an undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Entry | None:
        """The entry that a redo would put back."""
        return self._undone[-1] if self._undone else None

    def get(self, answer_id: str) -> Answer | None:
        """Return the answer with this id if it is in force."""
        place = self._place.get(answer_id)
        return None if place is None else self._answers[place]

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first."""
        if self._cached is None:
            self._cached = tuple(filter(None, self._answers))
        return self._cached

    def corrections(self, *, accepted: bool) -> tuple[AutomaticCorrection, ...]:
        """Return the accepted or the refused automatic corrections in force, oldest first."""
        kind = "accept" if accepted else "refuse"
        return tuple(c for entry in self._done if entry.kind == kind for c in entry.corrections)

    def classes(self) -> tuple[ClassInfo, ...] | None:
        """Return the classes as they were edited last; None if they never were."""
        edits = (entry.edit.classes for entry in reversed(self._done) if entry.edit is not None)
        return next(edits, None)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry.

        Raises
        ------
        ValueError
            If the entry cannot follow: an undo of something that is not the newest in force, a
            change of an answer that is not in force.
        """
        if entry.kind == "undo":
            newest = self.undoable
            if newest is None or newest.seq != entry.target:
                raise ValueError(f"it takes back entry {entry.target}, which is not the newest")
            self._take_back(self._done.pop())
            self._undone.append(newest)
        elif entry.kind == "redo":
            newest = self.redoable
            if newest is None or newest.seq != entry.target:
                raise ValueError(f"it puts back entry {entry.target}, not the last undone")
            self._put(self._undone.pop())
        else:
            if entry.replaced is not None and self.get(entry.replaced.id) is None:
                raise ValueError(f"it replaces answer {entry.replaced.id}, which is not in force")
            self._undone.clear()
            self._put(entry)
        self._cached = None

    def _put(self, entry: Entry) -> None:
        if entry.replaced is not None:
            self._answers[self._place[entry.replaced.id]] = None
        for answer in entry.answers:
            self._place[answer.id] = len(self._answers)
            self._answers.append(answer)
        self._done.append(entry)

    def _take_back(self, entry: Entry) -> None:
        for answer in entry.answers:
            del self._place[answer.id]
        del self._answers[len(self._answers) - len(entry.answers) :]
        if entry.replaced is not None:
            self._answers[self._place[entry.replaced.id]] = entry.replaced
