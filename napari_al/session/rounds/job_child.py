"""The child process of jobs (``job_process.py``): a request in, progress and one result out.

Standard input brings a request, then perhaps "stop", then perhaps the next request; its end means
that no more will come, or that the parent is gone.
Messages leave through a copy of standard output that nothing else knows; what libraries print goes
to standard error. Nothing of Qt or napari is imported here.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import select
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from napari_al.session.rounds.job_function import JobProgress, JobResult, ProgressFilter, perform
from napari_al.session.rounds.job_process import STOP

PARENT_GONE_GRACE_S: Final = 2.0
"""How long a job without a parent may take to end by itself."""


def main() -> None:
    """Run jobs until the parent sends no more."""
    messages = _Messages()
    if hasattr(os, "nice"):
        os.nice(10)
    requests = _Requests()
    while (request := requests.next()) is not None:
        call = partial(_call, request)
        result = perform(call, request["args"], messages.send_progress, requests.stop.is_set)
        messages.send_result(result)


def _call(request: dict[str, Any], args: dict[str, Any], *how: Any) -> dict[str, Any]:
    for name in request["imports"]:  # what the parent has registered
        importlib.import_module(name)
    module, _, name = request["function"].partition(":")
    value: dict[str, Any] = getattr(importlib.import_module(module), name)(args, *how)
    json.dumps(value)  # what cannot be sent fails in here, where it is reported
    return value


class _Requests:
    """Requests and stop messages from the parent, read in a thread.

    Attributes
    ----------
    stop : Event
        Set by "stop", and when the parent is gone.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any] | None:
        """Wait for a request; None if there will be none."""
        line = self._lines.get()
        return None if line is None else json.loads(line)

    def _read(self) -> None:
        """Queue requests until the parent is gone, then end this process."""
        parent, rest = os.getppid(), b""
        while True:
            # A process that inherited the pipe's other end could keep it open: look at both.
            if os.name != "nt" and not select.select([0], [], [], 1.0)[0]:
                if os.getppid() != parent:
                    break
                continue
            read = os.read(0, 2**16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                if line == STOP:
                    self.stop.set()
                else:
                    self.stop.clear()  # a "stop" that came late was for the job before
                    self._lines.put(line)
        self._lines.put(None)
        self.stop.set()
        time.sleep(PARENT_GONE_GRACE_S)
        os._exit(1)


class _Messages:
    """Sends messages to the parent."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._turn = threading.Lock()
        self._shows = ProgressFilter()

    def send_progress(self, progress: JobProgress) -> None:
        if self._shows(progress):
            self._send({"progress": asdict(progress)})

    def send_result(self, result: JobResult) -> None:
        self._send({"result": asdict(result)})

    def _send(self, message: dict[str, Any]) -> None:
        with self._turn:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()


if __name__ == "__main__":
    main()
