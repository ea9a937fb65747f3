"""A project that is open: ask, answer, undo, train.

Two verbs, no waiting: ``query()`` says what to ask, ``submit()`` takes an answer and returns when
it is on disk. Whoever annotates (a person, an oracle, a replay) drives. Everything but the log and
the rounds that are done is derived from them, so a Session can be opened again after any stop.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal, SignalGroup

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.formats.classes import as_merged
from napari_al.session import pictures
from napari_al.session.acquisition import check_acquisition
from napari_al.session.class_edits import as_counted, checked_edit, with_classes
from napari_al.session.jobs import Job, JobResult
from napari_al.session.log import AnnotationLog, LogWriteError
from napari_al.session.pool import ModelScores, Pool
from napari_al.session.project import Project
from napari_al.session.records import Answer, AutomaticCorrection, ClassEdit, Query
from napari_al.session.region_maps import RegionMaps
from napari_al.session.rescue import read_rescue, rescue_files, write_rescue
from napari_al.session.scores import PoolScores, paint_scores
from napari_al.session.snapshot import Snapshot, by_image, open_data
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.session.config import ProjectConfig
    from napari_al.session.history import Entry
    from napari_al.session.jobs import JobProgress
    from napari_al.session.records import Record


class SessionEvents(SignalGroup):
    """What a view may listen to; emitted where ``dispatch`` runs it, see ``Session``."""

    answered = Signal(tuple)
    """The answers submitted, after they are on disk."""
    undone = Signal(tuple)
    """The answers, the automatic corrections or the edit of classes taken back."""
    redone = Signal(tuple)
    """The answers, the automatic corrections or the edit of classes put back."""
    round_changed = Signal(int)
    """Another round is being answered, or the figures of a round's model are there."""
    scores_changed = Signal()
    """Scores, predictions and what comes next: of some images, or of all. The query stays."""
    unsaved_changed = Signal(int)
    """So many answers are held in memory because the log cannot be written; 0 = none any more."""
    warned = Signal(str)
    """Something that goes on, but should be known: an image left out, a smaller batch."""
    job_progress = Signal(object)
    """A ``JobProgress``."""
    job_finished = Signal(object)
    """A ``JobResult``: done, stopped or failed, with the reason."""
    classes_changed = Signal()
    """``Session.config`` has other classes: an edit, or one that was taken back or put back."""


NOTHING: frozenset[int] = frozenset()
N_READ_AHEAD = 12
"""Questions whose images' region maps are read before they are asked, off the views' thread."""
SCORING_STAGES = ("superpixels", "scoring")
"""Stages of a job after the training."""


@dataclass(frozen=True)
class _Running:
    """A job under way."""

    job: Job
    function: str
    args: dict[str, Any]


@dataclass(frozen=True)
class _Round:
    """A round whose training is done or under way: where its answers end."""

    number: int
    log_seq: int


