"""Many runs in parallel, each in its own process, and a final report.

Runs and therefore sweeps can be interrupted and resumed. A failed run does not affect the others.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from napari_al.formats.dataset import DataFolder
from napari_al.learning.devices import resolve_device
from napari_al.processors import n_cores
from napari_al.session.project.config import ProjectConfig
from napari_al.session.project.folder import Project
from napari_al.session.project.shared_cache import SharedCache
from napari_al.session.rounds.cluster import connected
from napari_al.session.rounds.job_function import JobProgress, JobResult, Stopped, perform
from napari_al.session.rounds.job_process import Job
from napari_al.simulate.runner import holds_run, run_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_al.session.rounds.cluster import Cluster
    from napari_al.simulate.sweep_plan import PlannedRun

    OnProgress = Callable[["PlannedRun", JobProgress], None]
    OnFinished = Callable[["PlannedRun", JobResult], None]

RUNS = "runs"
"""Folder of the runs in that of a sweep."""
PERFORM_RUN = "napari_al.simulate.sweep:perform_run"
ROUND = "round"
"""Stage of the progress that says how many trainings of a run are ``done``."""


def run_folder(out: Path, run: PlannedRun) -> Path:
    """Where a run of the sweep in ``out`` is."""
    return out / RUNS / run.name


def run_sweep(
    runs: Sequence[PlannedRun],
    out: Path,
    *,
    jobs: int | None = None,
    cluster: str = "",
    on_progress: OnProgress = lambda _run, _progress: None,
    on_finished: OnFinished = lambda _run, _result: None,
) -> None:
    """Start or resume a sweep.

    Parameters
    ----------
    runs
        As `read_sweep` plans them.
    out
        Folder of the sweep; a run's is ``runs/NAME`` in it.
    jobs
        Runs at a time; by default what `default_jobs` says, or as many as a cluster takes.
    cluster
        Address of one that the runs are done on (``session/rounds/cluster.py``).
    on_progress, on_finished
        Called in this thread. A run that was finished before is reported at once.

    Raises
    ------
    InputError
        If a folder holds a run with other settings, before anything is run.
    """
    waiting: deque[PlannedRun] = deque()
    for run in runs:
        if _is_finished(run, run_folder(out, run)):
            on_finished(run, JobResult("done"))
        else:
            waiting.append(run)
    if cluster:
        _run_on_cluster(waiting, out, connected(cluster), jobs, on_progress, on_finished)
        return
    limit = jobs or default_jobs([run.config for run in waiting])
    events: SimpleQueue[tuple[PlannedRun, JobProgress | JobResult]] = SimpleQueue()
    running: dict[str, Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                run = waiting.popleft()
                running[run.name] = _start(run, out, events)
            run, event = events.get()
            if isinstance(event, JobProgress):
                on_progress(run, event)
            else:
                running.pop(run.name).close()
                _keep_details(run, out, event)
                on_finished(run, event)
    finally:
        for job in running.values():
            job.abandon()  # it can be killed at any moment
            job.close()


def default_jobs(configs: Sequence[ProjectConfig]) -> int:
    """Runs at a time: one on a GPU, else as many as there are cores for.

    A run that leaves the number of its threads open takes all cores.
    """
    if any(resolve_device(config.training.device).type != "cpu" for config in configs):
        return 1
    n_threads = max((config.training.threads or n_cores() for config in configs), default=1)
    return max(1, n_cores() // n_threads)


def perform_run(
    args: dict[str, Any],
    progress: Callable[[JobProgress], None],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Do one run, in a child process (``session/rounds/job_process.py``); return its last row."""
    config, n_rounds = ProjectConfig.model_validate(args["config"]), int(args["n_rounds"])

    def on_progress(number: int, step: JobProgress) -> None:
        if should_stop():
            raise Stopped
        progress(replace(step, stage=f"round {number}: {step.stage}"))

    def on_round(row: dict[str, str]) -> None:
        shared.take(cache)
        n_done = int(row["round"]) + config.method.starts_from_labels
        progress(JobProgress(ROUND, n_done, n_rounds))

    data = DataFolder.open(
        Path(config.data),
        skip_broken=config.skip_broken,
        rules=config.images,
        check_labels=False,  # they were looked at when the sweep was planned
    )
    out = Path(args["out"])
    if not holds_run(out, config):
        Project.create(out, config)
    progress(JobProgress(ROUND, len(Project(out).rounds_done()), n_rounds))
    shared, cache = SharedCache(Path(args["shared"]), data, config), Project(out).cache
    shared.give(cache)
    rows = run_config(data, config, n_rounds, out, on_progress=on_progress, on_round=on_round)
    return rows[-1] if rows else {}


def _args_of(run: PlannedRun, out: Path) -> dict[str, Any]:
    return {
        "config": run.config.model_dump(mode="json"),
        "n_rounds": run.n_rounds,
        "out": str(run_folder(out, run)),
        "shared": str(out / "shared"),
        "device": run.config.training.device,
    }


def _run_on_cluster(
    runs: Sequence[PlannedRun],
    out: Path,
    cluster: Cluster,
    jobs: int | None,
    on_progress: OnProgress,
    on_finished: OnFinished,
) -> None:
    """Have each run done as one task of a cluster."""
    out.mkdir(parents=True, exist_ok=True)
    cluster.check_sees(out.absolute())
    run_of = {str(run_folder(out.absolute(), run)): run for run in runs}
    done = cluster.results(
        PERFORM_RUN,
        [_args_of(run, out.absolute()) for run in runs],
        at_a_time=jobs,
        on_progress=lambda args, progress: on_progress(run_of[args["out"]], progress),
    )
    for args, result in done:
        run = run_of[args["out"]]
        finished = perform(lambda *_, result=result: result(), args, lambda _: None, lambda: False)
        _keep_details(run, out, finished)
        on_finished(run, finished)


def _start(run: PlannedRun, out: Path, events: SimpleQueue[Any]) -> Job:
    job = Job(
        PERFORM_RUN,
        _args_of(run, out),
        threads=run.config.training.threads,
        on_progress=lambda progress: events.put((run, progress)),
        on_finished=lambda result: events.put((run, result)),
    )
    job.start()
    return job


def _is_finished(run: PlannedRun, folder: Path) -> bool:
    """Whether a run is done; InputError if the folder holds another."""
    return holds_run(folder, run.config) and run.last_round in Project(folder).rounds_done()


def _keep_details(run: PlannedRun, out: Path, result: JobResult) -> None:
    """Leave the traceback of a run that failed for no foreseen reason in ``errors``."""
    path = out / "errors" / f"{run.name}.txt"
    path.unlink(missing_ok=True)
    if result.details:
        path.parent.mkdir(exist_ok=True)
        path.write_text(result.details, encoding="utf-8")
