"""Jobs in a child process whose reports arrive on the window's thread; one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.session.rounds.job_process import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.rounds.job_function import JobProgress, JobResult


class ChildJob:
    """Runs one job at a time; reports of an abandoned job are discarded.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._job: Job | None = None

    @property
    def is_running(self) -> bool:
        """Whether a job has been started and has not been reported as finished."""
        return self._job is not None

    def start(
        self,
        function: str,
        args: Mapping[str, Any],
        *,
        on_finished: Callable[[JobResult], object],
        on_progress: Callable[[JobProgress], object] = lambda _: None,
        threads: int = 0,
    ) -> None:
        """Start a job (see ``Job``); one that is running is abandoned."""
        self.abandon()

        def report_progress(progress: JobProgress) -> None:
            if job is self._job:
                on_progress(progress)

        def report_end(result: JobResult) -> None:
            if job is self._job:
                self._job = None
                on_finished(result)

        job = self._job = Job(
            function,
            args,
            threads=threads,
            on_progress=lambda progress: self._dispatch(lambda: report_progress(progress)),
            on_finished=lambda result: self._dispatch(lambda: report_end(result)),
        )
        job.start()

    def stop(self) -> None:
        """Ask the running job to end; its end is reported."""
        if self._job is not None:
            self._job.stop()

    def abandon(self) -> None:
        """Kill the running job and discard its result."""
        job, self._job = self._job, None
        if job is not None:
            job.abandon()
