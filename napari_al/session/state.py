"""The state of an open project: answers, rounds, clicks, scores, upcoming queries.

Everything is derived from the log and the finished rounds, so that a session can be opened again
after any interruption. ``maps.py`` adds maps of images, ``models.py`` training, ``session.py``
answering.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.formats.data_record import read_record, record_of, write_record
from napari_al.methods.prequential import prequential_accuracy
from napari_al.methods.queries import Answer
from napari_al.session.events import SessionEvents
from napari_al.session.log.buffered_log import BufferedLog
from napari_al.session.log.class_edits import as_counted, with_classes
from napari_al.session.log.snapshot import Snapshot, by_image, open_data
from napari_al.session.pool.order import PoolReader
from napari_al.session.pool.queue import AnsweredState, QueryQueue
from napari_al.session.project.region_maps import RegionMaps
from napari_al.session.rounds.current_round import CurrentRound
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from napari_al.core.clicks import Clicks
    from napari_al.methods.prequential import PrequentialAccuracy
    from napari_al.methods.queries import AutomaticCorrection, Query, Region
    from napari_al.session.log.history import Entry, Record
    from napari_al.session.pool.order import Pool
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project


MANY = 50
"""With more answers than this, counting all again is faster than undoing each."""


class ProjectState:
    """The readable state of an open project.

    Parameters
    ----------
    project : Project
    config : ProjectConfig
        That the project was made with.

    Attributes
    ----------
    events : SessionEvents
    project : Project
    config : ProjectConfig
        With the classes in force.
    data : DataFolder
    """

    def __init__(self, project: Project, config: ProjectConfig) -> None:
        self.events = SessionEvents()
        self.project = project
        self._made_with = self.config = config
        self.data = open_data(project, config)
        self._maps = RegionMaps(project, self.data, config)
        self._pools = PoolReader(project, self.data, config)
        self._queue = QueryQueue()
        self._log = BufferedLog(project, self.events.unsaved_changed.emit)
        with ExitStack() as failed:
            failed.callback(self._log.close)
            self._rounds = CurrentRound(
                project, self._log.log, starts_from_labels=config.method.starts_from_labels
            )
            self._recount()
            if not project.read_only:
                project.check_names(self.data.train)
                self._write_rows()
                self._write_data_record()
            self._adopt(self._pools.newest())
            failed.pop_all()

    def upcoming(self, n: int, image: str = "") -> list[Query]:
        """Return the next ``n`` queries, the current one first; of one image, or "" = of any."""
        if not self._asks:
            return []
        if image:
            return list(islice(self._queue.queries_in(image, self._answered, self.round), n))
        return list(islice(self._queue.queries(self._answered, self.round), n))

    def query_about(self, region: Region) -> Query | None:
        """Return the query about the region of the pool that lies where this one does.

        None if it is answered, or if nothing is asked now.
        """
        if not self._asks:
            return None
        return self._queue.about(region.image, region.ids, self._answered, self.round)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return self._log.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to put back."""
        return self._log.can_redo

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first, in terms of the classes in force."""
        return tuple(self._answered.answers)

    def prequential_accuracy(self) -> PrequentialAccuracy:
        """Return how many of the answers in force the models that asked would have given."""
        return prequential_accuracy(self._answered.answers)

    def corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections in force, oldest first."""
        return as_counted(self._log.log.corrections(), self.config.classes)

    def log_entries(self) -> tuple[Entry, ...]:
        """Return all that was ever done, in order, what was undone as well (``replay.py``)."""
        return self._log.log.entries()

    @property
    def made_with(self) -> ProjectConfig:
        """The config that the project was made with: that of now, but for edits of classes."""
        return self._made_with.model_copy(update={"data": str(self.data.path)})

    @property
    def n_unsaved(self) -> int:
        """Answers that are held in memory only."""
        return self._log.n_unsaved

    @property
    def rescued(self) -> int:
        """Answers taken over that an earlier session could not write to the log."""
        return self._log.rescued

    # -- rounds, clicks, scores

    @property
    def round(self) -> int:
        """The round being answered, 1 = the first.

        0 for methods that start from labels, until the model of those has been trained (or its
        training has begun).
        """
        return self._rounds.number

    @property
    def model_round(self) -> int | None:
        """Round of the newest model; None before the first."""
        return self._rounds.model_round

    @property
    def scores_round(self) -> int:
        """Round of the newest model that orders queries; 0 before the first training.

        ``scores_are_complete`` says whether it orders all of them.
        """
        return 0 if self._queue.pool is None else self._queue.pool.newest_round

    @property
    def has_scores(self) -> bool:
        """Whether there is anything to ask from."""
        return self._queue.pool is not None

    def is_scored(self, image: str) -> bool:
        """Whether there are scores of an image's regions."""
        return self._queue.pool is not None and self._queue.pool.of_image(image) is not None

    @property
    def scores_are_complete(self) -> bool:
        """Whether the newest model has scored every image; if not, ``start_scoring`` goes on."""
        pool = self._queue.pool
        if pool is None or pool.newest_round != (self.model_round or 0):
            return False
        return len(pool.parts) == 1 and pool.images == frozenset(self.data.train)

    @property
    def n_regions(self) -> int:
        """Regions in the pool, answered ones included."""
        return 0 if self._queue.pool is None else len(self._queue.pool)

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be used of data and project, a sentence each; () = all is well."""
        broken = [broken.reason for broken in self.data.broken]
        lost = (str(error) for _, error in self._answered.snapshot.lost_images())
        return (*self._log.unreadable, *broken, *lost)

    @property
    def clicks(self) -> Clicks:
        """All clicks spent."""
        return self._answered.clicks

    @property
    def clicks_in_round(self) -> int:
        """Clicks spent in this round."""
        return self._answered.clicks_in_round

    @property
    def budget(self) -> int:
        """Clicks of this round."""
        return self.config.budget_of(self.round)

    @property
    def answers_in_round(self) -> int:
        """Answers given in this round."""
        return self._answered.n_in_round

    @property
    def answers_wanted(self) -> int | None:
        """Answers that end this round if its clicks are not spent before; None: none."""
        config = self.config
        if self.round == 1 and config.first_training is not None:
            return config.first_training
        return config.retrain_after

    @property
    def budget_is_spent(self) -> bool:
        """Whether this round has had its clicks, or the answers that end it."""
        wanted = self.answers_wanted
        has_answers = wanted is not None and self.answers_in_round >= wanted
        return has_answers or self.clicks_in_round >= self.budget

    def rounds(self) -> list[dict[str, str]]:
        """Return the rows of rounds.csv."""
        return self.project.read_rounds()

    @property
    def is_training(self) -> bool:
        """Whether a round's model is being trained (scoring comes after that)."""
        return self._rounds.is_under_way

    def answers_of_model(self) -> tuple[Answer, ...]:
        """Return the answers in force when the training of the newest model began."""
        if self.model_round is None:
            return ()
        log_seq = int(self.project.read_round(self.model_round)["log_seq"])
        return as_counted(self._log.log.active(log_seq), self.config.classes)

    # -- private

    @property
    def _asks(self) -> bool:
        return self.round >= 1 and not self.budget_is_spent

    def _checked_pool(self) -> Pool:
        if self._queue.pool is None:
            raise InputError("there are no scores yet; prepare() makes them")
        return self._queue.pool

    def _adopt(self, pool: Pool | None) -> None:
        """Use these scores for the next queries."""
        if pool is not None:
            self._queue.adopt(pool)
            self.events.scores_changed.emit()

    def _take(self, answers: tuple[Answer, ...]) -> None:
        for answer in answers:
            self._answered.add(answer)
        self.events.answered.emit(answers)

    def _follow(self, records: tuple[Record, ...], *, put_back: bool) -> None:
        """Update the counts after an undo or a redo, incrementally where that is possible."""
        n_answers = len(self._answered.answers) + (len(records) if put_back else -len(records))
        answers = [record for record in records if isinstance(record, Answer)]
        is_other = len(answers) < len(records) or len(self._log.answers()) != n_answers
        if is_other or len(answers) > MANY:  # not just answers, others in their place, or many
            self._recount()
            return
        for answer in answers:
            if put_back:
                self._answered.add(answer)
            else:
                self._queue.reopen(self._answered.take_back().query.region)

    def _recount(self) -> None:
        """Recompute all counts from the log: after edits of classes, corrections, a new round."""
        changed = self._take_up_classes()
        self._answered = AnsweredState(
            Snapshot(
                self.project,
                self.config,
                self.data,
                self._maps,
                {},
                by_image((c.region.image, c) for c in self.corrections()),
            ),
            self._log.answers(),
            self._rounds.earlier(),
        )
        if changed:
            self._queue.relabel(self._answered)
            self.events.classes_changed.emit()
        else:
            self._queue.reset()

    def _take_up_classes(self) -> bool:
        """Apply the log's classes in force; return whether they have changed."""
        config = with_classes(self._made_with, self._log.log.classes())
        if config.classes == self.config.classes:
            return False
        self.config, self.data = config, replace(self.data, classes=config.classes)
        self._maps = RegionMaps(self.project, self.data, config)
        return True

    def _write_data_record(self) -> None:
        """Record the images, so that a moved data folder can be found; also for older projects."""
        with suppress(WriteError, OSError):  # it is made when the project is opened next
            if read_record(self.project.data_file) is None:
                write_record(self.project.data_file, record_of(self.data, self.project.path))

    def _write_rows(self) -> None:
        try:
            self._rounds.write_rows()
        except WriteError as error:  # its figures are kept beside the model
            self.events.warned.emit(str(error))
