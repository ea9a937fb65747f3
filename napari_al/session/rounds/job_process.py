"""Run a job function in a child process: start it, watch it, stop it, survive its death.

A ``Job`` runs in a Python of its own (``Child``) with low priority, so that a window stays
responsive and a crash does not reach it. A child may do several jobs, one after the other. Parent
and child exchange lines of JSON over pipes; a child whose parent is gone stops (``job_child.py``).
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

from napari_al.methods.acquisition import modules_of_registered
from napari_al.session.rounds.job_function import JobProgress, JobResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG: Final = logging.getLogger(__name__)

_WAITING_POLICY: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Torch's threads sleep while they wait for each other. By default they spin: a tenth faster on an
idle machine, but where something else wants the cores (two busy cores, measured) a training step
took twice as long."""

_KILL_AFTER_S: Final = 2.0
"""Time between terminate and kill, in seconds."""
_TAIL_BYTES: Final = 8000
_NTSTATUS_ERROR: Final = 0xC0000000
_NTSTATUS_NO_MEMORY: Final = (0xC0000017, 0xC000012D)
"""No memory, commitment limit: how Windows ends processes."""
STOP: Final = b"stop"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Child:
    """A child process that runs jobs one at a time and keeps its imported modules between them.

    Parameters
    ----------
    threads : int
        CPU threads of the numerical libraries; 0 = their own choice.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.turn = threading.Lock()
        """Held by the job that runs."""

    def started(self) -> subprocess.Popen[bytes]:
        """The process; started if there is none, or if it has ended.

        Raises
        ------
        OSError
            It cannot be started.
        """
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
            self._process = _spawn(self._threads, self._output)
        return self._process

    def end(self) -> tuple[int, str]:
        """End the process; return its exit status and the last that it printed."""
        process, output = self._process, self._output
        self._process = self._output = None
        if process is None or output is None:
            return 0, ""
        with output, process:  # closes its input, at which it ends
            try:
                if process.stdin is not None:
                    with suppress(OSError):
                        process.stdin.close()
                process.wait(_KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            return process.returncode, _tail(output)

    def kill(self) -> None:
        """Kill the process; whoever reads from it sees its end."""
        if self._process is not None:
            self._process.kill()


class Job:
    """A job function in a child process.

    Parameters
    ----------
    function : str
        ``"module:name"`` of a top-level function; this process need not import its module.
    args : mapping
        What JSON can hold; tuples arrive as lists.
    threads : int
        CPU threads of the numerical libraries; 0 = their own choice.
    child : Child, optional
        Lives on after the job. By default the job has a child of its own, with ``threads``.
    on_progress, on_finished : callable
        Called on the supervising thread, never on the caller's: a window passes on to its own.
        At most about 4 reports a second and stage come through, the last one always.
    grace_s : float
        How long after ``stop`` the function may go on before its process is ended, in seconds; the
        longest step between two looks, a square of a large picture, takes half of the default.

    Attributes
    ----------
    done : Future of JobResult
        Ready when the process is gone and ``on_finished`` was called.
    """

    def __init__(
        self,
        function: str,
        args: Mapping[str, Any],
        *,
        threads: int = 0,
        child: Child | None = None,
        on_progress: Callable[[JobProgress], None] = lambda _: None,
        on_finished: Callable[[JobResult], None] = lambda _: None,
        grace_s: float = 10.0,
    ) -> None:
        if not _FUNCTION.fullmatch(function):
            raise ValueError(f"a job function is named as 'module:function', got {function!r}")
        request = {"function": function, "args": dict(args), "imports": modules_of_registered()}
        self._request = json.dumps(request).encode() + b"\n"
        self._child, self._lives_on = child or Child(threads), child is not None
        self._on_progress, self._on_finished = on_progress, on_finished
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = threading.Lock()  # a late stop must not reach the child's next job
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._gone = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name=function, daemon=True)
        self._insistence = threading.Thread(target=self._insist, name="stop", daemon=True)
        self.done: Future[JobResult] = Future()

    def start(self) -> None:
        """Start the child process; call it once."""
        # The interpreter does not wait for daemon threads: end the child, and with it the thread.
        atexit.register(self._end_now)
        self._supervisor.start()

    def stop(self) -> None:
        """Ask the job to end; end its process if it goes on for ``grace_s``. Returns at once."""
        if not self._stopping.is_set():
            self._stopping.set()
            if self._supervisor.is_alive():
                self._insistence.start()

    def close(self) -> None:
        """Stop it and wait until its process and threads are gone."""
        self.stop()
        for thread in (self._supervisor, self._insistence):
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()

    def abandon(self) -> None:
        """End its process at once; nothing is reported any more."""
        self._on_progress = lambda _: None
        self._on_finished = lambda _: None
        self._stopping.set()
        self._abandoned.set()
        if self._process is not None:  # else _talk does it
            self._process.kill()

    # -- inside

    def _supervise(self) -> None:
        """Run the child from start to end, and report; the body of the supervising thread."""
        started_s = time.monotonic()
        _LOG.info("job %s: started", self._supervisor.name)
        try:
            result = self._run()
        except Exception as error:  # noqa: BLE001 - on_progress may raise anything; the job ends
            result = JobResult(
                "failed",
                f"its progress could not be shown ({error})",
                details=traceback.format_exc(),
            )
        seconds = time.monotonic() - started_s
        ended = f"{result.status} {result.reason}".strip()
        _LOG.info("job %s: %s after %.1f s", self._supervisor.name, ended, seconds)
        if result.details:
            _LOG.debug("job %s: %s", self._supervisor.name, result.details)
        self._gone.set()
        atexit.unregister(self._end_now)
        try:
            self._on_finished(result)
        finally:
            self.done.set_result(result)

    def _run(self) -> JobResult:
        with self._child.turn:
            try:
                process = self._child.started()
            except OSError as error:
                return JobResult("failed", f"the job could not be started ({error})")
            try:
                result = self._talk(process)
            except BaseException:
                process.kill()
                self._child.end()
                raise
            with self._asking:
                self._process = None
            if result is not None and self._lives_on:
                return result
            return_code, output = self._child.end()
        if result is not None:
            return result
        if self._stopping.is_set():
            return JobResult("stopped", "stopped as asked")
        return _died(return_code, output)

    def _talk(self, process: subprocess.Popen[bytes]) -> JobResult | None:
        """Send the request and relay progress; return the child's result, None if it sent none."""
        if process.stdin is None or process.stdout is None:
            return None
        with suppress(OSError):  # it may be gone already; reading then ends at once
            process.stdin.write(self._request)
            process.stdin.flush()
        self._process = process
        if self._abandoned.is_set():
            process.kill()
        elif self._stopping.is_set():
            _ask_to_stop(process)
        for line in process.stdout:
            message = _message(line)
            if isinstance(message, JobResult):
                return message
            if message is not None:
                self._on_progress(message)
        return None

    def _insist(self) -> None:
        """Ask the job to stop, then terminate its process, then kill it."""
        with self._asking:
            if self._process is not None:  # else _talk asks
                _ask_to_stop(self._process)
        for wait_s, how in ((self._grace_s, "terminate"), (_KILL_AFTER_S, "kill")):
            if self._gone.wait(wait_s):
                return
            with self._asking:
                if self._process is not None:
                    getattr(self._process, how)()

    def _end_now(self) -> None:
        """End the child when this interpreter exits; nothing is reported."""
        self.abandon()
        self._supervisor.join(_KILL_AFTER_S)


