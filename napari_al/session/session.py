"""A project that is open: ask, answer, undo, train.

Two verbs, no waiting: ``query()`` says what to ask, ``submit()`` takes an answer and returns when
it is on disk. Whoever annotates (a person, an oracle, a replay) drives. Everything but the log and
the rounds that are done is derived from them, so a Session can be opened again after any stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal, SignalGroup

from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.session import pictures
from napari_al.session.jobs import Job, JobResult
from napari_al.session.log import AnnotationLog
from napari_al.session.project import Project
from napari_al.session.records import Answer, AutomaticCorrection, Query
from napari_al.session.region_maps import RegionMaps
from napari_al.session.scores import PoolScores
from napari_al.session.snapshot import Snapshot, by_image, open_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.session.config import ProjectConfig
    from napari_al.session.jobs import JobProgress


class SessionEvents(SignalGroup):
    """What a view may listen to; emitted where ``dispatch`` runs it, see ``Session``."""

    answered = Signal(tuple)
    """The answers submitted, after they are on disk."""
    undone = Signal(tuple)
    """The answers or automatic corrections taken back."""
    redone = Signal(tuple)
    """The answers or automatic corrections put back."""
    round_changed = Signal(int)
    scores_changed = Signal()
    job_progress = Signal(object)
    """A ``JobProgress``."""
    job_finished = Signal(object)
    """A ``JobResult``: done, stopped or failed, with the reason."""


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
    """

    def __init__(
        self,
        project: Project,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.events = SessionEvents()
        self.config = config
        self.project = project
        self.data = open_data(project, config)
        self._dispatch = dispatch or (lambda call: call())
        self._lock = None if project.read_only else project.lock()
        self._log = AnnotationLog(project.log_file, read_only=project.read_only)
        self._maps = RegionMaps(project, self.data, config)
        self._index_of = {image: index for index, image in enumerate(self.data.train)}
        self._scores: PoolScores | None = None
        self._order: NDArray[np.int64] = np.empty(0, np.int64)
        self._scores_round = 0
        self._timings: dict[str, float] = {}
        self._job: Job | None = None
        self._boundary = self._before_training = self._last_done()
        self._recount()
        if not project.read_only:
            self._write_rows()
        self._load_scores()

    @classmethod
    def create(
        cls,
        path: Path,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
    ) -> Session:
        """Make a project folder and open it."""
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
            It is no project, is damaged, of a newer version, or open elsewhere (read-only always
            works).
        """
        project = Project.open(path, read_only=read_only)
        return cls(project, project.read_config(), dispatch=dispatch)

    def close(self) -> None:
        """End a running job, let go of the files; may be called again."""
        if self._job is not None:
            self._job.close()
            self._job = None
        self._log.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- asking and answering

    def query(self) -> Query | None:
        """Return the best region that has no answer yet; the same one until it is answered.

        None when the pool is empty, when the round's budget is spent and its training has not
        begun, or when there are no scores yet (``has_scores``: ``prepare`` or ``start_scoring``).
        """
        return next(self._queries(), None)

    def upcoming(self, n: int) -> list[Query]:
        """Return the next ``n`` queries, the current one first."""
        return [query for query, _ in zip(self._queries(), range(n), strict=False)]

    def submit(self, *answers: Answer) -> None:
        """Take answers; they are on disk when this returns, and one undo takes all of them back."""
        self._log.append(answers)
        for answer in answers:
            self._count(answer)
        self.events.answered.emit(answers)

    def amend(self, answer_id: str, answer: Answer) -> None:
        """Put an answer in the place of an earlier one."""
        self._log.amend(answer_id, answer)
        self._recount()
        self.events.answered.emit((answer,))

    def undo(self) -> tuple[Answer | AutomaticCorrection, ...]:
        """Take back what was submitted, amended or accepted last, over rounds and restarts."""
        taken_back = self._log.undo()
        if taken_back:
            self._recount()
            self.events.undone.emit(taken_back)
        return taken_back

    def redo(self) -> tuple[Answer | AutomaticCorrection, ...]:
        """Put back what was undone last."""
        put_back = self._log.redo()
        if put_back:
            self._recount()
            self.events.redone.emit(put_back)
        return put_back

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return self._log.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to put back."""
        return self._log.can_redo

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers in force, oldest first."""
        return self._log.active()

    def corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections in force, oldest first."""
        return self._log.corrections()

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
        """Round of the model whose scores order the queries; 0 before the first training."""
        return self._scores_round

    @property
    def has_scores(self) -> bool:
        """Whether there is anything to ask from."""
        return self._scores is not None

    @property
    def n_regions(self) -> int:
        """Regions in the pool, answered ones included."""
        return 0 if self._scores is None else len(self._scores.score)

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
        from napari_al.session.rounds import make_scores

        model_round = self.model_round or 0
        if self._scores is None or self._scores_round != model_round:
            started = time.perf_counter()
            scores = make_scores(self._now, model_round, on_progress, should_stop)
            self._timings["score_s"] = time.perf_counter() - started
            self._adopt_scores(scores, model_round)

    def train(
        self,
        on_progress: Callable[[JobProgress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train on the answers so far, in this process; the next round begins.

        Automatic corrections, where the method has them, are made and accepted before.
        """
        from napari_al.session.rounds import train_round

        if self.config.method.correction == "automatic":
            proposed = self.propose_corrections()
            self.decide_corrections(proposed)
        args = self._begin_training()
        try:
            train_round(args, on_progress, should_stop)
        except BaseException:
            self._abandon_training()
            raise
        self._write_rows()
        self._drop_scores()

    def start_training(self) -> None:
        """Train in a child process; answering goes on, the next round begins."""
        self._start("train_and_score", self._begin_training())

    def start_scoring(self) -> None:
        """Make the scores that the next query comes from in a child process."""
        self._start("score_round", self._job_args(self.model_round or 0))

    def stop_job(self) -> None:
        """End the running job; its round goes on."""
        if self._job is not None:
            self._job.stop()

    def wait_for_job(self) -> None:
        """Return when the running job has ended and its result is swapped in."""
        job = self._job
        if job is not None:
            job.done.result()
            job.close()

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None

    def propose_corrections(self) -> tuple[AutomaticCorrection, ...]:
        """Return the automatic corrections that this round's answers justify, to look at.

        Takes seconds. None for other methods, or before there is a model.
        """
        from napari_al.session.proposals import propose_corrections

        if self.config.method.correction == "manual" or self.round < 1:
            return ()
        self.prepare()
        before = {answer.id for answer in self._log.active(self._boundary_seq)}
        answers = [answer for answer in self._log.active() if answer.id not in before]
        return propose_corrections(self._now, self._checked_scores(), answers, self.round)

    def decide_corrections(
        self,
        accepted: Sequence[AutomaticCorrection],
        refused: Sequence[AutomaticCorrection] = (),
    ) -> None:
        """Accept and refuse proposed corrections; each of the two is undone at once."""
        if refused:
            self._log.add_corrections(refused, accepted=False)
        if accepted:
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
        if self._scores is None or image not in self._index_of:
            return None
        index = self._index_of[image]
        rows = self._scores.rows_of(index)
        region_map, groups = self._maps(image), self._scores.groups_of(index)
        n_base = int(region_map.max()) + 1
        of_base = np.full(n_base + 1, np.nan, np.float32)  # the last one: no region
        seeds = self._scores.region_id[rows]
        if groups is None:
            of_base[seeds] = self._scores.score[rows]
        else:
            of_seed = np.full(n_base, np.nan, np.float32)
            of_seed[seeds] = self._scores.score[rows]
            of_base[:n_base] = of_seed[groups]
        of_base[list(self._settled.get(image, ()))] = np.nan
        of_base[~np.isfinite(of_base)] = np.nan
        return of_base[region_map]

    def asked_map(self, image: str) -> NDArray[np.int32]:
        """(H, W) ids of the regions as they would be asked: base regions, or merged ones."""
        region_map = self._maps(image)
        groups = None if self._scores is None else self._scores.groups_of(self._index_of[image])
        return region_map if groups is None else groups[region_map]

    def prediction(self, image: str) -> NDArray[np.uint8] | None:
        """(H, W) classes that the newest scored model predicts; None before the first."""
        return pictures.read_class_map(self.project.prediction_file(self._scores_round, image))

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
                return stored
        if self.config.method.starts_from_labels:
            return self._now.current_labels(image)
        return self._now.answers_map(image)

    # -- inside: queries

    def _queries(self) -> Iterator[Query]:
        """Yield what to ask, best first."""
        if self._scores is None or self.round < 1 or self.budget_is_spent:
            return
        for position in range(self._head, len(self._order)):
            row = int(self._order[position])
            if self._is_askable(row):
                yield self._query_of_row(row)
            elif position == self._head:
                self._head += 1

    def _is_askable(self, row: int) -> bool:
        """Whether a region holds something not answered, and nothing put off in this round.

        Merged regions may hold superpixels that were answered before: they are asked again with
        the rest, and the new answer counts where both say something.
        """
        scores = self._checked_scores()
        image = self.data.train[int(scores.image_index[row])]
        settled, skipped = self._settled.get(image), self._skipped.get(image)
        if not settled and not skipped:
            return True
        ids = set(scores.base_ids(row))
        return not (ids <= (settled or set()) or ids & (skipped or set()))

    def _query_of_row(self, row: int) -> Query:
        from napari_al.session.proposals import region_of_row

        scores = self._checked_scores()
        region = region_of_row(self._now, scores, row)
        pixel_rc = pseudo_label = None
        if self.config.method.query == "correction":
            labels = self._now.current_labels(region.image)
            if scores.pixel is None:
                pixel_rc = region.mask.central_pixel()
            else:
                r, c = divmod(int(scores.pixel[row]), labels.shape[1])
                pixel_rc = (r, c)
            pseudo_label = int(labels[pixel_rc])
        return Query(
            region=region,
            query_type=self.config.method.query,
            score=float(scores.score[row]),
            round=self.round,
            model_round=self._scores_round,
            pixel_rc=pixel_rc,
            pseudo_label=pseudo_label,
        )

    def _checked_scores(self) -> PoolScores:
        if self._scores is None:
            raise InputError("there are no scores yet; prepare() makes them")
        return self._scores

    def _adopt_scores(self, scores: PoolScores, model_round: int) -> None:
        """Order the pool by new scores."""
        from napari_al.core.selection import rank

        started = time.perf_counter()
        order = rank(scores.score, np.random.default_rng([self.config.seed, model_round]))
        if self.config.acquisition.order == "image":
            order = _grouped(order, scores.image_index, self.config.budget)
        self._scores, self._scores_round, self._order, self._head = scores, model_round, order, 0
        self._timings["select_s"] = time.perf_counter() - started
        self.events.scores_changed.emit()

    def _drop_scores(self) -> None:
        self._scores, self._order, self._head = None, np.empty(0, np.int64), 0

    def _load_scores(self) -> None:
        """Adopt the newest model's scores if they are on disk, else those of the one before."""
        newest = self.model_round or 0
        for model_round in (newest, newest - 1):
            scores = PoolScores.load(self.project.scores_file(model_round))
            if scores is not None and scores.fits(len(self.data.train)):
                self._adopt_scores(scores, model_round)
                return

    # -- inside: counting

    def _count(self, answer: Answer) -> None:
        """Take one more answer into account."""
        region = answer.query.region
        self._now.answers.setdefault(region.image, []).append(answer)
        self._clicks += answer.clicks
        self._n_answers += 1
        self._clicks_in_round += answer.clicks.total
        book = self._skipped if answer.outcome == "skipped" else self._settled
        book.setdefault(region.image, set()).update(region.ids)

    def _recount(self) -> None:
        """Derive everything from the log again: after opening, undo, redo, a new round."""
        active = self._log.active()
        before = {answer.id for answer in self._log.active(self._boundary_seq)}
        self._now = Snapshot(
            self.project,
            self.config,
            self.data,
            self._maps,
            {},
            by_image((c.region.image, c) for c in self._log.corrections()),
        )
        self._clicks, self._clicks_in_round, self._n_answers = Clicks(), 0, 0
        self._settled: dict[str, set[int]] = {}
        self._skipped: dict[str, set[int]] = {}
        self._head = 0
        for answer in active:
            self._count(answer)
        earlier = [answer for answer in active if answer.id in before]
        for answer in earlier:
            if answer.outcome == "skipped":
                self._skipped[answer.query.region.image] -= set(answer.query.region.ids)
        self._clicks_in_round = sum(a.clicks.total for a in active if a.id not in before)

    @property
    def _boundary_seq(self) -> int:
        """Position of the log up to which answers belong to earlier rounds."""
        return self._boundary.log_seq if self._boundary is not None else 0

    # -- inside: training

    def _job_args(self, round_number: int) -> dict[str, Any]:
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
                "n_regions": self.n_regions,
                "score_s": round(self._timings.pop("score_s", 0.0), 3),
                "select_s": round(self._timings.pop("select_s", 0.0), 4),
                "seed": self.config.seed,
                "method": self.config.method.name,
            },
        }

    def _begin_training(self) -> dict[str, Any]:
        """End the round's answers here; return the job's arguments."""
        if self.project.read_only:
            raise InputError(f"{self.project.path} is open for reading only; it cannot be trained")
        if self._job is not None:
            raise InputError("a job is running already; wait for it, or stop it first")
        if not self.config.method.starts_from_labels and not self._n_answers:
            raise InputError("there is nothing to train on yet; answer a query first")
        args = self._job_args(self.round)
        self._before_training = self._boundary
        self._boundary = _Round(args["round"], args["log_seq"])
        self._recount()
        self.events.round_changed.emit(self.round)
        return args

    def _abandon_training(self) -> None:
        """Go back to the round whose training was stopped or failed: its answers are open again."""
        self._boundary = self._before_training
        self._recount()
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
        for number in self.project.rounds_done():
            if str(number) not in written:
                self.project.append_round(self.project.read_round(number)["row"])

    def _start(self, function: str, args: dict[str, Any]) -> None:
        if self._job is not None:
            raise InputError("a job is running already; wait for it, or stop it first")
        self._job = Job(
            f"napari_al.session.rounds:{function}",
            args,
            threads=self.config.training.threads,
            on_progress=lambda p: self._dispatch(lambda: self.events.job_progress.emit(p)),
            on_finished=lambda r: self._dispatch(lambda: self._on_job_finished(r)),
        )
        self._job.start()

    def _on_job_finished(self, result: JobResult) -> None:
        """Swap a job's result in; on the views' thread."""
        if self._job is None:  # closed meanwhile
            return
        self._job = None
        if self._boundary != self._last_done():  # it was to train, and has not
            self._abandon_training()
        self._write_rows()
        if result.status == "done":
            self._timings["score_s"] = float(result.value["score_s"])
        self._load_scores()
        self.events.job_finished.emit(result)


def _grouped(
    order: NDArray[np.int64], image_index: NDArray[np.int32], batch: int
) -> NDArray[np.int64]:
    """Reorder each batch of rows so that an image's regions follow each other, best image first."""
    parts = []
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        _, first, inverse = np.unique(image_index[rows], return_index=True, return_inverse=True)
        parts.append(rows[np.argsort(first[inverse], kind="stable")])
    return np.concatenate(parts) if parts else order
