"""Jobs in a child process: reports of the current one are delivered, those of others are not."""

from __future__ import annotations

from queue import Queue

import pytest

from napari_al.session.rounds import job_runner
from napari_al.session.rounds.job_function import JobProgress, JobResult
from napari_al.session.rounds.job_process import Child


class FakeJob:
    """A job that reports when the test says so."""

    made: list[FakeJob] = []  # noqa: RUF012

    def __init__(self, function, args, *, threads, child, on_progress, on_finished):
        self.on_progress, self.on_finished = on_progress, on_finished
        self.calls: list[str] = []
        self.made.append(self)

    def __getattr__(self, name):
        return lambda: self.calls.append(name)


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.setattr(job_runner, "Job", FakeJob)
    FakeJob.made.clear()
    calls: Queue = Queue()
    made = job_runner.JobRunner(calls.put)
    made.run_next_call = lambda: calls.get(timeout=1)()
    return made


def start(runner, heard):
    runner.start("module:function", {}, on_finished=heard.append, on_progress=heard.append)
    return FakeJob.made[-1]


def test_progress_and_end_are_delivered(runner):
    heard: list[object] = []
    job = start(runner, heard)
    progress, result = JobProgress("scoring", 1, 2), JobResult("done")
    job.on_progress(progress)
    job.on_finished(result)
    assert heard == []  # not from the job's own thread
    runner.run_next_call()
    assert runner.is_running
    runner.run_next_call()
    assert heard == [progress, result]
    assert not runner.is_running


@pytest.mark.parametrize("superseded", [True, False])
def test_a_discarded_job_is_killed_and_its_end_is_discarded(runner, superseded):
    heard: list[object] = []
    job = start(runner, heard)
    job.on_finished(JobResult("stopped"))
    if superseded:
        newer = start(runner, heard)
    else:
        runner.discard()
    runner.run_next_call()
    assert heard == []
    assert job.calls == ["start", "abandon"]
    assert runner.is_running == superseded
    if superseded:
        newer.on_finished(JobResult("done"))
        runner.run_next_call()
        assert heard == [JobResult("done")]


def test_stop_lets_the_job_report_its_end(runner):
    heard: list[object] = []
    job = start(runner, heard)
    runner.stop()
    assert job.calls == ["start", "stop"]
    assert runner.is_running


def test_a_child_that_lives_on_is_asked_to_stop_instead_of_killed(monkeypatch):
    monkeypatch.setattr(job_runner, "Job", FakeJob)
    runner = job_runner.JobRunner(lambda call: call(), Child())
    heard: list[object] = []
    job = start(runner, heard)
    runner.discard()
    job.on_finished(JobResult("stopped"))
    assert job.calls == ["start", "stop"]
    assert (heard, runner.is_running, runner.function) == ([], False, "")


def test_what_is_read_on_the_jobs_thread_comes_with_the_report(runner):
    heard: list[object] = []
    runner.start(
        "module:function", {}, on_finished=lambda *got: heard.extend(got), read=lambda r: (r.value,)
    )
    FakeJob.made[-1].on_finished(JobResult("done", value={"n": 1}))
    runner.run_next_call()
    assert heard == [JobResult("done", value={"n": 1}), {"n": 1}]
