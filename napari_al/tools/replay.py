"""Repeat all steps of a project from its log, without a window.

Answers contain their pixels, so the pool need not be scored; targets and models are the same (bit
for bit on the CPU of one machine).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_al.session.log.history import Entry, Kind

_WORDS: dict[Kind, str] = {
    "answer": "{n} answered",
    "amend": "an answer changed",
    "accept": "{n} automatic corrections accepted",
    "refuse": "{n} automatic corrections refused",
    "classes": "classes edited",
    "undo": "undo",
    "redo": "redo",
}


@dataclass(frozen=True, slots=True)
class Step:
    """An entry of the log, or the training of a round."""

    entry: Entry | None
    trained_round: int | None = None

    def __str__(self) -> str:
        if self.entry is None:
            return f"round {self.trained_round} trained"
        return _WORDS[self.entry.kind].format(n=len(self.entry.records))


def steps_of(done: Session) -> Iterator[Step]:
    """Yield all steps of a project, in order."""
    trained = [(n, done.project.read_round(n)["log_seq"]) for n in done.project.rounds_done()]
    entries: list[Entry | None] = [None, *done.log_entries()]
    for seq, entry in enumerate(entries):
        if entry is not None:
            yield Step(entry)
        for number, log_seq in trained:
            if log_seq == seq:
                yield Step(None, number)


def begin_again(done: Session, path: Path) -> Session:
    """Create a project with the settings that another one was created with, and open it."""
    again = Session.create(path, done.made_with)
    own_labels = done.project.path / "initial"
    if own_labels.is_dir():
        shutil.copytree(own_labels, again.project.path / "initial")
    return again


def repeat(step: Step, session: Session) -> None:
    """Do a step of another project in this one."""
    entry = step.entry
    if entry is None:
        session.train(propose=False)
        return
    match entry.kind:
        case "answer":
            session.submit(*entry.answers)
        case "amend" if entry.replaced is not None:
            session.amend(entry.replaced.id, *entry.answers)
        case "accept":
            session.decide_corrections(entry.corrections)
        case "refuse":
            session.decide_corrections((), entry.corrections)
        case "classes" if entry.edit is not None:
            session.edit_classes(entry.edit.classes)
        case "undo":
            session.undo()
        case "redo":
            session.redo()


def script_of(done: Session) -> str:
    """Return a Python script that repeats all steps of a project."""
    path = done.project.path.resolve()
    config, answers = done.config, done.answers()
    return f'''"""Does again, without a window, what was done in {path.name}.

{config.method.name} on {done.data.path}, seed {config.seed}: {len(answers)} answers
({done.clicks.total} clicks), {len(done.rounds())} rounds trained.
"""

from pathlib import Path

from napari_al import Session, begin_again, repeat, steps_of

DONE = Path({str(path)!r})
AGAIN = DONE.with_name({path.name + "-again"!r})  # a new folder

with Session.open(DONE, read_only=True) as done, begin_again(done, AGAIN) as again:
    for step in steps_of(done):
        repeat(step, again)
        print(step)
    print(f"{{len(again.answers())}} answers, {{again.clicks.total}} clicks: {{AGAIN}}")
'''
