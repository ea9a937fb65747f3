"""One job at a time in a child process; what it reports goes on to the views' thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.rounds.job_process import Job, JobProgress, JobResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.session.pool.order import Pool


@dataclass(frozen=True)
class Run:
    """A job under way."""

    job: Job
    function: str
    args: dict[str, Any]


class Runner:
    """Runs the functions of ``rounds.py``.

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
        read: Callable[[Run, JobProgress | JobResult], Pool | None],
        on_progress: Callable[[JobProgress, Pool | None], None],
        on_finished: Callable[[Run, JobResult, Pool | None], None],
    ) -> None:
        self._threads, self._dispatch, self._read = threads, dispatch, read
        self._on_progress, self._on_finished = on_progress, on_finished
        self._run: Run | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return self._run is not None

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
            threads=self._threads,
            on_progress=on_progress,
            on_finished=on_finished,
        )
        run = self._run = Run(job, function, args)
        job.start()

    def stop(self) -> None:
        """Have the running job end; it is heard out."""
        if self._run is not None:
            self._run.job.stop()

    def abandon(self) -> None:
        """End the running job unheard."""
        if self._run is not None:
            self._run.job.abandon()
            self._run = None

    def close(self) -> None:
        """End the running job unheard (it can be killed at any moment); wait until it is gone."""
        run = self._run
        self.abandon()
        if run is not None:
            run.job.close()

    def wait(self) -> None:
        """Return when the running job has ended, and those that followed from it."""
        run = self._run
        while run is not None:
            run.job.done.result()
            run.job.close()
            run = None if self._run is run else self._run

    def _tell_progress(self, run: Run, progress: JobProgress, pool: Pool | None) -> None:
        if run is self._run:
            self._on_progress(progress, pool)

    def _tell_finished(self, run: Run, result: JobResult, pool: Pool | None) -> None:
        if run is self._run:
            self._run = None
            self._on_finished(run, result, pool)