def _spawn(threads: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a Python that finds the same modules, with low priority and out of reach of Ctrl-C."""
    environment = {**_WAITING_POLICY, **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    if threads:
        for library in ("OMP", "OPENBLAS", "MKL"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        flags |= subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        [sys.executable, "-P", "-X", "faulthandler", "-m", "napari_al.session.rounds.job_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=output,
        env=environment,
        process_group=0,  # a session of its own would void its nice value (Linux: autogroups)
        creationflags=flags,
    )


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError, ValueError):  # it is gone already
        if process.stdin is not None:
            process.stdin.write(STOP + b"\n")
            process.stdin.flush()


def _message(line: bytes) -> JobProgress | JobResult | None:
    """Read a line from the child; None if something else wrote it."""
    try:
        message = json.loads(line)
        if "progress" in message:
            return JobProgress(**message["progress"])
        return JobResult(**message["result"])
    except (ValueError, TypeError, KeyError):
        return None


def _died(return_code: int, output: str) -> JobResult:
    """Say what ended a child that gave no result."""
    if return_code >= _NTSTATUS_ERROR:  # Windows
        out_of_memory = return_code in _NTSTATUS_NO_MEMORY
        reason = "memory ran out" if out_of_memory else "the job's process crashed"
        reason = f"{reason} (status {return_code:#x})"
        return JobResult("failed", reason, out_of_memory=out_of_memory, details=output)
    if return_code >= 0:
        reason = f"the job's process ended without a result (exit status {return_code})"
        return JobResult("failed", reason, details=output)
    with suppress(ValueError):
        name = signal.Signals(-return_code).name
        if name == "SIGKILL":
            reason = (
                "the system killed the job's process (SIGKILL), most likely because memory ran "
                "out; smaller batches or crops need less"
            )
            return JobResult("failed", reason, out_of_memory=True, details=output)
        return JobResult("failed", f"the job's process crashed ({name})", details=output)
    return JobResult("failed", f"the job's process was ended by signal {-return_code}")


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    return output.read().decode("utf-8", "replace")
