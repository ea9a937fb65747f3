"""Job functions on the workers of Dask Distributed (an extra: ``pip install 'napari-al[dask]'``).

A worker calls the functions that the local child calls, with arguments that JSON can hold; what
comes back are tables and small records. Workers see the project and its images at the same paths.
The blocks of a worker that is lost are done again by another one; what is cancelled ends by itself.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import re
import socket
import threading
import time
import uuid
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from napari_al.errors import InputError
from napari_al.methods.acquisition import modules_of_registered
from napari_al.session.rounds.job_function import JobProgress, ProgressFilter, Stopped
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

Args = dict[str, Any]

CONNECT_S: Final = 10
"""How long to look for a scheduler."""
STOP_GRACE_S: Final = 5.0
"""How long tasks that were cancelled are waited for; each ends after its step or its image."""
POLL_S: Final = 0.25
GPU: Final = "GPU"
"""A worker's resource (``dask worker --resources GPU=1``): where there is one, models run there."""
_LOCAL: Final = re.compile(r"local:([1-9]\d{0,3})")
_CONNECTING = threading.Lock()
_OPEN: dict[str, Cluster] = {}


def connected(address: str) -> Cluster:
    """Return this process's connection to a cluster; made, or made again, where there is none.

    Parameters
    ----------
    address : str
        Of a scheduler (``tcp://host:8786``), or ``local:N``: N processes on this machine, which
        end with this one.

    Raises
    ------
    InputError
        Dask is not installed, nobody answers, or a worker has another version.
    """
    with _CONNECTING:
        if address not in _OPEN or not _OPEN[address].is_alive:
            _OPEN[address] = Cluster(address)
        return _OPEN[address]


@contextmanager
def using(address: str | None) -> Iterator[str]:
    """Have a cluster for a while; "" for none."""
    try:
        if address:
            connected(address)
        yield address or ""
    finally:
        cluster = _OPEN.pop(address or "", None)
        if cluster is not None:
            cluster.close()


