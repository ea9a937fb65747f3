"""Train models of an open project and score the pool with them, here or in a child process.

With a cluster (``rounds/cluster.py``) that process hands the work out.

``train`` and ``prepare`` work in this process; ``start_...`` use a child process, whose results are
taken over on the thread of the views.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.processors import threads_of_job
from napari_al.session.maps import ProjectMaps
from napari_al.session.pool.order import ModelScores
from napari_al.session.rounds.current_round import row_of_round
from napari_al.session.rounds.job_function import JobProgress, JobResult
from napari_al.session.rounds.job_process import Child
from napari_al.session.rounds.job_runner import JobRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_al.methods.queries import AutomaticCorrection
    from napari_al.session.pool.order import Pool
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project

N_READ_AHEAD = 12
"""Queries whose images' region maps are read ahead, off the views' thread."""
SCORING_STAGES = ("superpixels", "scoring")
"""Stages of a job after the training."""


class ProjectModels(ProjectMaps):
    """An open project whose models can be trained; parameters as of ``Session``.

    Attributes
    ----------
    cluster : str
        As of ``Session``; another one counts from the next job on.
    """

    def __init__(
        self,
        project: Project,
        config: ProjectConfig,
        *,
        dispatch: Callable[[Callable[[], None]], None] | None = None,
        cluster: str = "",
    ) -> None:
        super().__init__(project, config)
        self.cluster = cluster
        self._looked_at = ""
        self._score_s: float | None = None
        self._runner = JobRunner(
            dispatch or (lambda call: call()),
            Child(threads_of_job(config.training.threads, beside_window=True)),
        )

    def prepare(
        self,
        on_progress: Callable[[JobProgress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Score the pool for the next queries, in this process."""
        from napari_al.session.rounds.job_context import JobContext
        from napari_al.session.rounds.scoring import make_scores

        if not self.scores_are_complete:
            started = time.perf_counter()
            model_round = self.model_round or 0
            self._log.write_held()  # workers of a cluster read the log
            scores = make_scores(
                JobContext(
                    self._answered.snapshot,
                    model_round,
                    on_progress,
                    should_stop,
                    cluster=self.cluster,
                    log_seq=self._log.log.last_seq,
                )
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
        self._start_job("train_and_score", self._begin_training())

    def start_scoring(self) -> None:
        """Score the pool for the next queries, in a child process."""
        self._start_job("score_round", self._job_args(self.model_round or 0))

    def start_encoding(self) -> None:
        """Encode images for a frozen segmenter in advance, in a child process.

        Nothing happens if a job is running, if the segmenter is not frozen, or once there is a
        model, which has encoded all images. Training and scoring stop it; what is done by then is
        kept.
        """
        training = self.config.training
        if training.frozen and not (
            self._runner.is_running or self.project.read_only or self.model_round
        ):
            self._start_job("encode_images", self._job_args(0))

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
        return self._runner.is_running and not self._runner.function.endswith(":encode_images")

    @property
    def is_live(self) -> bool:
        """Whether answers never wait for a model (`retrain_after`)."""
        return self.config.retrain_after is not None

    @property
    def budget_is_spent(self) -> bool:
        """As of ``ProjectState``; but live, a round after the first does not end while a job runs.

        What is answered meanwhile belongs to the round, and the next training has it. The first
        training does not wait until all regions are cut.
        """
        goes_on = self.is_live and self.is_busy and self.round > 1
        return super().budget_is_spent and not goes_on

    def set_retrain_after(self, n_answers: int | None) -> None:
        """From now on train live, again after so many answers (1 or more), or by rounds: None.

        ``config.json`` keeps it. It only says when the next training is due: each training has its
        position of the log, so that a replay makes the same labels.
        """
        if self.project.read_only:
            raise InputError(f"{self.project.path} is open for reading only; nothing is changed")
        change = {"retrain_after": n_answers}
        made_with = self._made_with.model_copy(update=change)
        self.project.write_config(made_with)
        self._made_with, self.config = made_with, self.config.model_copy(update=change)

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
            "cluster": self.cluster,
            "row": {
                **known,
                "n_regions": self.n_regions if self.scores_are_complete else None,
                "score_s": None if score_s is None else round(score_s, 3),
                "select_s": None if select_s is None else round(select_s, 4),
            },
        }

    def _begin_training(self) -> dict[str, Any]:
        """Close the round's list of answers; return the job's arguments."""
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
        """Note that a training has ended; without a model the round goes on."""
        if self._rounds.end_training():
            self._write_rows()
        else:
            self._recount()
        self.events.round_changed.emit(self.round)

    # -- private: jobs

    def _start_job(self, function: str, args: dict[str, Any]) -> None:
        """Run a function of ``round_jobs.py`` in the child process."""
        self._runner.start(
            f"napari_al.session.rounds.round_jobs:{function}",
            {**args, "live": True},
            on_finished=partial(self._on_job_finished, args),
            on_progress=self._on_job_progress,
            read=lambda report: (self._read_pool(args["round"], report),),
        )

    def _read_pool(self, round_number: int, report: JobProgress | JobResult) -> Pool | None:
        """Return the pool with what a job has scored by now, if there is more to read.

        Called on the job's own thread.
        """
        if isinstance(report, JobResult):  # not to be asked, until the project is opened again
            self._pools.leave_out(report.value.get("left_out", ()))
        has_more = report.published if isinstance(report, JobProgress) else report.status == "done"
        if not has_more:
            return None
        pool = self._pools.with_newer(self._queue.pool, round_number)
        if pool is not None:
            for row in pool.first(N_READ_AHEAD).tolist():
                with suppress(InputError):  # whoever asks about the image will say so
                    self._maps(pool.image(row))
        return pool

    def _on_job_progress(self, progress: JobProgress, pool: Pool | None) -> None:
        if self.is_training and progress.stage in SCORING_STAGES:
            self._end_training()
        self._adopt(pool)
        self.events.job_progress.emit(progress)

    def _on_job_finished(self, args: dict[str, Any], result: JobResult, pool: Pool | None) -> None:
        """Take over a job's result."""
        if self.is_training and result.out_of_memory and self._train_smaller(args, result):
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

    def _train_smaller(self, args: dict[str, Any], result: JobResult) -> bool:
        """Train the round again with half the batch; False if that cannot be halved."""
        batch_size = args.get("batch_size", self.config.training.batch_size) // 2
        if batch_size < 1:
            return False
        self.events.warned.emit(f"Training: {result.reason}. Trying batches of {batch_size}.")
        self._start_job("train_and_score", {**args, "batch_size": batch_size})
        return True
