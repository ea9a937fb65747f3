"""Read-only access to the rounds of a project, which may be finished or in use.

Nothing is written into the project, so another program may use it meanwhile. Files missing from its
``cache/`` are read from the reader's own cache, which a job (``rounds/rebuild_cache.py``) fills on
request. No call here trains, predicts or imports torch.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_al.errors import InputError
from napari_al.session.log.class_edits import with_classes
from napari_al.session.log.log import AnnotationLog
from napari_al.session.log.snapshot import Snapshot, open_data, snapshot_of
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project import cache_files
from napari_al.session.project.folder import Project
from napari_al.session.project.region_maps import RegionMaps
from napari_al.session.rounds import region_tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_al.core.sieving import ConfidenceCurve
    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.rounds.region_tables import Table


@dataclass(frozen=True)
class Missing:
    """A part of the cache that a job can rebuild.

    Attributes
    ----------
    what : str
        ``scores``: what a model said of the pool: its scores, tables and predictions;
        ``targets``: what a round was trained on, and by which curves it was sieved.
    round : int
        The model's, or the round trained.
    """

    what: Literal["scores", "targets"]
    round: int


class NotThereError(InputError):
    """The round has no such data, or its cache is gone; ``missing`` is what a job can rebuild."""

    def __init__(self, reason: str, missing: Missing | None = None) -> None:
        super().__init__(reason)
        self.missing = missing


@dataclass(frozen=True)
class RoundRecord:
    """One round: asked, answered, trained.

    Attributes
    ----------
    number : int
    is_done : bool
        Its model has been trained. Only the newest round may still be open.
    log_seq : int
        Position of the log up to which answers count for it.
    before, after : Snapshot
        The project when the round began, and with what was answered in it.
    answers : tuple of Answer
        Those of this round, oldest first.
    accepted, refused : tuple of AutomaticCorrection
        Those of this round.
    row : dict
        Of ``rounds.csv``; empty while the round is open.
    """

    number: int
    is_done: bool
    log_seq: int
    before: Snapshot
    after: Snapshot
    answers: tuple[Answer, ...]
    accepted: tuple[AutomaticCorrection, ...]
    refused: tuple[AutomaticCorrection, ...]
    row: dict[str, Any]

    @property
    def asked_by(self) -> int:
        """Round of the model whose scores the round was asked from; 0 with none: at random."""
        return self.number - 1


class Inspection:
    """One project, open for reading; may be used from several threads.

    Parameters
    ----------
    path : Path
        The project folder.
    cache : Path, optional
        A folder for what the project's own cache lacks. Else there is one until `close`.

    Attributes
    ----------
    config : ProjectConfig
        The project's settings, with the classes that are in force now.
    classes : tuple of ClassInfo
        Those in force now and then those taken back, which earlier rounds may name; by id.
    """

    config: ProjectConfig
    classes: tuple[ClassInfo, ...]

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.project = Project.open(path, read_only=True)
        self._is_brief = cache is None
        if cache is None:
            cache = Path(tempfile.mkdtemp(prefix="napari-al-"))
            weakref.finalize(self, shutil.rmtree, cache, ignore_errors=True)
        self.own = Project(path, read_only=True, cache=cache)
        self._made_with = self.project.read_config()
        self.data = open_data(self.project, self._made_with)
        self.maps = RegionMaps(self.project, self.data, self._made_with)
        self._places = (self.project, self.own)
        self._turn = threading.RLock()
        self._done = tuple(self.project.rounds_done())  # before the log, which has their answers
        self._log = AnnotationLog(self.project.log_file, read_only=True)
        self._take_up_classes()
        self._records: dict[int, RoundRecord] = {}
        self._scores: tuple[tuple[int, Path, int], PoolScores] | None = None

    def close(self) -> None:
        """Close the log and delete a temporary cache; may be called again."""
        self._log.close()
        if self._is_brief:
            shutil.rmtree(self.own.cache, ignore_errors=True)

    def refresh(self) -> bool:
        """Read new answers and rounds; return whether there are any."""
        with self._turn:
            done = tuple(self.project.rounds_done())
            if not self._log.refresh() and done == self._done:
                return False
            self._records = {n: r for n, r in self._records.items() if r.is_done and n in done}
            self._done = done
            self._take_up_classes()
            return True

    def _take_up_classes(self) -> None:
        self.config = with_classes(self._made_with, self._log.classes())
        known = self.config.classes
        for entry in reversed(self._log.entries()):
            if entry.edit is not None:
                known += entry.edit.classes[len(known) :]
        self.classes = known

    @property
    def rounds(self) -> tuple[int, ...]:
        """Rounds that are done, and the one that is open."""
        first = 0 if self.config.method.starts_from_labels else 1
        return (*self._done, self._done[-1] + 1 if self._done else first)

    def record(self, number: int) -> RoundRecord:
        """Return a round.

        Raises
        ------
        InputError
            There is no such round, or its record is damaged.
        """
        with self._turn:
            if number not in self.rounds:
                raise InputError(f"there is no round {number}; there are {self.rounds}")
            if number not in self._records:
                self._records[number] = self._read(number)
            return self._records[number]

    def _read(self, number: int) -> RoundRecord:
        is_done = number in self._done
        known = self.project.read_round(number) if is_done else {}
        log_seq = int(known.get("log_seq", self._log.last_seq))
        before, after = self._snapshot(self._begin(number)), self._snapshot(log_seq)
        earlier = {answer.id for answers in before.answers.values() for answer in answers}
        answers = [a for a in self._log.active(log_seq) if a.id not in earlier]
        accepted, refused = (
            tuple(c for c in self._log.corrections(log_seq, accepted=yes) if c.round == number)
            for yes in (True, False)
        )
        row = known.get("row", {})
        return RoundRecord(
            number, is_done, log_seq, before, after, tuple(answers), accepted, refused, row
        )

    def _begin(self, number: int) -> int:
        """Return the position of the log at which a round began."""
        earlier = [n for n in self._done if n < number]
        return int(self.project.read_round(earlier[-1])["log_seq"]) if earlier else 0

    def _snapshot(self, log_seq: int) -> Snapshot:
        return snapshot_of(self.project, self._made_with, self.data, self.maps, self._log, log_seq)

    def history(self, image: str, pixel_rc: tuple[int, int]) -> list[Answer]:
        """Return every answer in force about a pixel, oldest first."""
        with self._turn:
            answers = self._log.active()
        return [
            answer
            for answer in answers
            if answer.query.region.image == image and answer.query.region.mask.holds(pixel_rc)
        ]

    def job_args(self, missing: Missing) -> dict[str, Any]:
        """Return the arguments of ``rebuild_cache.restore``."""
        is_done = missing.round in self._done  # else: scores without a model
        return {
            "project": str(self.project.path.resolve()),
            "cache": str(self.own.cache),
            "what": missing.what,
            "round": missing.round,
            "log_seq": self.project.read_round(missing.round)["log_seq"] if is_done else 0,
        }

    # -- what rounds have left behind

    def has_model(self, model_round: int) -> bool:
        """Whether a round's model is there; before the first one there is none."""
        return self.project.model_file(model_round).exists()

    def scores(self, model_round: int) -> PoolScores:
        """Return a model's scores of the pool, or as many as there are.

        Raises
        ------
        NotThereError
        """
        for project in self._places:
            for so_far in (False, True):
                path = project.scores_file(model_round, so_far=so_far)
                try:
                    stamp = (model_round, path, path.stat().st_mtime_ns)
                except OSError:
                    continue
                with self._turn:
                    if self._scores is not None and self._scores[0] == stamp:
                        return self._scores[1]
                scores = PoolScores.load(path)
                if scores is not None:
                    with self._turn:
                        self._scores = (stamp, scores)
                    return scores
        raise self._not_there("scores", model_round, f"scores of the model of round {model_round}")

    def prediction(self, model_round: int, image: str) -> NDArray[np.uint8]:
        """(H, W) classes that a model predicts."""
        for project in self._places:
            found = cache_files.read_class_map(project.prediction_file(model_round, image))
            if found is not None:
                return found
        raise self._not_there("scores", model_round, f"prediction of round {model_round}")

    def table(self, model_round: int, image: str) -> Table:
        """Return an image's base regions under a model."""
        for project in self._places:
            found = region_tables.read_table(project.table_file(model_round, image))
            if found is not None:
                return found
        raise self._not_there("scores", model_round, f"table of regions of round {model_round}")

    def target(self, number: int, image: str, *, stage: int = 1) -> NDArray[np.uint8]:
        """(H, W) classes that a round was trained on."""
        for project in self._places:
            found = cache_files.read_class_map(project.target_file(number, image, stage=stage))
            if found is not None:
                return found
        raise self._not_there("targets", number, f"training labels of round {number}")

    def curves(self, number: int, image: str) -> dict[str, ConfidenceCurve]:
        """Return the curves by which a round's answers were sieved, by the answers' ids."""
        for project in self._places:
            found = region_tables.read_curves(project.curves_file(number, image))
            if found is not None:
                return found
        raise self._not_there("targets", number, f"confidence curves of round {number}")

    def _not_there(
        self, what: Literal["scores", "targets"], number: int, name: str
    ) -> NotThereError:
        """Return the error that says what is missing and whether it can be rebuilt."""
        if what == "scores":
            needs_model = number in self._done or number > 0
            models = [number] if needs_model else []
        else:
            by_model = self.config.method.targets == "sieve" and number > 1
            models = [number - 1] if by_model else []
            models += [number] if self.config.method.targets == "localise" else []
        lost = [self.project.model_file(n).name for n in models if not self.has_model(n)]
        if lost:
            return NotThereError(f"no {name}: the cache does not hold it, and {lost[0]} is gone")
        return NotThereError(f"no {name} in the cache", Missing(what, number))
