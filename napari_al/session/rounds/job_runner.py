"""One job at a time in a child process; its reports arrive on the thread of the views.

The window and the session start all their jobs through this (a sweep, which runs several at a time,
uses ``Job``). Reports of a job that was discarded or superseded are dropped.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_al.session.rounds.job_function import JobProgress, JobResult
from napari_al.session.rounds.job_process import Child, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Report = JobProgress | JobResult


class JobRunner:
    """Starts, follows and stops the jobs of one owner.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the thread of the views.
    child : Child, optional
        Does all jobs of this runner, and lives until `close`. By default each job has a child of
        its own.
    """

    def __init__(
        self, dispatch: Callable[[Callable[[], None]], None], child: Child | None = None
    ) -> None:
        self._dispatch, self._child = dispatch, child
        self._job: Job | None = None
        self._function = ""

    @property
    def is_running(self) -> bool:
        """Whether a job has been started and has not been reported as finished."""
        return self._job is not None

    @property
    def function(self) -> str:
        """``"module:name"`` of the function that runs; "" = none."""
        return self._function if self.is_running else ""

    def start(
        self,
        function: str,
        args: Mapping[str, Any],
        *,
        on_finished: Callable[..., object],
        on_progress: Callable[..., object] = lambda *_: None,
        read: Callable[[Report], tuple[Any, ...]] = lambda _: (),
        threads: int = 0,
    ) -> None:
        """Start a job (see ``Job``); one that is running is discarded.

        Parameters
        ----------
        on_progress, on_finished : callable
            Get a ``JobProgress`` and the ``JobResult``.
        read : callable
            Gets each report before them, on the job's own thread, for what would take long on the
            thread of the views; what it returns are further arguments of theirs.
        """
        self.discard()

        def deliver(on_report: Callable[..., object], report: Report) -> None:
            if job is self._job:
                extra = read(report)
                self._dispatch(lambda: self._call(job, on_report, report, extra))

        job = Job(
            function,
            args,
            threads=threads,
            child=self._child,
            on_progress=partial(deliver, on_progress),
            on_finished=partial(deliver, on_finished),
        )
        self._job, self._function = job, function
        job.start()

    def stop(self) -> None:
        """Ask the running job to end; its end is reported."""
        if self._job is not None:
            self._job.stop()

    def discard(self) -> None:
        """End the running job and drop its reports; the next one can be started at once."""
        job, self._job = self._job, None
        if job is None:
            return
        if self._child is None:
            job.abandon()
        else:  # its child is needed for the next job
            job.stop()

    def close(self) -> None:
        """Kill the running job, which can be at any moment, and the child; wait for their end."""
        job, self._job = self._job, None
        if self._child is not None:
            self._child.kill()
        if job is not None:
            job.abandon()
            job.close()
        if self._child is not None:
            with self._child.turn:  # a discarded job may still have it
                self._child.end()

    def wait(self) -> None:
        """Return when the running job has ended, and those that followed from it."""
        job = self._job
        while job is not None:
            job.done.result()
            job.close()
            job = None if self._job is job else self._job

    def _call(
        self, job: Job, on_report: Callable[..., object], report: Report, extra: tuple[Any, ...]
    ) -> None:
        if job is self._job:
            if isinstance(report, JobResult):
                self._job = None
            on_report(report, *extra)