class Cluster:
    """A connection with a scheduler; use ``connected``."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise InputError(
                f"the cluster {address} needs Dask: pip install 'napari-al[dask]'"
            ) from error
        self.address, self._local = address, None
        found = _LOCAL.fullmatch(address)
        if found:
            self._local = distributed.LocalCluster(
                n_workers=int(found[1]),
                threads_per_worker=1,
                dashboard_address=":0",  # any port that is free
                silence_logs=logging.ERROR,
            )
        target = self._local or address
        try:
            if self._local is None:  # a client of a wrong address would not be closed
                distributed.comm.resolve_address(address)
            self._client = distributed.Client(target, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"no Dask scheduler answers at {address!r} ({error}); start one with `dask "
                "scheduler` and name its address (tcp://HOST:8786), or local:N for N processes here"
            ) from error
        atexit.register(self.close)
        try:
            self._check_workers()
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler can be reached."""
        return bool(self._client.status == "running")

    @property
    def n_slots(self) -> int:
        """Tasks that all workers of now do at a time; 0 while there are none."""
        return sum(self._client.nthreads().values())

    def close(self) -> None:
        """Leave it; workers of this process's own end."""
        atexit.unregister(self.close)
        with suppress(OSError, RuntimeError):
            self._client.close()
        if self._local is not None:
            self._local.close()

    def check_sees(self, folder: Path) -> None:
        """Raise an InputError unless every worker sees a folder that all are to read and write."""
        for worker, sees in self._client.run(_sees, str(folder)).items():
            if not sees:
                raise InputError(
                    f"the worker {worker} does not see {folder}: projects and images lie on a "
                    "folder that all machines have at the same path"
                )

    def run(
        self,
        function: str,
        args: Args,
        progress: Callable[[JobProgress], None],
        should_stop: Callable[[], bool],
    ) -> Any:
        """Call a job function (``"module:name"``, ``job_function.py``) on a worker, as if here."""

        def check() -> None:
            if should_stop():
                raise Stopped

        on_progress = lambda _args, step: progress(step)  # noqa: E731
        _, result = next(self.results(function, [args], on_progress=on_progress, check=check))
        return result()

    def results(
        self,
        function: str,
        tasks: Iterable[Args],
        *,
        at_a_time: int | None = None,
        on_progress: Callable[[Args, JobProgress], None] = lambda _args, _progress: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Args, Callable[[], Any]]]:
        """Call a job function once a task; yield each task that is done, with its result.

        Parameters
        ----------
        function : str
            ``"module:name"``.
        tasks : iterable of dict
            Arguments; taken one by one, as workers become free.
        at_a_time : int, optional
            Tasks handed out at a time; by default twice what the workers do at a time.
        on_progress : callable
            Is told what a task reports, at most 4 times a second and stage.
        check : callable
            Called several times a second. What it raises ends all: tasks are cancelled.

        Yields
        ------
        (dict, callable)
            The task, and a function that returns its result or raises its error.
        """
        topic, reports = f"napari-al-{uuid.uuid4().hex}", SimpleQueue[Any]()
        resources = self._resources()
        waiting, running, begun = iter(tasks), dict[str, tuple[Any, Args]](), set[str]()
        self._client.subscribe_topic(topic, lambda event: reports.put(event[1]))
        try:
            while True:
                free = (at_a_time or max(2, 2 * self.n_slots)) - len(running)
                for args in islice(waiting, max(0, free)):
                    future = self._submit(function, args, topic, resources)
                    running[future.key] = future, args
                    future.add_done_callback(reports.put)
                if not running:
                    return
                report = self._next(reports, check)
                if isinstance(report, dict):
                    _note(report, running, begun, on_progress)
                elif report.key in running:
                    yield running.pop(report.key)[1], partial(self._result, report)
        finally:
            self._cancel(running, begun, reports)
            with suppress(OSError, RuntimeError, ValueError):
                self._client.unsubscribe_topic(topic)

    # -- inside

    def _check_workers(self) -> None:
        mine = _version()
        try:
            versions = self._client.run(_version)
        except ImportError as error:
            raise InputError(
                f"a worker of {self.address} has no napari-al ({error}); install the version "
                f"{mine} there"
            ) from error
        for worker, found in versions.items():
            if found != mine:
                raise InputError(
                    f"the worker {worker} has napari-al {found}, and this is {mine}: "
                    "install the same everywhere"
                )
        if not versions:
            logging.getLogger(__name__).warning("%s has no workers yet", self.address)

    def _resources(self) -> dict[str, int] | None:
        """What a task with a model needs: a worker's GPU, where workers say that they have some."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return {GPU: 1} if any(GPU in worker.get("resources", {}) for worker in workers) else None

    def _submit(
        self, function: str, args: Args, topic: str, resources: dict[str, int] | None
    ) -> Any:
        return self._client.submit(
            _work,
            function,
            args,
            modules_of_registered(),
            topic,
            key=f"{function.rpartition(':')[2]}-{uuid.uuid4().hex}",
            resources=None if args.get("device") == "cpu" else resources,
            pure=False,
        )

    def _next(self, reports: SimpleQueue[Any], check: Callable[[], None]) -> Any:
        """Wait for a report; meanwhile see whether to go on."""
        while True:
            check()
            with suppress(Empty):
                return reports.get(timeout=POLL_S)
            if not self.is_alive:
                raise InputError(
                    f"the connection with the cluster {self.address} was lost; start again when "
                    "its scheduler runs: what is done is kept"
                )

    def _result(self, future: Any) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise InputError(
                f"several workers of {self.address} were lost at the same work, most likely "
                "because memory ran out: give them more, or fewer threads each; their logs say more"
            ) from error
        except CancelledError as error:
            raise InputError(
                f"the cluster {self.address} dropped the work (its scheduler ended or was started "
                "again); start again: what is done is kept"
            ) from error

    def _cancel(
        self, running: dict[str, tuple[Any, Args]], begun: set[str], reports: SimpleQueue[Any]
    ) -> None:
        """Cancel tasks, and wait a moment for those that have begun: they write files."""
        if not running or not self.is_alive:
            return
        self._client.cancel([future for future, _ in running.values()], force=True)
        give_up_s = time.monotonic() + STOP_GRACE_S
        while time.monotonic() < give_up_s and (begun & running.keys() or not reports.empty()):
            with suppress(Empty):
                report = reports.get(timeout=POLL_S)
                if isinstance(report, dict):
                    _note(report, running, begun, lambda _args, _progress: None)


def _note(
    report: dict[str, Any],
    running: dict[str, tuple[Any, Args]],
    begun: set[str],
    on_progress: Callable[[Args, JobProgress], None],
) -> None:
    """Take note of what a task says."""
    key = report["key"]
    if "progress" not in report:
        (begun.add if report["begun"] else begun.discard)(key)
    elif key in running:
        on_progress(running[key][1], JobProgress(**report["progress"]))


# ---- on a worker


def _version() -> str:
    return str(importlib.import_module("napari_al").__version__)


def _sees(folder: str) -> bool:
    return os.path.isdir(folder)


def _work(function: str, args: Args, imports: list[str], topic: str) -> Any:
    """Call a job function for a client: it is told what is reported, and its cancelling stops."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    shows = ProgressFilter()

    def progress(step: JobProgress) -> None:
        if shows(step):
            worker.log_event(topic, {"key": key, "progress": asdict(step)})

    def should_stop() -> bool:
        task = worker.state.tasks.get(key)  # cancelled, or its client is gone
        return task is None or task.state not in ("executing", "long-running")

    for name in imports:  # what the client has registered
        importlib.import_module(name)
    module, _, name = function.partition(":")
    call = getattr(importlib.import_module(module), name)
    worker.log_event(topic, {"key": key, "begun": True})
    try:
        with _gpu_for(args):
            return call(args, progress, should_stop)
    except WriteError as error:
        raise WriteError(str(error)) from None
    except InputError as error:  # kinds of it cannot be sent
        raise InputError(str(error)) from None
    finally:
        worker.log_event(topic, {"key": key, "begun": False})


def _gpu_for(args: Args) -> AbstractContextManager[object]:
    """Hold the GPU, if there is one and it may be used: it does one thing at a time.

    Workers with the same GPUs (one machine, the same ``CUDA_VISIBLE_DEVICES``) take turns.
    """
    if args.get("device") == "cpu":
        return nullcontext()
    import torch
    from distributed import Lock

    if not torch.cuda.is_available():
        return nullcontext()
    lock: AbstractContextManager[object] = Lock(
        f"gpu-{socket.gethostname()}-{os.environ.get('CUDA_VISIBLE_DEVICES', '')}"
    )
    return lock
