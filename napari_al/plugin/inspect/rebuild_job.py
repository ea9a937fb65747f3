"""Rebuilds what a project's cache no longer holds, in a child process, one item at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.session.rounds.job_function import JobProgress
from napari_al.session.rounds.job_runner import JobRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.inspection.inspection import Inspection, Missing
    from napari_al.session.rounds.job_function import JobResult


class RebuildJob:
    """Runs ``rebuild_cache.restore``; an item is tried once.

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
        dispatch: Dispatch,
        on_ended: Callable[[str], None],
        on_progress: Callable[[JobProgress | None], None],
    ) -> None:
        self._on_ended, self._on_progress = on_ended, on_progress
        self._jobs = JobRunner(dispatch)
        self._current: Missing | None = None
        self._tried: set[Missing] = set()

    def request(self, inspection: Inspection, missing: Missing) -> bool:
        """Rebuild an item, unless a job runs: then ask again later. False if that was in vain."""
        if missing in self._tried:
            return False
        if not self._jobs.is_running:
            self._current = missing
            self._jobs.start(
                "napari_al.session.rounds.rebuild_cache:restore",
                inspection.job_args(missing),
                threads=inspection.config.training.threads,
                on_progress=self._on_progress,
                on_finished=self._on_finished,
            )
            self._on_progress(JobProgress("scoring", 0, len(inspection.data.train)))
        return True

    def cancel(self) -> None:
        """Kill the job; its item is not tried again before `reset`."""
        if self._current is not None:
            self._tried.add(self._current)
        self._kill()

    def reset(self) -> None:
        """Kill the job; every item may be tried again."""
        self._tried.clear()
        self._kill()

    def _on_finished(self, result: JobResult) -> None:
        if self._current is not None:
            self._tried.add(self._current)
        self._current = None
        self._on_progress(None)
        self._on_ended(result.reason)

    def _kill(self) -> None:
        self._current = None
        if self._jobs.is_running:
            self._jobs.discard()
            self._on_progress(None)
