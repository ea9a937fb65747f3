from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import job_functions
import pytest

from napari_al.errors import InputError
from napari_al.session.rounds.job_function import JobProgress, JobResult, Stopped, perform
from napari_al.session.rounds.job_process import Job

WAIT_S = 60


def run(name: str, args: dict[str, object] | None = None, **options: object) -> JobResult:
    job = Job(f"job_functions:{name}", args or {}, **options)  # type: ignore[arg-type]
    job.start()
    return job.done.result(WAIT_S)


def started(name: str, args: dict[str, object], **options: object) -> Job:
    """A job that has reported its first progress."""
    reports: queue.Queue[JobProgress] = queue.Queue()
    job = Job(f"job_functions:{name}", args, on_progress=reports.put, **options)  # type: ignore[arg-type]
    job.start()
    reports.get(timeout=WAIT_S)
    return job


def test_result_and_progress_arrive_in_order() -> None:
    seen: list[object] = []
    result = run("count", {"n": 2000}, on_progress=seen.append, on_finished=seen.append)
    assert result == JobResult("done", value={"n": 2000, "stopped": False})
    *reports, last = seen
    assert last == result
    assert reports[0] == JobProgress("training", 1, 2000, loss=1.0, eta_s=0.5)
    assert reports[-1] == JobProgress("training", 2000, 2000, 1 / 2000, 0.5)
    assert len(reports) < 200  # not each of them


def test_the_same_function_runs_here() -> None:
    seen: list[JobProgress] = []
    assert job_functions.count({"n": 3}, seen.append, lambda: True) == {"n": 3, "stopped": True}
    assert [report.done for report in seen] == [1, 2, 3]


def test_stray_output_does_not_reach_the_messages() -> None:
    assert run("noisy") == JobResult("done", value={"ok": True})


@pytest.mark.skipif(sys.platform == "win32", reason="see test_platforms.py")
def test_child_is_alone_and_polite() -> None:
    result = run("surroundings", {"path": "ä/ö", "n": [1, 2.5, None]}, threads=3)
    value = result.value
    assert not {"napari", "qtpy", "PyQt5", "PyQt6", "torch", "pytest"} & set(value["modules"])
    assert value["nice"] == min(19, os.nice(0) + 10)
    assert value["session"] == os.getsid(0), "another session's nice value is another's affair"
    assert value["group"] != os.getpgid(0), "Ctrl-C is not for it"
    assert value["threads"] == "3"
    assert value["main"] == "napari_al.session.rounds.job_child"
    assert value["args"] == {"path": "ä/ö", "n": [1, 2.5, None]}


def test_stop_lets_the_function_end() -> None:
    job = started("until_stopped", {})
    job.stop()
    job.stop()
    assert job.done.result(WAIT_S).status == "stopped"


def test_stop_at_once_and_close_before_start() -> None:
    job = Job("job_functions:until_stopped", {})
    job.start()
    job.stop()
    assert job.done.result(WAIT_S).status == "stopped"
    Job("job_functions:until_stopped", {}).close()


@pytest.mark.parametrize("ignore_term", [False, True])
def test_stop_ends_a_function_that_does_not_listen(
    ignore_term: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_al.session.rounds.job_process._KILL_AFTER_S", 0.2)
    job = started("deaf", {"ignore_term": ignore_term}, grace_s=0.1)
    job.stop()
    assert job.done.result(WAIT_S) == JobResult("stopped", "stopped as asked")


@pytest.mark.parametrize(
    ("error", "reason", "out_of_memory"),
    [
        ("input", "the images are too small", False),
        ("bug", "ZeroDivisionError: division by zero", False),
        ("memory", "out of memory", True),
        ("torch", "out of memory", True),
        ("exit", "exit status 3", False),
    ],
)
def test_failures_say_why(error: str, reason: str, out_of_memory: bool) -> None:
    result = run("fail", {"error": error})
    assert (result.status, result.out_of_memory) == ("failed", out_of_memory)
    assert reason in result.reason


@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise there")
@pytest.mark.parametrize(
    ("name", "reason", "out_of_memory"),
    [("SIGKILL", "memory", True), ("SIGSEGV", "SIGSEGV", False)],
)
def test_death_by_signal_is_told(name: str, reason: str, out_of_memory: bool) -> None:
    result = run("kill_itself", {"signal": int(signal.Signals[name])})
    assert (result.status, result.out_of_memory) == ("failed", out_of_memory)
    assert reason in result.reason


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("job_functions:unsendable", "not JSON serializable"),
        ("job_functions:missing", "missing"),
        ("no_such_module:f", "no_such_module"),
    ],
)
def test_bad_functions_fail(function: str, reason: str) -> None:
    job = Job(function, {})
    job.start()
    result = job.done.result(WAIT_S)
    assert result.status == "failed"
    assert reason in result.reason


@pytest.mark.parametrize("function", ["count", "job_functions:<lambda>", "os:a.b", ""])
def test_only_named_functions(function: str) -> None:
    with pytest.raises(ValueError, match="module:function"):
        Job(function, {})


def test_a_failing_listener_ends_the_job() -> None:
    def refuse(_: JobProgress) -> None:
        raise RuntimeError("the window is gone")

    result = run("until_stopped", on_progress=refuse)
    assert result.status == "failed"
    assert "the window is gone" in result.reason


def test_nothing_is_left_after_close() -> None:
    before = set(threading.enumerate())
    job = started("until_stopped", {})
    job.close()
    job.close()
    assert job.done.result(0).status == "stopped"
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_perform_turns_every_end_into_a_result() -> None:
    def stopped(*_: object) -> dict[str, object]:
        raise Stopped

    def refused(*_: object) -> dict[str, object]:
        raise InputError("no")

    assert perform(stopped, {}, print, bool).status == "stopped"
    assert perform(refused, {}, print, bool) == JobResult("failed", "no")


PARENT = """
import sys
from napari_al.session.rounds.job_process import Job
job = Job(sys.argv[1], {"pid_file": sys.argv[2], "ignore_term": False},
          on_progress=lambda _: print("up", flush=True))
job.start()
sys.stdin.readline()
"""


def _parent(function: str, pid_file: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, f"job_functions:{function}", str(pid_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def _wait_until_gone(pid: int) -> None:
    for _ in range(WAIT_S * 20):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":  # nobody reaps it in this container
            return
        threading.Event().wait(0.05)
    pytest.fail(f"process {pid} is still there")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("function", ["until_stopped", "deaf"])
@pytest.mark.parametrize("end", ["kill", "exit"])
def test_child_ends_with_its_parent(function: str, end: str, tmp_path: Path) -> None:
    with _parent(function, tmp_path / "pid") as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        pid = int((tmp_path / "pid").read_text())
        if end == "kill":
            parent.kill()
        else:
            parent.stdin.close()
        parent.wait(WAIT_S)
    _wait_until_gone(pid)


def test_a_job_abandoned_while_it_starts_is_not_waited_for() -> None:
    job = Job("job_functions:deaf", {"ignore_term": True})
    job.start()
    job.abandon()
    waiting = threading.Thread(target=job.close, daemon=True)
    waiting.start()
    waiting.join(20)
    assert not waiting.is_alive()
    assert job.done.result().status == "stopped"
