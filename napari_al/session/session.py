"""A project that is open: ask, answer, undo, train.

Two verbs, no waiting: ``query()`` says what to ask, ``submit()`` takes an answer and returns when
it is on disk. Whoever annotates (a person, an oracle, a replay) drives. Everything but the log and
the rounds that are done is derived from them, so a Session can be opened again after any stop.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.formats.classes import as_merged
from napari_al.session.acquisition import check_acquisition
from napari_al.session.events import SessionEvents
from napari_al.session.log.class_edits import as_counted, checked_edit, with_classes
from napari_al.session.log.journal import Journal
from napari_al.session.log.records import Answer, AutomaticCorrection, ClassEdit, Query
from napari_al.session.pool.answered import Standing
from napari_al.session.pool.next_query import Asking
from napari_al.session.pool.order import ModelScores
from napari_al.session.pool.reader import PoolReader
from napari_al.session.pool.scores import paint_scores
from napari_al.session.project import cached_maps
from napari_al.session.project.folder import Project
from napari_al.session.project.region_maps import RegionMaps
from napari_al.session.rounds.current_round import RoundBook
from napari_al.session.rounds.job_process import JobProgress, JobResult
from napari_al.session.rounds.job_runner import Run, Runner
from napari_al.session.rounds.snapshot import Snapshot, by_image, open_data
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.core.clicks import Clicks
    from napari_al.formats.classes import ClassInfo
    from napari_al.session.log.history import Entry
    from napari_al.session.log.records import Record
    from napari_al.session.pool.order import Pool
    from napari_al.session.project.config import ProjectConfig

N_READ_AHEAD = 12
"""Questions whose images' region maps are read before they are asked, off the views' thread."""
SCORING_STAGES = ("superpixels", "scoring")
"""Stages of a job after the training."""


class Session:
    """One project, open.

    Parameters
    ----------
    project : Project
    config : ProjectConfig
    dispatch : callable
        Runs a function on the thread that owns the views; background jobs report through it. The
        default runs it at once, where there are no views.
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
        self._made_with = self.config = config
        self.data = open_data(project, config)
        self._maps = RegionMaps(project, self.data, config)
        self._pools = PoolReader(project, self.data, config)
        self._asking = Asking()
        self._looked_at = ""
        self._score_s: float | None = None
        self._runner = Runner(
            config.training.threads,
            dispatch or (lambda call: call()),
            self._read_pool,
            self._on_job_progress,
            self._on_job_finished,
        )
        self._journal = Journal(project, self.events.unsaved_changed.emit)
        with ExitStack() as failed:
            failed.callback(self._journal.close)
            self._rounds = RoundBook(
                project, self._journal.log, starts_from_labels=config.method.starts_from_labels
            )
            self._recount()
            if not project.read_only:
                self._write_rows()
            self._adopt(self._pools.newest())
            failed.pop_all()

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
        self._runner.close()
        self._journal.close()

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
        return self._asking.next(self._standing, self.round) if self._asks else None

    def upcoming(self, n: int) -> list[Query]:
        """Return the next ``n`` queries, the current one first."""
        if not self._asks:
            return []
        return list(islice(self._asking.queries(self._standing, self.round), n))

    def submit(self, *answers: Answer) -> None:
        """Take answers; they are on disk when this returns, and one undo takes all of them back."""
        self._journal.append(answers)
        self._take(answers)

    def hold(self, *answers: Answer) -> None:
        """Take answers that ``submit`` could not write (``LogWriteError``: the disk is full, ...).

        They count as given at once and are written by ``save``, which a window calls from time to
        time, or by whatever writes to the log next. Until then they are in memory only.
        """
        self._journal.hold(answers)
        self._take(answers)

    def save(self) -> bool:
        """Write the answers that are held in memory; return whether all are on disk."""
        return self._journal.save()

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
        return self._journal.rescue()

    @property
    def n_unsaved(self) -> int:
        """Answers that are held in memory only."""
        return self._journal.n_unsaved

    @property
    def rescued(self) -> int:
        """Answers taken over that an earlier session could not write to the log."""
        return self._journal.rescued

    def amend(self, answer_id: str, answer: Answer) -> None:
        """Put an answer in the place of an earlier one."""
        self._journal.amend(answer_id, answer)
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
            self._journal.edit_classes(ClassEdit(edited))
            self._recount()

    def undo(self) -> tuple[Record, ...]:
        """Take back what was submitted, amended, edited or accepted last, also over restarts."""
        taken_back = self._journal.undo()
        if taken_back:
            self._follow(taken_back, put_back=False)
            self.events.undone.emit(taken_back)
        return taken_back

    def redo(self) -> tuple[Record, ...]:
        """Put back what was undone last."""
        put_back = self._journal.redo()
        if put_back:
            self._follow(put_back, put_back=True)
            self.events.redone.emit(put_back)
        return put_back

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return self._journal.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to put back."""
        return self._journal.can_redo

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first, in terms of the classes in force."""
        return tuple(self._standing.answers)

    def corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections in force, oldest first."""
        return as_counted(self._journal.log.corrections(), self.config.classes)

    def log_entries(self) -> tuple[Entry, ...]:
        """Return all that was ever done, in order, what was undone as well (``replay.py``)."""
        return self._journal.log.entries()

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
        return 0 if self._asking.pool is None else self._asking.pool.newest_round

    @property
    def has_scores(self) -> bool:
        """Whether there is anything to ask from."""
        return self._asking.pool is not None

    @property
    def scores_are_complete(self) -> bool:
        """Whether the newest model has scored every image; if not, ``start_scoring`` goes on."""
        pool = self._asking.pool
        if pool is None or pool.newest_round != (self.model_round or 0):
            return False
        return len(pool.parts) == 1 and pool.images == frozenset(self.data.train)

    @property
    def n_regions(self) -> int:
        """Regions in the pool, answered ones included."""
        return 0 if self._asking.pool is None else len(self._asking.pool.order)

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be used of data and project, a sentence each; () = all is well."""
        broken = [broken.reason for broken in self.data.broken]
        lost = (str(error) for _, error in self._standing.now.lost_images())
        return (*self._journal.unreadable, *broken, *lost)

    @property
    def clicks(self) -> Clicks:
        """All clicks spent."""
        return self._standing.clicks

    @property
    def clicks_in_round(self) -> int:
        """Clicks spent in this round."""
        return self._standing.clicks_in_round

    @property
    def budget_is_spent(self) -> bool:
        """Whether this round's clicks have reached the budget."""
        return self.clicks_in_round >= self.config.budget

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
        from napari_al.session.rounds.job_context import Work
        from napari_al.session.rounds.scoring import make_scores

        if not self.scores_are_complete:
            started = time.perf_counter()
            model_round = self.model_round or 0
            scores = make_scores(Work(self._standing.now, model_round, on_progress, should_stop))
            self._score_s = time.perf_counter() - started
            self._adopt(self._pools.pool_of([ModelScores(model_round, scores, complete=True)]))

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
        from napari_al.session.rounds.round_jobs import train_round

        if propose and self.config.method.correction == "automatic":
            proposed = self.propose_corrections()
            self.decide_corrections(proposed)
        args = self._begin_training()
        try:
            train_round(args, on_progress, should_stop)
        finally:
            self._end_training()
        self._asking.adopt(None)

    def start_training(self) -> None:
        """Train in a child process, then score; answering goes on, the next round begins.

        Scoring that is under way ends: it would soon be outdated.
        """
        args = self._begin_training()
        self._runner.abandon()
        self._runner.start("train_and_score", args)

    def start_scoring(self) -> None:
        """Make the scores that the next query comes from in a child process."""
        self._runner.start("score_round", self._job_args(self.model_round or 0))

    def look_at(self, image: str) -> None:
        """Say which image is on screen: jobs score it first."""
        if image != self._looked_at and not self.project.read_only:
            self._looked_at = image
            self.project.write_looked_at(image)

    def stop_job(self) -> None:
        """End the running job; its round goes on if it was to be trained."""
        self._runner.stop()

    def wait_for_job(self) -> None:
        """Return when the running job has ended and its result is swapped in."""
        self._runner.wait()

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return self._runner.is_busy

    @property
    def is_training(self) -> bool:
        """Whether a round's model is being trained (scoring comes after that)."""
        return self._rounds.is_under_way

    def propose_corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections that this round's answers justify, to look at.

        Takes seconds. None for other methods, or before there is a model.
        """
        from napari_al.session.rounds.automatic_corrections import propose_corrections

        if self.config.method.correction == "manual" or self.round < 1:
            return ()
        earlier = self._rounds.earlier()
        answers = [answer for answer in self.answers() if answer.id not in earlier]
        asked_by = self._checked_pool().parts[0]
        return propose_corrections(self._standing.now, asked_by.scores, answers, self.round)

    def decide_corrections(
        self,
        accepted: Sequence[AutomaticCorrection],
        refused: Sequence[AutomaticCorrection] = (),
    ) -> None:
        """Accept and refuse proposed corrections; each of the two is undone at once."""
        if refused:
            self._journal.add_corrections(refused, accepted=False)
        if accepted:
            self._journal.add_corrections(accepted, accepted=True)
            self._recount()

    # -- pictures of one image

    def region_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) base region ids, -1 = none."""
        return self._maps(image)

    def score_map(self, image: str) -> NDArray[np.float32] | None:
        """(H, W) acquisition scores, NaN where there is no region or it was answered.

        None while there are no scores.
        """
        source = None if self._asking.pool is None else self._asking.pool.of_image(image)
        if source is None:
            return None
        scores, index = source
        region_map = self._maps(image)
        of_base = scores.spread(index, scores.score, region_map)
        return paint_scores(of_base, region_map, self._standing.now.answered_ids(image))

    def asked_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) ids of the regions as they would be asked: base regions, or merged ones."""
        region_map = self._maps(image)
        source = None if self._asking.pool is None else self._asking.pool.of_image(image)
        if source is None:
            return region_map
        scores, index = source
        scores.check_fit(index, region_map)
        groups = scores.groups_of(index)
        return region_map if groups is None else groups[region_map]

    def prediction(self, image: str) -> NDArray[np.uint8] | None:
        """(H, W) classes that the newest model that scored it predicts; None before the first."""
        model_round = None if self._asking.pool is None else self._asking.pool.round_of_image(image)
        if model_round is None:
            return None
        stored = cached_maps.read_class_map(self.project.prediction_file(model_round, image))
        return None if stored is None else as_merged(stored, self.config.classes)

    def answers_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) classes of the answers alone, IGNORE elsewhere."""
        return self._standing.now.answers_map(image)

    def targets(self, image: str) -> NDArray[np.uint8]:
        """(H, W) labels that the newest model was trained on, IGNORE elsewhere.

        Before the first training (or if the cache is gone): the answers, or corrected labels.
        """
        if self.model_round is not None:
            stage = 2 if self.config.method.targets == "localise" else 1
            path = self.project.target_file(self.model_round, image, stage=stage)
            stored = cached_maps.read_class_map(path)
            if stored is not None:
                return as_merged(stored, self.config.classes)
        if self.config.method.starts_from_labels:
            return self._standing.now.current_labels(image)
        return self._standing.now.answers_map(image)

    @property
    def _asks(self) -> bool:
        return self.round >= 1 and not self.budget_is_spent

    # -- inside: scores

    def _checked_pool(self) -> Pool:
        if self._asking.pool is None:
            raise InputError("there are no scores yet; prepare() makes them")
        return self._asking.pool

    def _adopt(self, pool: Pool | None) -> None:
        """Ask from these scores now."""
        if pool is not None:
            self._asking.adopt(pool)
            self.events.scores_changed.emit()

    # -- inside: counting

    def _take(self, answers: tuple[Answer, ...]) -> None:
        for answer in answers:
            self._standing.add(answer)
        self.events.answered.emit(answers)

    def _follow(self, records: tuple[Record, ...], *, put_back: bool) -> None:
        """Take into account what undo or redo has done."""
        n_answers = len(self._standing.answers) + (len(records) if put_back else -len(records))
        answers = [record for record in records if isinstance(record, Answer)]
        if len(answers) < len(records) or len(self._journal.answers()) != n_answers:
            self._recount()  # not just answers, or others in their place
            return
        for answer in answers:
            if put_back:
                self._standing.add(answer)
            else:
                self._asking.reopen(self._standing.take_back().query.region)

    def _recount(self) -> None:
        """Derive everything from the log again: other classes, corrections, a new round."""
        changed = self._take_up_classes()
        self._standing = Standing(
            Snapshot(
                self.project,
                self.config,
                self.data,
                self._maps,
                {},
                by_image((c.region.image, c) for c in self.corrections()),
            ),
            self._journal.answers(),
            self._rounds.earlier(),
        )
        if changed:
            self._asking.relabel(self._standing)
            self.events.classes_changed.emit()
        else:
            self._asking.start_again()

    def _take_up_classes(self) -> bool:
        """Have the classes that are in force by the log; return whether they are others."""
        config = with_classes(self._made_with, self._journal.log.classes())
        if config.classes == self.config.classes:
            return False
        self.config, self.data = config, replace(self.data, classes=config.classes)
        self._maps = RegionMaps(self.project, self.data, config)
        return True

    # -- inside: training

    def _job_args(self, round_number: int) -> dict[str, Any]:
        standing = self._standing
        score_s, self._score_s = self._score_s, None
        select_s, self._pools.select_s = self._pools.select_s, None
        return {
            "project": str(self.project.path),
            "round": round_number,
            "log_seq": self._journal.log.last_seq,
            "row": {
                "round": round_number,
                "queries": len(standing.answers),
                "clicks": standing.clicks.total,
                "class_clicks": standing.clicks.class_clicks,
                "polygon_clicks": standing.clicks.polygon_clicks,
                "intersection_clicks": standing.clicks.intersection_clicks,
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
        if self._rounds.is_under_way:
            raise InputError("a training is running already; wait for it, or stop it first")
        if not self.config.method.starts_from_labels and not self._standing.answers:
            raise InputError("there is nothing to train on yet; answer a query first")
        self._journal.write_held()
        args = self._job_args(self.round)
        self._rounds.begin_training()
        self._recount()
        self.events.round_changed.emit(self.round)
        return args

    def _end_training(self) -> None:
        """Take note that a round is trained; if it is not, its answers are open again."""
        if self._rounds.end_training():
            self._write_rows()
        else:
            self._recount()
        self.events.round_changed.emit(self.round)

    def _write_rows(self) -> None:
        try:
            self._rounds.write_rows()
        except WriteError as error:  # its figures are kept beside the model
            self.events.warned.emit(str(error))

    # -- inside: jobs

    def _read_pool(self, run: Run, report: JobProgress | JobResult) -> Pool | None:
        """Return the pool with what a job has scored by now, if there is more to read."""
        if isinstance(report, JobResult):  # not to be asked, until the project is opened again
            self._pools.leave_out(report.value.get("left_out", ()))
        has_more = report.published if isinstance(report, JobProgress) else report.status == "done"
        if not has_more:
            return None
        pool = self._pools.with_newer(self._asking.pool, run.args["round"])
        if pool is not None:
            for row in pool.order[:N_READ_AHEAD].tolist():
                with suppress(InputError):  # whoever asks about the image will say so
                    self._maps(pool.image(row))
        return pool

    def _on_job_progress(self, progress: JobProgress, pool: Pool | None) -> None:
        if self.is_training and progress.stage in SCORING_STAGES:
            self._end_training()
        self._adopt(pool)
        self.events.job_progress.emit(progress)

    def _on_job_finished(self, run: Run, result: JobResult, pool: Pool | None) -> None:
        """Swap a job's result in."""
        if self.is_training and result.out_of_memory and self._train_smaller(run, result):
            return
        if self.is_training:
            self._end_training()
        for reason in result.value.get("left_out", {}).values():
            self.events.warned.emit(f"Left out: {reason}")
        if "score_s" in result.value:
            self._score_s = float(result.value["score_s"])
        self._adopt(pool)
        self.events.job_finished.emit(result)

    def _train_smaller(self, run: Run, result: JobResult) -> bool:
        """Train the round again with half the batch; False if that cannot be halved."""
        batch_size = run.args.get("batch_size", self.config.training.batch_size) // 2
        if batch_size < 1:
            return False
        self.events.warned.emit(f"Training: {result.reason}. Trying batches of {batch_size}.")
        self._runner.start(run.function, {**run.args, "batch_size": batch_size})
        return True