class Session:
    """One project, open.

    Parameters
    ----------
    project : Project
    config : ProjectConfig
    dispatch : callable
        Runs a function on the thread that owns the views; background jobs report through it. The
        default runs it at once, where there are no views.

    Attributes
    ----------
    rescued : int
        Answers taken over that an earlier session could not write to the log.
    """

    def __init__(
        self,
        project: Project,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.events = SessionEvents()
        self.project = project
        self._dispatch = dispatch or (lambda call: call())
        self._made_with = self.config = config
        self.data = open_data(project, config)
        self._maps = RegionMaps(project, self.data, config)
        self._shapes = {image: self.data.shape(image) for image in self.data.train}
        self._pool: Pool | None = None
        self._asked: Query | None = None
        self._looked_at = ""
        self._held: list[tuple[Answer, ...]] = []
        self._timings: dict[str, float] = {}
        self._running: _Running | None = None
        self._under_way = False
        self.rescued = 0
        self._unreadable: tuple[str, ...] = ()
        with ExitStack() as files:  # closed again if anything in here fails
            if not project.read_only:
                files.callback(project.lock().release)
            log = AnnotationLog(project.log_file, read_only=project.read_only)
            self._log = files.enter_context(log)
            self._resume()
            self._files = files.pop_all()

    def _resume(self) -> None:
        """Go on where the project was left."""
        if not self.project.read_only:
            self._take_over_rescued()
        self._set_boundary(self._last_done())
        self._before_training = self._boundary
        if not self.project.read_only:
            self._write_rows()
        self._adopt(self._stored_pool())

    @classmethod
    def create(
        cls,
        path: Path,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
    ) -> Session:
        """Make a project folder and open it."""
        check_acquisition(config.method)
        return cls(Project.create(path, config), config, dispatch=dispatch)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
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
        return cls(project, config, dispatch=dispatch)

    def close(self) -> None:
        """End a running job, let go of the files; may be called again.

        Answers that are held in memory (see ``hold``) are kept as ``rescue`` says.

        Raises
        ------
        WriteError
            They could be kept nowhere and are lost; all else is closed.
        """
        running, self._running = self._running, None
        if running is not None:
            running.job.abandon()  # it can be killed at any moment
            running.job.close()
        with self._files:
            self.rescue()

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
        self._asked = next(self._queries(), None)
        return self._asked

    def upcoming(self, n: int) -> list[Query]:
        """Return the next ``n`` queries, the current one first."""
        return [query for query, _ in zip(self._queries(), range(n), strict=False)]

    def submit(self, *answers: Answer) -> None:
        """Take answers; they are on disk when this returns, and one undo takes all of them back."""
        self._save_held()
        self._log.append(answers)
        self._take(answers)

    def hold(self, *answers: Answer) -> None:
        """Take answers that ``submit`` could not write (``LogWriteError``: the disk is full, ...).

        They count as given at once and are written by ``save``, which a window calls from time to
        time, or by whatever writes to the log next. Until then they are in memory only.
        """
        self._held.append(answers)
        self._take(answers)
        self.events.unsaved_changed.emit(self.n_unsaved)

    def save(self) -> bool:
        """Write the answers that are held in memory; return whether all are on disk."""
        try:
            self._save_held()
        except LogWriteError:
            return False
        return True

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
        if self.save():
            return None
        try:
            path = write_rescue(self.project.path, self._held)
        except WriteError as error:
            raise WriteError(f"{self.n_unsaved} answers could not be written: {error}") from error
        self._held.clear()
        return path

    @property
    def n_unsaved(self) -> int:
        """Answers that are held in memory only."""
        return sum(map(len, self._held))

    def amend(self, answer_id: str, answer: Answer) -> None:
        """Put an answer in the place of an earlier one."""
        self._save_held()
        self._log.amend(answer_id, answer)
        self._recount()
        self.events.answered.emit((answer,))

    def edit_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Add, rename, recolour or merge classes: all of them, as they are from now on.

        Answers stay and follow: an answer that names a merged class counts as one for the class
        that it was merged into. An edit is on disk when this returns, and ``undo`` takes it back.

        Raises
        ------
        InputError
            If a class is left out (merge it instead), or they contradict each other.
        """
        edited = checked_edit(self.config.classes, classes)
        if edited != self.config.classes:
            self._save_held()
            self._log.edit_classes(ClassEdit(edited))
            self._recount()

    def undo(self) -> tuple[Record, ...]:
        """Take back what was submitted, amended, edited or accepted last, also over restarts."""
        held = self._held.pop() if self._held else None
        taken_back: tuple[Record, ...] = self._log.undo() if held is None else held
        if taken_back:
            self._recount()
            self.events.undone.emit(taken_back)
        if held is not None:
            self.events.unsaved_changed.emit(self.n_unsaved)
        return taken_back

    def redo(self) -> tuple[Record, ...]:
        """Put back what was undone last."""
        self._save_held()
        put_back = self._log.redo()
        if put_back:
            self._recount()
            self.events.redone.emit(put_back)
        return put_back

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._held) or self._log.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to put back."""
        return not self._held and self._log.can_redo

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first, in terms of the classes in force."""
        held = tuple(answer for answers in self._held for answer in answers)
        return as_counted(self._log.active() + held, self.config.classes)

    def corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections in force, oldest first."""
        return as_counted(self._log.corrections(), self.config.classes)

    def log_entries(self) -> tuple[Entry, ...]:
        """Return all that was ever done, in order, what was undone as well (``replay.py``)."""
        return self._log.entries()

    @property
    def made_with(self) -> ProjectConfig:
        """The config that the project was made with: that of now, but for edits of classes."""
        return self._made_with.model_copy(update={"data": str(self.data.path)})

    # -- where it stands

    @property
    def round(self) -> int:
        """The round being answered, 1 = the first.

        0 for methods that start from labels, until the model of those has been trained (or its
        training has begun).
        """
        if self._boundary is None:
            return 0 if self.config.method.starts_from_labels else 1
        return self._boundary.number + 1

    @property
    def model_round(self) -> int | None:
        """Round of the newest model; None before the first."""
        done = self.project.rounds_done()
        return done[-1] if done else None

    @property
    def scores_round(self) -> int:
        """Round of the newest model that orders queries; 0 before the first training.

        ``scores_are_complete`` says whether it orders all of them.
        """
        return 0 if self._pool is None else self._pool.newest_round

    @property
    def has_scores(self) -> bool:
        """Whether there is anything to ask from."""
        return self._pool is not None

    @property
    def scores_are_complete(self) -> bool:
        """Whether the newest model has scored every image; if not, ``start_scoring`` goes on."""
        pool = self._pool
        if pool is None or pool.newest_round != (self.model_round or 0):
            return False
        return len(pool.parts) == 1 and pool.images == frozenset(self.data.train)

    @property
    def n_regions(self) -> int:
        """Regions in the pool, answered ones included."""
        return 0 if self._pool is None else len(self._pool.order)

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be used of data and project, a sentence each; () = all is well."""
        broken = [broken.reason for broken in self.data.broken]
        lost = (str(error) for _, error in self._now.lost_images())
        return (*self._unreadable, *broken, *lost)

    @property
    def clicks(self) -> Clicks:
        """All clicks spent."""
        return self._clicks

    @property
    def clicks_in_round(self) -> int:
        """Clicks spent in this round."""
        return self._clicks_in_round

    @property
    def budget_is_spent(self) -> bool:
        """Whether this round's clicks have reached the budget."""
        return self._clicks_in_round >= self.config.budget

    def rounds(self) -> list[dict[str, str]]:
        """Return the rows of rounds.csv."""
        return self.project.read_rounds()

    # -- models

    def prepare(
        self,
        on_progress: Callable[[JobProgress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make the scores that the next query comes from, in this process."""
        from napari_al.session.scoring import make_scores
        from napari_al.session.work import Work

        if not self.scores_are_complete:
            started = time.perf_counter()
            model_round = self.model_round or 0
            scores = make_scores(Work(self._now, model_round, on_progress, should_stop))
            self._timings["score_s"] = time.perf_counter() - started
            self._adopt(self._pool_of([ModelScores(model_round, scores, complete=True)]))

    def train(
        self,
        on_progress: Callable[[JobProgress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        propose: bool = True,
    ) -> None:
        """Train on the answers so far, in this process; the next round begins.

        Automatic corrections, where the method has them, are made and accepted before, unless
        ``propose`` is False.
        """
        from napari_al.session.rounds import train_round

        if propose and self.config.method.correction == "automatic":
            proposed = self.propose_corrections()
            self.decide_corrections(proposed)
        args = self._begin_training()
        try:
            train_round(args, on_progress, should_stop)
        finally:
            self._end_training()
        self._pool = None

    def start_training(self) -> None:
        """Train in a child process, then score; answering goes on, the next round begins.

        Scoring that is under way ends: it would soon be outdated.
        """
        args = self._begin_training()
        if self._running is not None:
            self._running.job.abandon()
            self._running = None
        self._start("train_and_score", args)

    def start_scoring(self) -> None:
        """Make the scores that the next query comes from in a child process."""
        self._start("score_round", self._job_args(self.model_round or 0))

    def look_at(self, image: str) -> None:
        """Say which image is on screen: jobs score it first."""
        if image != self._looked_at and not self.project.read_only:
            self._looked_at = image
            self.project.write_looked_at(image)

    def stop_job(self) -> None:
        """End the running job; its round goes on if it was to be trained."""
        if self._running is not None:
            self._running.job.stop()

    def wait_for_job(self) -> None:
        """Return when the running job has ended and its result is swapped in."""
        running = self._running
        while running is not None:
            running.job.done.result()
            running.job.close()
            running = None if self._running is running else self._running

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return self._running is not None

    @property
    def is_training(self) -> bool:
        """Whether a round's model is being trained (scoring comes after that)."""
        return self._under_way

    def propose_corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections that this round's answers justify, to look at.

        Takes seconds. None for other methods, or before there is a model.
        """
        from napari_al.session.proposals import propose_corrections

        if self.config.method.correction == "manual" or self.round < 1:
            return ()
        answers = [answer for answer in self.answers() if answer.id not in self._earlier]
        asked_by = self._checked_pool().parts[0]
        return propose_corrections(self._now, asked_by.scores, answers, self.round)

    def decide_corrections(
        self,
        accepted: Sequence[AutomaticCorrection],
        refused: Sequence[AutomaticCorrection] = (),
    ) -> None:
        """Accept and refuse proposed corrections; each of the two is undone at once."""
        if refused:
            self._save_held()
            self._log.add_corrections(refused, accepted=False)
        if accepted:
            self._save_held()
            self._log.add_corrections(accepted, accepted=True)
            self._recount()

    # -- pictures of one image

    def region_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) base region ids, -1 = none."""
        return self._maps(image)

    def score_map(self, image: str) -> NDArray[np.float32] | None:
        """(H, W) acquisition scores, NaN where there is no region or it was answered.

        None while there are no scores.
        """
        source = None if self._pool is None else self._pool.of_image(image)
        if source is None:
            return None
        scores, index = source
        region_map = self._maps(image)
        of_base = scores.spread(index, scores.score, region_map)
        return paint_scores(of_base, region_map, self._settled.get(image, ()))

    def asked_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) ids of the regions as they would be asked: base regions, or merged ones."""
        region_map = self._maps(image)
        source = None if self._pool is None else self._pool.of_image(image)
        if source is None:
            return region_map
        scores, index = source
        scores.check_fit(index, region_map)
        groups = scores.groups_of(index)
        return region_map if groups is None else groups[region_map]

    def prediction(self, image: str) -> NDArray[np.uint8] | None:
        """(H, W) classes that the newest model that scored it predicts; None before the first."""
        model_round = None if self._pool is None else self._pool.round_of_image(image)
        if model_round is None:
            return None
        stored = pictures.read_class_map(self.project.prediction_file(model_round, image))
        return None if stored is None else as_merged(stored, self.config.classes)

    def answers_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) classes of the answers alone, IGNORE elsewhere."""
        return self._now.answers_map(image)

    def targets(self, image: str) -> NDArray[np.uint8]:
        """(H, W) labels that the newest model was trained on, IGNORE elsewhere.

        Before the first training (or if the cache is gone): the answers, or corrected labels.
        """
        if self.model_round is not None:
            stage = 2 if self.config.method.targets == "localise" else 1
            path = self.project.target_file(self.model_round, image, stage=stage)
            stored = pictures.read_class_map(path)
            if stored is not None:
                return as_merged(stored, self.config.classes)
        if self.config.method.starts_from_labels:
            return self._now.current_labels(image)
        return self._now.answers_map(image)

    # -- inside: queries

    def _queries(self) -> Iterator[Query]:
        """Yield what to ask, best first; before all what has been asked and has no answer yet."""
        if self._pool is None or self.round < 1 or self.budget_is_spent:
            return
        asked = self._asked
        if asked is not None and asked.round == self.round and self._is_open(*_place(asked)):
            yield asked
        else:
            asked = None
        order = self._pool.order
        for position in range(self._head, len(order)):
            query = self._query_of_row(int(order[position]))
            if query is not None and (asked is None or query.region != asked.region):
                yield query
            elif query is None and position == self._head:
                self._head += 1

    def _query_of_row(self, row: int) -> Query | None:
        """Return the question about a row of the pool; None if it is not to be asked (again)."""
        from napari_al.session.proposals import region_of_row

        part, own_row = self._checked_pool().locate(row)
        scores = part.scores
        image = scores.images[int(scores.image_index[own_row])]
        if not self._is_open(image, scores.base_ids(own_row)):
            return None
        region = region_of_row(self._now, scores, own_row)
        pixel_rc = pseudo_label = None
        if self.config.method.query == "correction":
            if scores.pixel is None:
                pixel_rc = region.mask.central_pixel()
            else:
                r, c = divmod(int(scores.pixel[own_row]), self.data.shape(image)[1])
                pixel_rc = (r, c)
            pseudo_label = self._now.current_label(image, pixel_rc)
        return Query(
            region=region,
            query_type=self.config.method.query,
            score=float(scores.score[own_row]),
            round=self.round,
            model_round=part.round,
            pixel_rc=pixel_rc,
            pseudo_label=pseudo_label,
        )

    def _is_open(self, image: str, ids: tuple[int, ...]) -> bool:
        """Whether base regions hold one not answered, and none put off in this round.

        Merged regions may hold superpixels that were answered before: they are asked again with
        the rest, and the new answer counts where both say something.
        """
        settled, skipped = self._settled.get(image, NOTHING), self._skipped.get(image, NOTHING)
        return not settled.issuperset(ids) and skipped.isdisjoint(ids)

    # -- inside: scores

    def _checked_pool(self) -> Pool:
        if self._pool is None:
            raise InputError("there are no scores yet; prepare() makes them")
        return self._pool

    def _stored_pool(self) -> Pool | None:
        """Return the newest model's scores; for images that it has not reached, older ones."""
        parts: list[ModelScores] = []
        for model_round in sorted({0, *self.project.rounds_done()}, reverse=True):
            part = self._stored_scores(model_round)
            parts[:0] = [part] if part is not None else []
            if part is not None and part.complete:
                break
        return self._pool_of(parts)

    def _stored_scores(self, model_round: int) -> ModelScores | None:
        for so_far in (False, True):
            scores = PoolScores.load(self.project.scores_file(model_round, so_far=so_far))
            if scores is not None:
                return ModelScores(model_round, scores, complete=not so_far)
        return None

    def _pool_of(self, parts: Sequence[ModelScores]) -> Pool | None:
        started = time.perf_counter()
        pool = Pool(parts, self._shapes, self.config)
        self._timings["select_s"] = time.perf_counter() - started
        return pool if len(pool.order) else None

    def _adopt(self, pool: Pool | None) -> None:
        """Ask from these scores now."""
        if pool is not None:
            self._pool, self._head = pool, 0
            self.events.scores_changed.emit()

    # -- inside: counting

    def _take(self, answers: tuple[Answer, ...]) -> None:
        for answer in answers:
            self._count(answer)
        self.events.answered.emit(answers)

    def _save_held(self) -> None:
        """Write what is held in memory, in order, as far as it goes."""
        if not self._held:
            return
        before = self.n_unsaved
        try:
            while self._held:
                self._log.append(self._held[0])
                del self._held[0]
        finally:
            if self.n_unsaved != before:
                self.events.unsaved_changed.emit(self.n_unsaved)

    def _take_over_rescued(self) -> None:
        """Put answers into the log that an earlier session could not write."""
        for path in rescue_files(self.project.path):
            try:
                entries = read_rescue(path)
            except InputError as error:
                self._unreadable += (str(error),)
                continue
            held = {answer.id for answers in self._held for answer in answers}
            for entry in entries:
                new = tuple(a for a in entry if a.id not in held and not self._log.knows(a.id))
                self._held += [new] if new else []
                self.rescued += len(new)
            if self.save():
                with suppress(OSError):  # the log knows its answers by now
                    path.unlink()

    def _count(self, answer: Answer) -> None:
        """Take one more answer into account."""
        region, is_earlier = answer.query.region, answer.id in self._earlier
        counted = as_counted([answer], self.config.classes)
        self._now.answers.setdefault(region.image, []).extend(counted)
        self._clicks += answer.clicks
        self._n_answers += 1
        if not is_earlier:
            self._clicks_in_round += answer.clicks.total
        if answer.outcome != "skipped":
            self._settled.setdefault(region.image, set()).update(region.ids)
        elif not is_earlier:
            self._skipped.setdefault(region.image, set()).update(region.ids)

    def _set_boundary(self, boundary: _Round | None) -> None:
        """Let the answers up to a position of the log belong to earlier rounds."""
        self._boundary = boundary
        earlier = self._log.active(0 if boundary is None else boundary.log_seq)
        self._earlier = frozenset(answer.id for answer in earlier)
        self._recount()

    def _recount(self) -> None:
        """Derive everything from the log again: after opening, undo, redo, a new round."""
        asked, changed = self._asked, self._take_up_classes()
        self._now = Snapshot(
            self.project,
            self.config,
            self.data,
            self._maps,
            {},
            by_image((c.region.image, c) for c in self.corrections()),
        )
        self._clicks, self._clicks_in_round, self._n_answers = Clicks(), 0, 0
        self._settled: dict[str, set[int]] = {}
        self._skipped: dict[str, set[int]] = {}
        self._head, self._asked = 0, None
        for answer in self.answers():
            self._count(answer)
        if changed:
            if asked is not None and asked.pixel_rc is not None:
                label = self._now.current_label(asked.region.image, asked.pixel_rc)
                asked = replace(asked, pseudo_label=label)
            self._asked = asked
            self.events.classes_changed.emit()

    def _take_up_classes(self) -> bool:
        """Have the classes that are in force by the log; return whether they are others."""
        config = with_classes(self._made_with, self._log.classes())
        if config.classes == self.config.classes:
            return False
        self.config, self.data = config, replace(self.data, classes=config.classes)
        self._maps = RegionMaps(self.project, self.data, config)
        return True

    # -- inside: training

    def _job_args(self, round_number: int) -> dict[str, Any]:
        score_s, select_s = self._timings.pop("score_s", None), self._timings.pop("select_s", None)
        return {
            "project": str(self.project.path),
            "round": round_number,
            "log_seq": self._log.last_seq,
            "row": {
                "round": round_number,
                "queries": self._n_answers,
                "clicks": self._clicks.total,
                "class_clicks": self._clicks.class_clicks,
                "polygon_clicks": self._clicks.polygon_clicks,
                "intersection_clicks": self._clicks.intersection_clicks,
                "n_regions": self.n_regions if self.scores_are_complete else None,
                "score_s": None if score_s is None else round(score_s, 3),
                "select_s": None if select_s is None else round(select_s, 4),
                "seed": self.config.seed,
                "method": self.config.method.name,
            },
        }

    def _begin_training(self) -> dict[str, Any]:
        """End the round's answers here; return the job's arguments."""
        if self.project.read_only:
            raise InputError(f"{self.project.path} is open for reading only; it cannot be trained")
        if self._under_way:
            raise InputError("a training is running already; wait for it, or stop it first")
        if not self.config.method.starts_from_labels and not self._n_answers:
            raise InputError("there is nothing to train on yet; answer a query first")
        self._save_held()
        args = self._job_args(self.round)
        self._before_training = self._boundary
        self._under_way = True
        self._set_boundary(_Round(args["round"], args["log_seq"]))
        self.events.round_changed.emit(self.round)
        return args

    def _end_training(self) -> None:
        """Take note that a round is trained; if it is not, its answers are open again."""
        self._under_way = False
        if self._boundary == self._last_done():
            self._write_rows()
        else:
            self._set_boundary(self._before_training)
        self.events.round_changed.emit(self.round)

    def _last_done(self) -> _Round | None:
        """Return the newest round that has a model."""
        number = self.model_round
        if number is None:
            return None
        return _Round(number, int(self.project.read_round(number)["log_seq"]))

    def _write_rows(self) -> None:
        """Bring rounds.csv up to the rounds that are done (a crash may have come in between)."""
        written = {row["round"] for row in self.project.read_rounds()}
        try:
            for number in self.project.rounds_done():
                if str(number) not in written:
                    self.project.append_round(self.project.read_round(number)["row"])
        except WriteError as error:  # its figures are kept beside the model
            self.events.warned.emit(str(error))

    # -- inside: jobs

    def _start(self, function: str, args: dict[str, Any]) -> None:
        """Start a job; what it reports comes in on its own thread, and goes on to the views'."""
        if self._running is not None:
            raise InputError("a job is running already; wait for it, or stop it first")

        def on_progress(progress: JobProgress) -> None:
            pool = self._pool_with(args["round"]) if progress.published else None
            self._dispatch(lambda: self._on_job_progress(running, progress, pool))

        def on_finished(result: JobResult) -> None:
            for image in result.value.get("left_out", ()):
                self._shapes.pop(image, None)  # not to be asked, until the project is opened again
            pool = self._pool_with(args["round"]) if result.status == "done" else None
            self._dispatch(lambda: self._on_job_finished(running, result, pool))

        job = Job(
            f"napari_al.session.rounds:{function}",
            {**args, "live": True},
            threads=self.config.training.threads,
            on_progress=on_progress,
            on_finished=on_finished,
        )
        running = self._running = _Running(job, function, args)
        job.start()

    def _pool_with(self, model_round: int) -> Pool | None:
        """Return the pool with what a model has scored by now."""
        new = self._stored_scores(model_round)
        if new is None:
            return None
        old = () if self._pool is None else self._pool.parts
        pool = self._pool_of([*(part for part in old if part.round < model_round), new])
        if pool is not None:
            for row in pool.order[:N_READ_AHEAD].tolist():
                with suppress(InputError):  # whoever asks about the image will say so
                    self._maps(pool.image(row))
        return pool

    def _on_job_progress(self, running: _Running, progress: JobProgress, pool: Pool | None) -> None:
        if running is not self._running:  # it was abandoned meanwhile
            return
        if self._under_way and progress.stage in SCORING_STAGES:
            self._end_training()
        self._adopt(pool)
        self.events.job_progress.emit(progress)

    def _on_job_finished(self, running: _Running, result: JobResult, pool: Pool | None) -> None:
        """Swap a job's result in."""
        if running is not self._running:
            return
        self._running = None
        if self._under_way and result.out_of_memory and self._train_smaller(running, result):
            return
        if self._under_way:
            self._end_training()
        for reason in result.value.get("left_out", {}).values():
            self.events.warned.emit(f"Left out: {reason}")
        if "score_s" in result.value:
            self._timings["score_s"] = float(result.value["score_s"])
        self._adopt(pool)
        self.events.job_finished.emit(result)

    def _train_smaller(self, running: _Running, result: JobResult) -> bool:
        """Train the round again with half the batch; False if that cannot be halved."""
        batch_size = running.args.get("batch_size", self.config.training.batch_size) // 2
        if batch_size < 1:
            return False
        self.events.warned.emit(f"Training: {result.reason}. Trying batches of {batch_size}.")
        self._start(running.function, {**running.args, "batch_size": batch_size})
        return True


def _place(query: Query) -> tuple[str, tuple[int, ...]]:
    return query.region.image, query.region.ids
