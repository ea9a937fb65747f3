"""A project that is open: ask, answer, undo, train. (Contract; the body follows.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal, SignalGroup

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.formats.dataset import DataFolder
    from napari_al.session.config import ProjectConfig
    from napari_al.session.records import Answer, AutomaticCorrection, Query


class SessionEvents(SignalGroup):
    """What a view may listen to. Emitted on the thread that called, job events on the main one."""

    answered = Signal(object)  # Answer, after it is on disk
    undone = Signal(tuple)  # the answers taken back
    redone = Signal(tuple)  # the answers put back
    round_changed = Signal(int)
    scores_changed = Signal(object)  # name of the image whose scores are new, None = all
    job_progress = Signal(object)  # JobProgress
    job_finished = Signal(object)  # JobResult: done, stopped or failed, with the reason
    corrections_proposed = Signal(tuple)  # AutomaticCorrection, ...


class Session:
    """See docs/architecture.md."""

    events: SessionEvents
    config: ProjectConfig
    data: DataFolder
    project: Path
    read_only: bool

    @classmethod
    def create(cls, project: Path, config: ProjectConfig) -> Session: ...
    @classmethod
    def open(cls, project: Path, *, read_only: bool = False) -> Session: ...
    def close(self) -> None: ...

    # asking and answering
    def query(self) -> Query | None:
        """The best query that has no answer yet; the same one until it is answered.

        None when the pool is empty, or when the round's budget is spent and training has not been
        started (``start_training`` begins the next round, whose queries then come from the
        scores that are there, until the new ones arrive).
        """

    def upcoming(self, n: int) -> list[Query]: ...
    def submit(self, answer: Answer) -> None: ...
    def submit_many(self, answers: list[Answer]) -> None: ...  # one undo takes all back
    def undo(self) -> tuple[Answer, ...]: ...
    def redo(self) -> tuple[Answer, ...]: ...
    def answers(self) -> tuple[Answer, ...]: ...  # those in force, oldest first

    # where it stands
    @property
    def round(self) -> int: ...  # being answered; 1 = the first
    @property
    def model_round(self) -> int: ...  # of the model whose scores and predictions show
    @property
    def spent_in_round(self) -> int: ...  # clicks
    def rounds(self) -> list[dict[str, str]]: ...  # rows of rounds.csv

    # models
    def train(self) -> None: ...  # blocking, in this process
    def start_training(self) -> None: ...  # in a child process
    def stop_training(self) -> None: ...
    @property
    def is_training(self) -> bool: ...

    # pictures, all (H, W) of one image; None where there is nothing yet
    def region_map(self, image: str) -> NDArray[np.int32]: ...
    def score_map(self, image: str) -> NDArray[np.float32] | None: ...
    def prediction(self, image: str) -> NDArray[np.uint8] | None: ...
    def targets(self, image: str) -> NDArray[np.uint8]: ...
    def proposed_corrections(self) -> tuple[AutomaticCorrection, ...]: ...
    def accept_corrections(self, corrections: tuple[AutomaticCorrection, ...]) -> None: ...
