"""One job at a time, all in the same child process; reports go on to the views' thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.rounds.job_process import Child, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.session.pool.order import Pool
    from napari_al.session.rounds.job_function import JobProgress, JobResult


@dataclass(frozen=True)
class RunningJob:
    """A job under way."""

    job: Job
    function: str
    args: dict[str, Any]


class JobRunner:
    """Runs the functions of ``round_jobs.py``.

    Parameters
    ----------
    threads : int
        Of the child.
    dispatch : callable
        Runs a function on the views' thread.
    read : callable
        Gets a run and what it reports on the job's own thread, and returns the pool to ask from if
        there is another one.
    on_progress, on_finished : callable
        Get the same and that pool on the views' thread, unless the job was abandoned meanwhile.
    """

    def __init__(
        self,
        threads: int,
        dispatch: Callable[[Callable[[], None]], None],
        read: Callable[[RunningJob, JobProgress | JobResult], Pool | None],
        on_progress: Callable[[JobProgress, Pool | None], None],
        on_finished: Callable[[RunningJob, JobResult, Pool | None], None],
    ) -> None:
        self._child, self._dispatch, self._read = Child(threads), dispatch, read
        self._on_progress, self._on_finished = on_progress, on_finished
        self._run: RunningJob | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return self._run is not None

    def is_running(self, function: str) -> bool:
        """Whether it is this function that is running."""
        return self._run is not None and self._run.function == function

    def start(self, function: str, args: dict[str, Any]) -> None:
        """Start a job."""
        if self._run is not None:
            raise InputError("a job is running already; wait for it, or stop it first")

        def on_progress(progress: JobProgress) -> None:
            pool = self._read(run, progress)
            self._dispatch(lambda: self._tell_progress(run, progress, pool))

        def on_finished(result: JobResult) -> None:
            pool = self._read(run, result)
            self._dispatch(lambda: self._tell_finished(run, result, pool))

        job = Job(
            f"napari_al.session.rounds.round_jobs:{function}",
            {**args, "live": True},
            child=self._child,
            on_progress=on_progress,
            on_finished=on_finished,
        )
        run = self._run = RunningJob(job, function, args)
        job.start()

    def stop(self) -> None:
        """Ask the running job to end; its result is still reported."""
        if self._run is not None:
            self._run.job.stop()

    def discard(self) -> None:
        """Stop the running job and ignore its result; the next one can be started at once."""
        if self._run is not None:
            self._run.job.discard()
            self._run = None

    def close(self) -> None:
        """Kill the running job, which can be at any moment, and the child; wait for their end."""
        run, self._run = self._run, None
        self._child.kill()
        if run is not None:
            run.job.abandon()
            run.job.close()
        with self._child.turn:  # a discarded job may still have it
            self._child.end()

    def wait(self) -> None:
        """Return when the running job has ended, and those that followed from it."""
        run = self._run
        while run is not None:
            run.job.done.result()
            run.job.close()
            run = None if self._run is run else self._run

    def _tell_progress(self, run: RunningJob, progress: JobProgress, pool: Pool | None) -> None:
        if run is self._run:
            self._on_progress(progress, pool)

    def _tell_finished(self, run: RunningJob, result: JobResult, pool: Pool | None) -> None:
        if run is self._run:
            self._run = None
            self._on_finished(run, result, pool)
