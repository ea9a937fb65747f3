"""The child process that makes again what a project's cache no longer holds: one job at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.session.inspection.inspection import Inspection, Missing
    from napari_al.session.rounds.job_process import Job, JobProgress, JobResult


class Remaker:
    """Runs ``restoring.restore`` for one thing after the other.

    Parameters
    ----------
    dispatch : callable
        Runs a function on the window's thread.
    on_ended : callable
        Called there when a job has ended by itself, with the reason if it failed, else "".
    on_progress : callable
        Called there with a ``JobProgress``, and with None when no job runs any more.
    """

    def __init__(
        self,
        dispatch: Callable[[Callable[[], None]], None],
        on_ended: Callable[[str], None],
        on_progress: Callable[[JobProgress | None], None],
    ) -> None:
        self._dispatch, self._on_ended, self._on_progress = dispatch, on_ended, on_progress
        self._job: Job | None = None
        self._missing: Missing | None = None
        self._in_vain: set[Missing] = set()

    def want(self, inspection: Inspection, missing: Missing) -> bool:
        """Make something unless a job runs: then ask again later. False if it ended in vain."""
        if missing in self._in_vain:
            return False
        if self._job is None:
            self._start(inspection, missing)
        return True

    def give_up(self) -> None:
        """End the job, and do not begin it again before ``stop``."""
        if self._missing is not None:
            self._in_vain.add(self._missing)
        self._end_job()

    def stop(self) -> None:
        """End the job; what was given up or failed may be tried again."""
        self._in_vain.clear()
        self._end_job()

    def _start(self, inspection: Inspection, missing: Missing) -> None:
        from napari_al.session.rounds.job_process import Job, JobProgress

        job = self._job = Job(
            "napari_al.session.rounds.rebuild_cache:restore",
            inspection.job_args(missing),
            threads=inspection.config.training.threads,
            on_progress=lambda progress: self._dispatch(lambda: self._hear(job, progress)),
            on_finished=lambda result: self._dispatch(lambda: self._on_finished(job, result)),
        )
        self._missing = missing
        job.start()
        self._on_progress(JobProgress("scoring", 0, len(inspection.data.train)))

    def _hear(self, job: Job, progress: JobProgress) -> None:
        if job is self._job:
            self._on_progress(progress)

    def _on_finished(self, job: Job, result: JobResult) -> None:
        if job is not self._job or self._missing is None:
            return
        self._in_vain.add(self._missing)  # what it did not make, it never will
        self._job = self._missing = None
        self._on_progress(None)
        self._on_ended(result.reason)

    def _end_job(self) -> None:
        job, self._job, self._missing = self._job, None, None
        if job is not None:
            job.abandon()
            self._on_progress(None)
