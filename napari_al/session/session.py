"""An open project that changes: ask, answer, undo, train.

``query()`` returns what to ask, ``submit()`` takes an answer and returns when it is on disk;
neither waits. Whoever annotates (a person, an oracle, a replay) calls them. What can be read of a
project is in ``state.py``. Rounds are trained here (``train``) or in a child (``start_training``).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.methods.acquisition import check_acquisition
from napari_al.processors import threads_of_job
from napari_al.session.log.class_edits import checked_edit
from napari_al.session.log.history import ClassEdit
from napari_al.session.pool.order import ModelScores
from napari_al.session.project.folder import Project
from napari_al.session.rounds.current_round import row_of_round
from napari_al.session.rounds.job_process import JobProgress, JobResult
from napari_al.session.rounds.job_runner import Run, Runner
from napari_al.session.state import ProjectState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_al.formats.classes import ClassInfo
    from napari_al.methods.queries import Answer, AutomaticCorrection, Query
    from napari_al.session.log.history import Record
    from napari_al.session.pool.order import Pool
    from napari_al.session.project.config import ProjectConfig

N_READ_AHEAD = 12
"""Queries whose images' region maps are read ahead, off the views' thread."""
SCORING_STAGES = ("superpixels", "scoring")
"""Stages of a job after the training."""


class Session(ProjectState):
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
        super().__init__(project, config)
        self._looked_at = ""
        self._score_s: float | None = None
        self._runner = Runner(
            threads_of_job(config.training.threads, beside_window=True),
            dispatch or (lambda call: call()),
            self._read_pool,
            self._on_job_progress,
            self._on_job_finished,
        )

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
        self._log.close()

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
        return self._queue.next(self._answered, self.round) if self._asks else None

    def submit(self, *answers: Answer) -> None:
        """Take answers; they are on disk when this returns, and one undo takes all of them back."""
        self._log.flushed().append(answers)
        self._take(answers)

    def hold(self, *answers: Answer) -> None:
        """Take answers that ``submit`` could not write (``LogWriteError``: the disk is full, ...).

        They count as given at once and are written by ``save``, which a window calls from time to
        time, or by whatever writes to the log next. Until then they are in memory only.
        """
        self._log.hold(answers)
        self._take(answers)

    def save(self) -> bool:
        """Write the answers that are held in memory; return whether all are on disk."""
        return self._log.save()

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
        return self._log.rescue()

    def amend(self, answer_id: str, answer: Answer) -> None:
        """Put an answer in the place of an earlier one."""
        self._log.flushed().amend(answer_id, answer)
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
            self._log.flushed().edit_classes(ClassEdit(edited))
            self._recount()

    def undo(self) -> tuple[Record, ...]:
        """Take back what was submitted, amended, edited or accepted last, also over restarts."""
        taken_back = self._log.undo()
        if taken_back:
            self._follow(taken_back, put_back=False)
            self.events.undone.emit(taken_back)
        return taken_back

    def redo(self) -> tuple[Record, ...]:
        """Put back what was undone last."""
        put_back = self._log.flushed().redo()
        if put_back:
            self._follow(put_back, put_back=True)
            self.events.redone.emit(put_back)
        return put_back

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
            scores = make_scores(
                Work(self._answered.snapshot, model_round, on_progress, should_stop)
            )
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
            result = train_round(args, on_progress, should_stop)
        finally:
            self._end_training()
        self._queue.adopt(None)
        if "warning" in result:
            self.events.warned.emit(result["warning"])

    def start_training(self) -> None:
        """Train in a child process, then score; answering goes on, the next round begins.

        Scoring that is under way ends: it would soon be outdated.
        """
        args = self._begin_training()
        self._runner.discard()
        self._runner.start("train_and_score", args)

    def start_scoring(self) -> None:
        """Make the scores that the next query comes from in a child process."""
        self._runner.discard()
        self._runner.start("score_round", self._job_args(self.model_round or 0))

    def start_encoding(self) -> None:
        """Make what a frozen segmenter needs of each image ahead, in a child process.

        Nothing happens if a job is running, if the segmenter is not frozen, or once there is a
        model, which has encoded all images. Training and scoring stop it; what is done by then is
        kept.
        """
        training = self.config.training
        if training.frozen and not (
            self._runner.is_busy or self.project.read_only or self.model_round
        ):
            self._runner.start("encode_images", self._job_args(0))

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
        """Whether a job is running that something waits for (``start_encoding`` is none)."""
        return self._runner.is_busy and not self._runner.is_running("encode_images")

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
        return propose_corrections(self._answered.snapshot, asked_by.scores, answers, self.round)

    def decide_corrections(
        self,
        accepted: Sequence[AutomaticCorrection],
        refused: Sequence[AutomaticCorrection] = (),
    ) -> None:
        """Accept and refuse proposed corrections; each of the two is undone at once."""
        if refused:
            self._log.flushed().add_corrections(refused, accepted=False)
        if accepted:
            self._log.flushed().add_corrections(accepted, accepted=True)
            self._recount()

    # -- private: training

    def _job_args(self, round_number: int) -> dict[str, Any]:
        score_s, self._score_s = self._score_s, None
        select_s, self._pools.select_s = self._pools.select_s, None
        known = row_of_round(round_number, self.config, self._answered)
        return {
            "project": str(self.project.path),
            "round": round_number,
            "log_seq": self._log.log.last_seq,
            "row": {
                **known,
                "n_regions": self.n_regions if self.scores_are_complete else None,
                "score_s": None if score_s is None else round(score_s, 3),
                "select_s": None if select_s is None else round(select_s, 4),
            },
        }

    def _begin_training(self) -> dict[str, Any]:
        """End the round's answers here; return the job's arguments."""
        if self.project.read_only:
            raise InputError(f"{self.project.path} is open for reading only; it cannot be trained")
        if self._rounds.is_under_way:
            raise InputError("a training is running already; wait for it, or stop it first")
        if not self.config.method.starts_from_labels and not self._answered.answers:
            raise InputError("there is nothing to train on yet; answer a query first")
        self._log.write_held()
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

    # -- private: jobs

    def _read_pool(self, run: Run, report: JobProgress | JobResult) -> Pool | None:
        """Return the pool with what a job has scored by now, if there is more to read."""
        if isinstance(report, JobResult):  # not to be asked, until the project is opened again
            self._pools.leave_out(report.value.get("left_out", ()))
        has_more = report.published if isinstance(report, JobProgress) else report.status == "done"
        if not has_more:
            return None
        pool = self._pools.with_newer(self._queue.pool, run.args["round"])
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
        if "warning" in result.value:
            self.events.warned.emit(result.value["warning"])
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
