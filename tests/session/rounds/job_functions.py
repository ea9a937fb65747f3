"""Job functions for test_jobs.py: what the child process imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.rounds.job_function import JobProgress, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[JobProgress], None]
    ShouldStop = Callable[[], bool]


def count(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    for done in range(1, args["n"] + 1):
        progress(JobProgress("training", done, args["n"], loss=1 / done, eta_s=0.5))
    return {"n": args["n"], "stopped": should_stop()}


def noisy(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    print('{"result": {"status": "failed"}}')  # noqa: T201
    sys.stdout.flush()
    os.write(1, b"from C\n")
    subprocess.run([sys.executable, "-c", "print('from a grandchild')"], check=True)
    return {"ok": True}


def until_stopped(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    if "pid_file" in args:
        Path(args["pid_file"]).write_text(str(os.getpid()))
    progress(JobProgress("training", 0, 1))
    while not should_stop():
        threading.Event().wait(0.01)
    raise Stopped


def deaf(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    if args["ignore_term"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "pid_file" in args:
        Path(args["pid_file"]).write_text(str(os.getpid()))
    progress(JobProgress("training", 0, 1))
    threading.Event().wait()
    return {}


def kill_itself(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    progress(JobProgress("training", 0, 1))
    os.kill(os.getpid(), args["signal"])
    threading.Event().wait()
    return {}


def fail(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    errors: dict[str, Callable[[], BaseException]] = {
        "input": lambda: InputError("the images are too small"),
        "bug": lambda: ZeroDivisionError("division by zero"),
        "memory": MemoryError,
        "torch": lambda: RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        "exit": lambda: SystemExit(3),
    }
    raise errors[args["error"]]()


def unsendable(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    return {"value": object()}


def surroundings(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    return {
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "nice": os.nice(0),
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "main": sys.modules["__main__"].__spec__.name,  # type: ignore[union-attr]
        "args": args,
    }


def until_cancelled(
    args: dict[str, Any], progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    while not should_stop():
        threading.Event().wait(0.01)
    Path(args["ended"]).touch()
    raise Stopped


def at_a_time(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> int:
    """The most that were under way at a time, this one among them."""
    mine = Path(args["folder"]) / f"{args['device']}-{threading.get_ident()}"
    mine.touch()
    most = 0
    for _ in range(15):
        most = max(most, len(list(mine.parent.glob(f"{args['device']}-*"))))
        threading.Event().wait(0.01)
    mine.unlink()
    return most
